"""Gold from annotated JSON lines: the texts that were accepted, as documents."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from spacy.tokens import Doc

from ..errors import error, warn
from ..languages import MULTI, blank
from ..readers.jsonl import ACCEPT, Annotated, AnnotationReader, to_doc
from .records import lines_named


@dataclass
class AcceptedReader:
    """Reads what was accepted as documents.

    lang (str): Language of the text.
    labels (frozenset[str] | None): Labels to keep; all where left out.
    spans_key (str): Also put the entities into this span group.
    docs (int): Documents read.
    spans (Counter[str]): Their spans by label.
    left_out (Counter[str]): Lines with another answer than "accept".
    """

    lang: str = MULTI
    labels: frozenset[str] | None = None
    spans_key: str = ""
    encoding: str = "utf8"
    docs: int = 0
    spans: Counter[str] = field(default_factory=Counter)
    left_out: Counter[str] = field(default_factory=Counter)

    def read(self, path: str | Path) -> Iterator[Doc]:
        """Read a file.

        YIELDS (Doc): A document for each line that was accepted.
        RAISES (XltError): As `AnnotationReader`; E566 for entities that overlap without `spans_key`; E568 where
            nothing was accepted.
        """
        vocab = blank(self.lang).vocab
        for one in self.lines(path):
            yield to_doc(one, vocab, path=path, spans_key=self.spans_key)

    def lines(self, path: str | Path) -> Iterator[Annotated]:
        """As `read`, with each line as it stands there."""
        reader = AnnotationReader(lang=self.lang, encoding=self.encoding)
        for one in reader.read(path):
            if one.answer != ACCEPT:
                self.left_out[one.answer] += 1
                continue
            kept = [span for span in one.spans if self.labels is None or span[2] in self.labels]
            self.docs += 1
            self.spans.update(span[2] for span in kept)
            yield replace(one, spans=kept)
        if reader.misfits:
            numbers, reason = [n for n, _ in reader.misfits], reader.misfits[0][1]
            warn("W562", n=len(numbers), path=path, lines=lines_named(numbers), reason=reason)
        if not self.docs:
            raise error("E568", path=path, what='line with the answer "accept"')
