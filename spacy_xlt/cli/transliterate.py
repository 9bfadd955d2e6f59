"""`spacy xlt transliterate`: the words of a corpus, or some of them, in other letters."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import tee
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from ..errors import error, warn
from ..languages import MULTI
from ._app import FORMATS, app, check_outputs, existing, friendly_errors, msg, names_in

if TYPE_CHECKING:
    from spacy.tokens import Doc

    from ..transliteration import Choice, Writer

SPACY, JSONL, TXT = ".spacy", ".jsonl", ".txt"


@app.command("transliterate")
@friendly_errors
def transliterate_cli(
    input_path: Path = typer.Argument(..., help="Text, annotated or not: a file or a folder", metavar="IN"),
    output_path: Path = typer.Argument(..., help="File to write: .spacy, .jsonl or .txt", metavar="OUT"),
    table: Path | None = typer.Option(
        None, help="Which letters become which: letters, a tab, letters; Latin ones by uroman if left out"
    ),
    lang: str = typer.Option(MULTI, "--lang", "-l", help="Language code of the text"),
    words: Path | None = typer.Option(None, help="File of words: only these"),
    tags: str = typer.Option(
        "", help="Parts of speech, tags or entity labels, with commas between: only words that have one"
    ),
    pipeline: str = typer.Option("", help="Trained pipeline that says the tags, in the place of the corpus"),
    others: bool = typer.Option(False, "--others", help="All words but those of --words and --tags"),
    format: str = typer.Option("auto", "--format", "-f", help=FORMATS),
    encoding: str = typer.Option("utf8", help="Encoding of the input"),
    overwrite: bool = typer.Option(False, "--overwrite", help="Replace the output if it is there already"),
) -> None:
    """Write the words of a corpus in other letters: Latin ones, or those of a table of one's own.

    Tokens stay tokens, and a .spacy keeps every annotation; a .jsonl has tokens, spans and links, a .txt a text on
    each line. A .txt that is read has a document on each line. In the table the most letters go first, ^ and $ stand
    for the beginning and the end of a word, and upper case is that of the text.
    """
    from ..readers import read_corpus
    from ..readers.files import raw_format
    from ..transliteration import choice, writer

    wanted = names_in(tags)
    if pipeline and not wanted:
        raise error("E510", setting="--pipeline", value=pipeline, expected="--tags beside it")
    existing(input_path, what="corpus")
    check_outputs(output_path, inputs=[input_path, table, words, Path(pipeline) if pipeline else None])
    if output_path.suffix not in (SPACY, JSONL, TXT):
        expected = f"a name that ends in {SPACY}, {JSONL} or {TXT}"
        raise error("E510", setting="OUT", value=str(output_path), expected=expected)
    if output_path.is_dir():
        raise error("E553", path=output_path, reason="is a folder")
    if output_path.is_file() and not overwrite:
        raise error("E554", path=output_path)
    write, chosen = writer(table=table, lang=lang), choice(words=words, tags=wanted, others=others)
    form = raw_format(input_path) if format == "auto" else format
    docs = read_corpus(input_path, format=form, lang=lang, encoding=encoding)
    counts, known = Counter[str](), set[str]()
    _write(output_path, _written(docs, write, chosen, pipeline, counts, known, path=input_path))
    if absent := [tag for tag in wanted if tag not in known]:
        names = ", ".join(sorted(known)) or "none"
        warn("W577", path=pipeline or input_path, tags=", ".join(absent), known=names)
    numbers = f"{counts['documents']} documents; {counts['changed']} of {counts['tokens']} tokens are in other letters"
    msg.good(numbers, str(output_path))


def _written(
    docs: Iterable[Doc],
    write: Writer,
    chosen: Choice | None,
    pipeline: str,
    counts: Counter[str],
    known: set[str],
    *,
    path: Path,
) -> Iterator[Doc]:
    """The documents in other letters, counted, with the tags that were seen."""
    from ..transliteration import tags_of, transliterated

    for doc, asked in _asked(docs, pipeline):
        new = transliterated(doc, write, chosen, asked=asked)
        counts["documents"] += 1
        counts["tokens"] += len(doc)
        counts["changed"] += sum(a.text != b.text for a, b in zip(doc, new, strict=True))
        if chosen is not None:
            known.update(*map(tags_of, asked))
        yield new
    if not counts["documents"]:
        raise error("E503", path=path)


def _asked(docs: Iterable[Doc], pipeline: str) -> Iterator[tuple[Doc, Doc]]:
    """Each document beside the one whose tags count: itself, or its tokens as a pipeline annotates them."""
    if not pipeline:
        yield from ((doc, doc) for doc in docs)
        return
    from ..docs import with_vocab
    from ..subpipeline import load_pipeline

    nlp = load_pipeline(pipeline, name="transliterate", setting="--pipeline")
    given, copied = tee(docs)
    yield from zip(given, nlp.pipe(with_vocab(doc, nlp.vocab) for doc in copied), strict=True)


def _write(path: Path, docs: Iterable[Doc]) -> None:
    from ..build.rows import document_row
    from ..io import json_bytes, replacing, write_docs
    from ..writers.spans import one_line

    if path.suffix == SPACY:
        write_docs(path, docs, store_user_data=True)
        return
    with replacing(path) as beside, beside.open("wb") as file:
        for doc in docs:
            is_json = path.suffix == JSONL
            file.write(
                json_bytes(document_row(doc), allow_nan=False) if is_json else f"{one_line(doc.text)}\n".encode()
            )
