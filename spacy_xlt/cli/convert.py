"""`spacy xlt convert`: annotated text of any format → a `.spacy` corpus."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from ._app import FORMATS, app, check_outputs, friendly_errors, msg, names_in

if TYPE_CHECKING:
    from spacy.tokens import Doc

    from ..readers import ReadNotes

_NO_SENTENCES = "documents without sentences"


@app.command("convert")
@friendly_errors
def convert_cli(
    input_path: Path = typer.Argument(..., help="Annotated text: a file or a folder", metavar="INPUT"),
    output_path: Path = typer.Argument(..., help="Corpus to write (.spacy)", metavar="OUTPUT"),
    format: str = typer.Option("auto", "--format", "-f", help=FORMATS),
    token_col: int | None = typer.Option(None, help="Column of the token, counted from 1; negative from the end"),
    tag_col: int | None = typer.Option(None, help="Column of the entity tag, counted from 1; negative from the end"),
    lang: str = typer.Option("xx", "--lang", "-l", help="Language code of the text"),
    labels: str = typer.Option("", help="Labels to keep, with commas between; all if left out"),
    n_sents: int = typer.Option(1, "--n-sents", "-n", help="Sentences a document"),
    spans_key: str = typer.Option("", help="Also put the entities into this span group, to train and score spancat"),
    encoding: str = typer.Option("utf8", help="Encoding of the input"),
    dev: Path | None = typer.Option(None, help="Also a development set (.spacy), of documents kept back from OUTPUT"),
    dev_share: float = typer.Option(0.1, help="Share of the documents for --dev, between 0 and 1"),
) -> None:
    """Convert annotated text to a .spacy corpus.

    iob2: token in column 2, tag in column 3, comments kept apart and used (UniversalNER); conll: token first, tag
    last; tsv: token and tag. Sentences end at blank lines. jsonl: JSON lines of Prodigy, doccano and the page of
    `view --review`, of which those that were accepted are taken; prodigy: the same, without lines whose spans do not
    begin and end with tokens. brat: texts with .ann beside them. Without --format, the name of the file tells it.
    With --dev, copies of a text are on the same side, always the same one.
    """
    from ..errors import error, warn
    from ..io import write_docs
    from ..readers import ReadNotes, read_corpus

    check_outputs(output_path, dev, inputs=[input_path])
    if not 0 < dev_share < 1:
        raise error("E510", setting="--dev-share", value=dev_share, expected="a share between 0 and 1, such as 0.1")
    notes, counts = ReadNotes(), Counter[str]()
    docs = read_corpus(
        input_path,
        notes=notes,
        format=format,
        token_col=token_col,
        tag_col=tag_col,
        lang=lang,
        labels=frozenset(names_in(labels)) or None,
        n_sents=n_sents,
        spans_key=spans_key,
        encoding=encoding,
    )
    docs = _counted(docs, counts, input_path)
    if dev is None:
        write_docs(output_path, docs, store_user_data=True)
    else:
        from ..build.shards import side_of

        sides: dict[str, list[Doc]] = {"train": [], "dev": []}
        for doc in docs:
            sides[side_of(doc, dev=dev_share, seed=0)].append(doc)
        write_docs(output_path, sides["train"], store_user_data=True)
        write_docs(dev, sides["dev"], store_user_data=True)
    _report(notes, counts, output_path)
    if dev is not None:
        msg.info(f"{len(sides['dev'])} of the documents are kept back for development", str(dev))
        for side, docs_of_side in sides.items():
            if not docs_of_side:
                warn("W550", side=side, n=counts["documents"], share=dev_share)


def _counted(docs: Iterable[Doc], counts: Counter[str], path: Path) -> Iterator[Doc]:
    from ..errors import error

    for doc in docs:
        counts["documents"] += 1
        if doc.has_annotation("SENT_START"):
            counts["sentences"] += sum(1 for _ in doc.sents)
        else:
            counts[_NO_SENTENCES] += 1
        counts["tokens"] += len(doc)
        yield doc
    if not counts["documents"]:
        raise error("E503", path=path)


def _report(notes: ReadNotes, counts: Counter[str], path: Path) -> None:
    unmarked = counts.pop(_NO_SENTENCES, 0)
    size = ", ".join(f"{n} {what}" for what, n in counts.items())
    msg.good(f"{size}; {_numbers(notes.labels) or 'no entities'}", str(path))
    if unmarked:
        msg.info(f"{unmarked} documents have no sentences marked; where they are needed, punctuation ends them")
    if notes.dropped:
        msg.info(f"Labels left out: {_numbers(notes.dropped)}")
    if n := notes.counts["repaired"]:
        msg.info(f"{n} entities begin with an I- tag, as in IOB1")


def _numbers(counts: Counter[str]) -> str:
    return ", ".join(f"{label} {n}" for label, n in sorted(counts.items()))
