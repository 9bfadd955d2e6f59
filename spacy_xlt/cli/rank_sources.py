"""`spacy xlt rank-sources`: which annotated corpus to learn from."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import typer
from tqdm import tqdm

from ..device import use_device
from ..errors import error
from ._app import app, echo, existing, friendly_errors, msg

if TYPE_CHECKING:
    from ..teaching.ranking import Ranked


@app.command("rank-sources")
@friendly_errors
def rank_sources_cli(
    raw: Path = typer.Argument(..., help="Text in the target language: .txt, a sentence a line, or a corpus"),
    corpora: list[str] = typer.Argument(
        ..., help="Annotated corpora (.spacy); with their language as en=PATH", metavar="CORPUS..."
    ),
    lang: str = typer.Option("xx", help="Language of the target text"),
    model: str = typer.Option("bundled:encoder", "--model", "-m", help="Model folder, Hugging Face name, bundled:NAME"),
    layer: int = typer.Option(6, help="Layer whose vectors are compared, a middle one"),
    sentences: int = typer.Option(100, help="The most target sentences that are compared"),
    words: int = typer.Option(
        5000, help="The most words of each corpus that are compared; of all as many as of the least"
    ),
    encoding: str = typer.Option("utf8", help="Encoding of the target text"),
    gpu_id: int = typer.Option(-1, "--gpu-id", "-g", help="GPU, or -1 for the CPU"),
    silent: bool = typer.Option(False, "--silent", "-S", help="No progress bar"),
) -> None:
    """Rank annotated corpora as sources for a target language, by how near their words are to the target's.

    Prints a table, and [corpora.train.sources] for a training config. A corpus is at its best where many of the nearest
    neighbours of the target's words, by the vectors of an encoder, are its own. Beside that stand what it shares with
    the target text, its size, and how far the languages are apart.
    """
    from ..alignment.encoder import Encoder
    from ..languages import to_spacy
    from ..readers import ReadSettings, corpus_files, read_file
    from ..readers.docbin import read_docs
    from ..readers.files import raw_format
    from ..teaching.ranking import Corpus, rank_sources, sources_block

    if len(corpora) < 2:
        raise error("E510", setting="CORPUS", value=" ".join(corpora), expected="two corpora or more to rank")
    for setting, value in (("--sentences", sentences), ("--words", words)):
        if value < 1:
            raise error("E510", setting=setting, value=value, expected="a number from 1")
    parsed = [_parse(text) for text in corpora]
    for path in (raw, *(path for _, path in parsed)):
        existing(path, what="corpus")
    use_device(gpu_id, silent=silent)
    encoder = Encoder(model, layer)
    reading = ReadSettings(format=raw_format(raw), lang=to_spacy(lang), encoding=encoding)
    text = (doc for file in corpus_files(raw, reading) for doc in read_file(file, reading))
    target = Corpus("target", reading.lang, str(raw)).add(text)
    read: list[Corpus] = []
    for code, path in tqdm(parsed, desc="read", unit="corpus", disable=silent):
        name = _name(code, path, taken={corpus.name for corpus in read})
        read.append(Corpus(name, code, str(path)).add(read_docs(path, lang=code)))
    ranked, n_words = rank_sources(target, read, encoder, n_sentences=sentences, n_words=words)
    _show(ranked)
    msg.info(f"{n_words} words of each corpus, layer {layer} of {model}")
    echo("")
    echo(sources_block(ranked))


def _parse(text: str) -> tuple[str, Path]:
    """Language and path of `en=PATH`, or of a path alone."""
    from ..languages import MULTI, to_spacy

    match = re.fullmatch(r"([A-Za-z_-]{2,})=(.+)", text, re.DOTALL)
    return (to_spacy(match[1]), Path(match[2])) if match and not Path(text).exists() else (MULTI, Path(text))


def _name(code: str, path: Path, *, taken: set[str]) -> str:
    """The language, or what the path is called, made one of its own."""
    name = code if code != "xx" else re.sub(r"\W+", "_", path.name.partition(".")[0]) or "source"
    number = next(n for n in range(1, len(taken) + 2) if (name if n == 1 else f"{name}_{n}") not in taken)
    return name if number == 1 else f"{name}_{number}"


def _show(ranked: list[Ranked]) -> None:
    rows = [
        (
            one.corpus.name,
            f"{100 * one.neighbours:.1f}",
            f"{100 * one.vocabulary:.1f}",
            f"{100 * one.entities:.1f}",
            one.corpus.n_docs,
            one.corpus.n_words,
            one.corpus.entities.total(),
            "-" if one.distance is None else one.distance,
            one.corpus.path,
        )
        for one in ranked
    ]
    head = ("source", "neighbours %", "words %", "entities %", "docs", "words", "entities", "distance", "path")
    msg.table(rows, header=head, aligns=("l", *"rrrrrrr", "l"), divider=True, max_col=60)
