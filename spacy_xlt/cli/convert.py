"""`spacy xlt convert`: annotated text in columns → a `.spacy` corpus."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer
from wasabi import msg

from ._app import app, friendly_errors, names_in

if TYPE_CHECKING:
    from ..readers.conll import Counts
    from ..review.accepted import AcceptedReader


@app.command("convert")
@friendly_errors
def convert_cli(
    input_path: Path = typer.Argument(..., help="File of columns, or of JSON lines", metavar="INPUT"),
    output_path: Path = typer.Argument(..., help="Corpus to write (.spacy)", metavar="OUTPUT"),
    format: str = typer.Option("iob2", "--format", "-f", help="iob2, conll, tsv or prodigy"),
    token_col: int | None = typer.Option(None, help="Column of the token, counted from 1; negative from the end"),
    tag_col: int | None = typer.Option(None, help="Column of the entity tag, counted from 1; negative from the end"),
    lang: str = typer.Option("xx", "--lang", "-l", help="Language code of the text"),
    labels: str = typer.Option("", help="Labels to keep, with commas between; all if left out"),
    n_sents: int = typer.Option(1, "--n-sents", "-n", help="Sentences a document"),
    spans_key: str = typer.Option("", help="Also put the entities into this span group, to train and score spancat"),
    encoding: str = typer.Option("utf8", help="Encoding of the input"),
) -> None:
    """Convert annotated text in columns, or in JSON lines, to a .spacy corpus.

    iob2: token in column 2, tag in column 3, comments kept apart and used (UniversalNER); conll: token first, tag
    last; tsv: token and tag. Sentences end at blank lines. prodigy: JSON lines as Prodigy and the page of
    `view --review` save them, of which those that were accepted are taken.
    """
    from ..docs import copy_ents
    from ..io import write_docs
    from ..languages import blank
    from ..readers.conll import ColumnReader, Counts

    wanted = frozenset(names_in(labels)) or None
    if format == "prodigy":
        from ..review.accepted import AcceptedReader

        accepted = AcceptedReader(lang=lang, labels=wanted, spans_key=spans_key, encoding=encoding)
        write_docs(output_path, accepted.read(input_path))
        _report_accepted(accepted, output_path)
        return
    reader = ColumnReader(
        format=format,
        token_col=token_col,
        tag_col=tag_col,
        n_sents=n_sents,
        labels=wanted,
        encoding=encoding,
    )
    counts = Counts()
    docs = reader.stream(input_path, blank(lang).vocab, counts)
    # Columns leave no entity unknown, so that every document gets its group
    write_docs(output_path, (doc for doc in docs if not spans_key or copy_ents(doc, spans_key)))
    _report(counts, output_path)


def _report(counts: Counts, path: Path) -> None:
    entities = ", ".join(f"{label} {n}" for label, n in sorted(counts.entities.items())) or "no entities"
    msg.good(f"{counts.docs} documents, {counts.sentences} sentences, {counts.tokens} tokens; {entities}", str(path))
    if counts.dropped:
        msg.info("Labels left out: " + ", ".join(f"{label} {n}" for label, n in sorted(counts.dropped.items())))
    if counts.repaired:
        msg.info(f"{counts.repaired} entities begin with an I- tag, as in IOB1")
    if counts.no_text:
        msg.warn(f"{counts.no_text} sentences: the raw text does not fit the tokens, so a space follows each token")


def _report_accepted(reader: AcceptedReader, path: Path) -> None:
    spans = ", ".join(f"{label} {n}" for label, n in sorted(reader.spans.items())) or "no spans"
    msg.good(f"{reader.docs} documents; {spans}", str(path))
    for answer, n in sorted(reader.left_out.items()):
        msg.info(f'{n} lines with the answer "{answer}" left out')
