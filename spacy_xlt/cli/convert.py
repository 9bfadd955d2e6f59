"""`spacy xlt convert`: annotated text in columns → a `.spacy` corpus."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer
from wasabi import msg

from ._app import app, friendly_errors

if TYPE_CHECKING:
    from ..corpus.columns import Counts


@app.command("convert")
@friendly_errors
def convert_cli(
    input_path: Path = typer.Argument(..., help="File of columns", metavar="INPUT"),
    output_path: Path = typer.Argument(..., help="Corpus to write (.spacy)", metavar="OUTPUT"),
    format: str = typer.Option("iob2", "--format", "-f", help="iob2, conll or tsv"),
    token_col: int | None = typer.Option(None, help="Column of the token, counted from 1; negative from the end"),
    tag_col: int | None = typer.Option(None, help="Column of the entity tag, counted from 1; negative from the end"),
    lang: str = typer.Option("xx", "--lang", "-l", help="Language code of the text"),
    labels: str = typer.Option("", help="Labels to keep, with commas between; all if left out"),
    n_sents: int = typer.Option(1, "--n-sents", "-n", help="Sentences a document"),
    spans_key: str = typer.Option("", help="Also put the entities into this span group, to train and score spancat"),
    encoding: str = typer.Option("utf8", help="Encoding of the input"),
) -> None:
    """Convert annotated text in columns to a .spacy corpus.

    iob2: token in column 2, tag in column 3, comments kept apart and used (UniversalNER); conll: token first, tag
    last; tsv: token and tag. Sentences end at blank lines.
    """
    from ..corpus.columns import ColumnReader, Counts
    from ..corpus.writing import write_docs
    from ..languages import blank
    from ..training.relabel import copy_ents

    reader = ColumnReader(
        format=format,
        token_col=token_col,
        tag_col=tag_col,
        n_sents=n_sents,
        labels=frozenset(label.strip() for label in labels.split(",") if label.strip()) or None,
        encoding=encoding,
    )
    counts = Counts()
    docs = reader.read(input_path, blank(lang).vocab, counts)
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
