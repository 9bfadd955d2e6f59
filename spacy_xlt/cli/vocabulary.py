"""`spacy xlt vocabulary`: another vocabulary for an encoder, without training."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from tqdm import tqdm

from ..device import use_device
from ._app import app, check_outputs, existing, friendly_errors, msg

if TYPE_CHECKING:
    from spacy.tokens import Doc

vocabulary = typer.Typer(
    name="vocabulary",
    help="Give an encoder fewer pieces, romanised ones, or those of another language, without training.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
app.add_typer(vocabulary)

Model = Annotated[str, typer.Argument(help="Model folder, Hugging Face name, bundled:NAME", metavar="MODEL")]
Output = Annotated[Path, typer.Argument(help="Model folder to write", metavar="OUT_DIR")]
Encoding = Annotated[str, typer.Option("--encoding", help="Encoding of the texts")]
Silent = Annotated[bool, typer.Option("--silent", "-S", help="No progress bar and no summary")]
# Of a tokenizer that is made, where nothing else is said
_PIECES = 16_000


@vocabulary.command("trim")
@friendly_errors
def trim_cli(
    model: Model,
    output: Output,
    texts: Annotated[list[Path], typer.Argument(help="Plain text, a sentence a line, or corpora", metavar="TEXTS...")],
    min_count: Annotated[int, typer.Option("--min-count", help="How often a piece must be used to stay")] = 1,
    lang: Annotated[str, typer.Option("--lang", "-l", help="Language whose tokenizer cuts plain text")] = "xx",
    encoding: Encoding = "utf8",
    silent: Silent = False,
) -> None:
    """
    Keep only the pieces that texts use, single characters and special ones.

    The texts are cut into the same pieces as before, and their vectors stay the same; what the model and a pipeline on
    it take on the disk is less. Give all texts to train on, and raw text like what the pipeline will read.

    OUT_DIR becomes an ordinary model folder. It appears when it is complete.
    """
    from ..errors import error
    from ..vocabulary import trim

    if min_count < 1:
        raise error("E510", setting="--min-count", value=min_count, expected="a number from 1")
    _check(output, model, *texts)
    summary = trim(model, _docs(texts, lang, encoding, silent), output, min_count=min_count)
    if not silent:
        _show(summary, output)


@vocabulary.command("romanise")
@friendly_errors
def romanise_cli(
    model: Model,
    output: Output,
    texts: Annotated[
        list[Path] | None,
        typer.Argument(help="Not romanised: plain text, a sentence a line, or corpora", metavar="[TEXTS]..."),
    ] = None,
    lang: Annotated[str, typer.Option("--lang", "-l", help="Language of the texts, for how letters are read")] = "xx",
    encoding: Encoding = "utf8",
    silent: Silent = False,
) -> None:
    """
    Add the romanised forms of pieces in other scripts, with the vectors of these.

    Text in Latin letters, such as chats in Russian or Hindi, is then cut into what the model has learnt of the language
    in its own script. Of TEXTS the pieces that they use are romanised, without TEXTS all. For text that `spacy xlt
    transliterate` or the augmenter romanise makes. Needs: pip install 'spacy-xlt[romanise]'

    OUT_DIR becomes an ordinary model folder. It appears when it is complete.
    """
    from ..vocabulary import romanise

    _check(output, model, *(texts or ()))
    docs = _docs(texts, lang, encoding, silent) if texts else None
    summary = romanise(model, docs, output, lang=lang)
    if not silent:
        _show(summary, output)
        msg.text(f"{summary['romanised']} pieces romanised; {summary['added']} forms are new")


@vocabulary.command("transfer")
@friendly_errors
def transfer_cli(
    model: Model,
    output: Output,
    source_path: Annotated[Path, typer.Argument(help="Sentences in a language the model knows", metavar="SRC")],
    target_path: Annotated[Path, typer.Argument(help="Their translations, in the same order", metavar="TGT")],
    tokenizer: Annotated[
        Path | None, typer.Option("--tokenizer", help="Folder with the tokenizer.json to take, instead of one from TGT")
    ] = None,
    n_pieces: Annotated[
        int | None, typer.Option("--pieces", help=f"The most pieces of a tokenizer made from TGT [default: {_PIECES}]")
    ] = None,
    links_path: Annotated[
        Path | None, typer.Option("--links", help="Pharaoh links of each pair, instead of the model's own")
    ] = None,
    tokenize: Annotated[bool, typer.Option("--tokenize", help="Cut the lines with spaCy's tokenizers")] = False,
    lang_src: Annotated[str, typer.Option("--lang-src", help="Language of SRC, for --tokenize")] = "xx",
    lang_tgt: Annotated[str, typer.Option("--lang-tgt", help="Language of TGT, for --tokenize")] = "xx",
    encoding: Encoding = "utf8",
    gpu_id: Annotated[int, typer.Option("--gpu-id", "-g", help="GPU, or -1 for the CPU")] = -1,
    silent: Silent = False,
) -> None:
    """
    Give the model the pieces of another language, with vectors from word links.

    Each new piece gets the mean vector of the pieces in the words that its own words are linked to in parallel text;
    pieces that the model has already keep theirs. To be trained on, such as with `spacy xlt adapt`.

    OUT_DIR becomes an ordinary model folder. It appears when it is complete.
    """
    from ..adapting.texts import ParallelLines
    from ..errors import error
    from ..vocabulary import transfer

    if n_pieces is not None and (n_pieces < 1 or tokenizer is not None):
        expected = "a number from 1, and no --tokenizer, whose pieces are all taken"
        raise error("E510", setting="--pieces", value=n_pieces, expected=expected)
    _check(output, model, *(path for path in (source_path, target_path, links_path, tokenizer) if path is not None))
    use_device(gpu_id, silent=silent)
    read = ParallelLines(
        source=str(source_path),
        targets={lang_tgt: str(target_path)},
        source_lang=lang_src,
        links={lang_tgt: str(links_path)} if links_path else {},
        tokenize=tokenize,
        encoding=encoding,
    )
    pairs = (((pair.source, pair.target), pair.links) for pair in tqdm(read, unit="pair", desc="read", disable=silent))
    summary = transfer(model, pairs, output, tokenizer=tokenizer, n_pieces=n_pieces or _PIECES)
    if not silent:
        _show(summary, output)
        ways = {"kept": "are the model's own", "linked": "from links", "cut": "from their parts", "mean": "the mean"}
        msg.text(", ".join(f"{summary[way]} {said}" for way, said in ways.items()))


def _check(output: Path, model: str, *paths: Path) -> None:
    for path in paths:
        existing(path, what="input")
    check_outputs(output, inputs=[*paths, Path(model)])


def _docs(paths: list[Path], lang: str, encoding: str, silent: bool) -> Iterator[Doc]:
    from ..languages import to_spacy
    from ..readers import ReadSettings, corpus_files, read_file
    from ..readers.files import text_format

    every = [(path, ReadSettings(format=text_format(path), lang=to_spacy(lang), encoding=encoding)) for path in paths]
    files = [(file, reading) for path, reading in every for file in corpus_files(path, reading)]
    docs = (doc for file, reading in files for doc in read_file(file, reading))
    yield from tqdm(docs, unit="doc", desc="read", disable=silent)


def _show(summary: dict[str, Any], output: Path) -> None:
    msg.good(
        f"{summary['pieces_before']} pieces before, {summary['pieces_after']} after; {summary['mb_before']:.1f} MB "
        f"of weights before, {summary['mb_after']:.1f} after",
        str(output),
    )
