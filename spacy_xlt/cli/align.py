"""`spacy xlt align`: word links of line-parallel plain text."""

from __future__ import annotations

import gzip
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from io import TextIOWrapper
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, cast

import typer
from tqdm import tqdm

from ..device import use_device
from ._app import WITH_OVERRIDES, app, check_outputs, existing, friendly_errors, msg, paths_and_overrides

if TYPE_CHECKING:
    from ..links import Alignment
    from ..protocols import TokenPair


@app.command("align", context_settings=WITH_OVERRIDES)
@friendly_errors
def align_cli(
    ctx: typer.Context,
    source_path: Path = typer.Argument(
        ..., help="Sentences, their translations line by line, links to write", metavar="SRC [TGT] [OUT]"
    ),
    output_option: Path | None = typer.Option(None, "--output", "-o", help="The same as OUT, where there is no TGT"),
    scores_path: Path | None = typer.Option(None, "--scores", help="Also write the score of each link to this file"),
    tokens_path: Path | None = typer.Option(
        None, "--tokens", help="Also write tokens and links, as eval-alignment reads it"
    ),
    config_path: Path | None = typer.Option(None, "--config", help="Config with xlt_aligner"),
    lang_src: str = typer.Option("", help="Language of the source, for --tokenize and engines that use it"),
    lang_tgt: str = typer.Option("", help="Language of the target, for --tokenize and engines that use it"),
    tokenize: bool = typer.Option(False, "--tokenize", help="Cut the lines with spaCy's tokenizers, not at spaces"),
    encoding: str = typer.Option("utf8", help="Encoding of the input"),
    gpu_id: int = typer.Option(-1, "--gpu-id", "-g", help="GPU, or -1 for the CPU"),
    silent: bool = typer.Option(False, "--silent", "-S", help="No progress bar and no summary"),
) -> None:
    """Link the words of sentences with those of their translations, a line of Pharaoh links (0-0 1-2) for each pair.

    Without TGT, a line of SRC is 'source ||| target'; without OUT, the links go to the terminal. Tokens are what
    spaces separate, as for fast_align and awesome-align. An empty line gives an empty one. Gzipped files are read, and
    written where a name ends in .gz. With --config, settings can be overridden as in spacy train:
    --components.xlt_aligner.engine.threshold 0.4
    """
    from ..alignment.api import align_stream, pair_tokenizer
    from ..errors import error
    from ..io import is_stdout
    from ..languages import MULTI
    from ..readers.lines import read_line_pairs

    # As arguments that may be missing, TGT and OUT would take in the overrides
    paths, overrides = paths_and_overrides(ctx, ctx.args)
    if len(paths) > 2:
        more = " ".join(map(str, paths))
        raise error("E510", setting="SRC [TGT] [OUT]", value=more, expected="two paths after SRC")
    target_path, output = [*paths, None, None][:2]
    if output is not None and output_option is not None:
        raise error("E357", options="OUT and --output")
    for path in (source_path, *([target_path] if target_path else [])):
        existing(path, what="file")
    outputs = (output or output_option, scores_path, tokens_path)
    if outputs[0] is None and (also := [path for path in outputs if path is not None and is_stdout(path)]):
        raise error("E357", options=f"Standard output without OUT, and {also[0]},")
    check_outputs(*outputs, inputs=[source_path, target_path, config_path])
    use_device(gpu_id, silent=True)
    engine = _engine(config_path, overrides)
    cut = pair_tokenizer(lang_src or MULTI, lang_tgt or MULTI) if tokenize else pair_tokenizer()

    def read() -> Iterator[TokenPair]:
        return (cut(*pair) for pair in read_line_pairs(source_path, target_path, encoding=encoding))

    if getattr(engine, "needs_fit", False):
        engine.fit(tqdm(read(), unit="pair", desc="read", disable=silent))
    n_pairs = n_links = 0
    with ExitStack() as stack:
        write = _writers(stack, *outputs)
        stream = align_stream(engine, read(), source_lang=lang_src, target_lang=lang_tgt)
        for pair, alignment in tqdm(stream, unit="pair", desc="align", disable=silent):
            write(pair, alignment)
            n_pairs += 1
            n_links += len(alignment)
    if not silent and outputs[0]:
        msg.good(f"{n_pairs} pairs, {n_links} links", str(outputs[0]))


def _engine(config_path: Path | None, overrides: dict[str, Any]) -> Any:
    from ..alignment.api import default_aligner
    from ..config import find_component, load_pipeline_config
    from ..errors import error

    if config_path is not None:
        return find_component(load_pipeline_config(config_path, overrides), "xlt_aligner", config_path).engine
    if overrides:
        expected = "no settings of a config without --config"
        raise error(
            "E510", setting=f"--{next(iter(overrides))}", value=next(iter(overrides.values())), expected=expected
        )
    return default_aligner()


def _writers(
    stack: ExitStack, links: Path | None, scores: Path | None, tokens: Path | None
) -> Callable[[TokenPair, Alignment], None]:
    """What writes each pair; the files take their names when the stack closes well."""
    to_links = sys.stdout if links is None else _open(stack, links)
    to_scores = None if scores is None else _open(stack, scores)
    to_tokens = None if tokens is None else _open(stack, tokens)

    def write(pair: TokenPair, alignment: Alignment) -> None:
        to_links.write(alignment.to_pharaoh() + "\n")
        if to_scores is not None:
            to_scores.write(" ".join(f"{score:.4f}" for score in alignment.scores) + "\n")
        if to_tokens is not None:
            to_tokens.write("\t".join([*(" ".join(side) for side in pair), alignment.to_pharaoh()]) + "\n")

    return write


def _open(stack: ExitStack, path: Path) -> IO[str]:
    from ..io import replacing

    beside = stack.enter_context(replacing(path))
    if path.suffix == ".gz":
        raw = stack.enter_context(beside.open("wb"))
        # Without name and time of day in the header, the same links give the same bytes
        packed = stack.enter_context(gzip.GzipFile(filename="", mode="wb", fileobj=raw, mtime=0))
        return stack.enter_context(TextIOWrapper(cast(Any, packed), encoding="utf8", newline="\n"))
    return stack.enter_context(beside.open("w", encoding="utf8", newline="\n"))
