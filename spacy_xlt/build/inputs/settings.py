"""What a user says of the corpus that is read."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from ...errors import error
from ...languages import MULTI
from ...textfiles import check_encoding
from .old_conll import FORMATS as COLUMNS

AUTO, SPACY, JSONL, BRAT = "auto", "spacy", "jsonl", "brat"
FORMATS = (SPACY, *COLUMNS, JSONL, BRAT)
# Which formats a setting is for, with its option on the command line
_FOR = {
    "token_col": ("--token-col", tuple(COLUMNS)),
    "tag_col": ("--tag-col", tuple(COLUMNS)),
    "n_sents": ("--n-sents", tuple(COLUMNS)),
    "encoding": ("--encoding", FORMATS[1:]),
    "labels": ("--labels", FORMATS[1:]),
    "spans_key": ("--spans-key", FORMATS[1:]),
}


@dataclass(frozen=True)
class InputSettings:
    """How a corpus is read. A `.spacy` file is taken as it is: only `format` and `lang` are for it.

    format (str): "auto" for what each file's name says or, where it says nothing, its first lines; else "spacy",
        "iob2", "conll", "tsv", "jsonl" or "brat".
    lang (str): Language code of the text; its tokenizer cuts text that has no tokens.
    encoding (str): Of files of text.
    token_col, tag_col (int | None): Columns counted from 1; negative ones from the end.
    n_sents (int): Sentences a document, in columns.
    labels (frozenset[str] | None): Labels to keep; all where left out.
    spans_key (str): Also put all entities into this span group; they may overlap there.
    RAISES (XltError): E510 for a format or an encoding that does not exist, and for `n_sents` below 1.
    """

    format: str = AUTO
    lang: str = MULTI
    encoding: str = "utf8"
    token_col: int | None = None
    tag_col: int | None = None
    n_sents: int = 1
    labels: frozenset[str] | None = None
    spans_key: str = ""

    def __post_init__(self) -> None:
        if self.format not in (AUTO, *FORMATS):
            raise error("E510", setting="--format", value=self.format, expected=", ".join((AUTO, *FORMATS)))
        if self.n_sents < 1:
            raise error("E510", setting="--n-sents", value=self.n_sents, expected="a number from 1")
        check_encoding(self.encoding)

    def check_used(self, path: Path, formats: Iterable[str]) -> None:
        """See that what is set has an effect.

        formats (Iterable[str]): The formats of the files of the corpus.
        RAISES (XltError): E541 for a setting that is for none of them.
        """
        found, default = set(formats), InputSettings()
        for name, (option, those) in _FOR.items():
            if getattr(self, name) != getattr(default, name) and not found & set(those):
                raise error("E541", setting=option, path=path, formats=", ".join(those))
