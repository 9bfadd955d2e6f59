"""`spacy xlt adapt-aligner`: adapt an encoder to a pair of languages with parallel text."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer
from tqdm import tqdm

from ..device import use_device
from ._app import app, check_outputs, existing, friendly_errors, msg

if TYPE_CHECKING:
    from ..links import Alignment
    from ..protocols import TokenPair


@app.command("adapt-aligner")
@friendly_errors
def adapt_aligner_cli(
    source_path: Path = typer.Argument(..., help="Source sentences, one a line", metavar="SRC"),
    target_path: Path = typer.Argument(..., help="Their translations, in the same order", metavar="TGT"),
    output_path: Path = typer.Argument(..., help="Model folder to write", metavar="OUT_DIR"),
    model: str = typer.Option("bundled:encoder", "--model", "-m", help="Model folder, Hugging Face name, bundled:NAME"),
    layer: int = typer.Option(6, help="Layer whose vectors will be compared; layers above are left out"),
    steps: int = typer.Option(300, help="Batches to learn from"),
    batch_tokens: int = typer.Option(1024, help="Word pieces a batch, both sides and padding counted"),
    learning_rate: float = typer.Option(5e-5, help="Highest learning rate, after a tenth of the steps"),
    links_path: Path | None = typer.Option(None, "--links", help="Pharaoh links of each pair, instead of its own"),
    max_pieces: int = typer.Option(128, help="Sentences with more word pieces are left out"),
    seed: int = typer.Option(0, help="Of everything random"),
    tokenize: bool = typer.Option(False, "--tokenize", help="Cut the lines into tokens with spaCy's tokenizers"),
    lang_src: str = typer.Option("xx", help="Language of SRC, for --tokenize"),
    lang_tgt: str = typer.Option("xx", help="Language of TGT, for --tokenize"),
    encoding: str = typer.Option("utf8", help="Encoding of the files"),
    gpu_id: int = typer.Option(-1, "--gpu-id", "-g", help="GPU, or -1 for the CPU"),
    silent: bool = typer.Option(False, "--silent", "-S", help="No progress bar and no summary"),
) -> None:
    """Adapt an encoder to parallel text, so that its vectors align the words of the pair better.

    OUT_DIR becomes an ordinary model folder to set as `model` of EmbeddingAligner, with the same layer. It appears when
    it is complete.
    """
    from ..alignment.api import pair_tokenizer
    from ..alignment.trainer import AdaptingSettings, adapt

    settings = AdaptingSettings(
        model=model,
        layer=layer,
        steps=steps,
        batch_tokens=batch_tokens,
        learning_rate=learning_rate,
        max_pieces=max_pieces,
        seed=seed,
    )
    for path in (source_path, target_path, *([links_path] if links_path else [])):
        existing(path, what="file")
    check_outputs(output_path, inputs=[source_path, target_path, links_path, Path(model)])
    tokenizer = pair_tokenizer(lang_src, lang_tgt) if tokenize else pair_tokenizer()
    use_device(gpu_id, silent=silent)
    pairs = _pairs(source_path, target_path, links_path, tokenizer, encoding)
    with closing(pairs), tqdm(total=steps, unit="step", desc="adapt", disable=silent) as bar:
        summary = adapt(settings, pairs, output_path, progress=lambda step, loss: _advance(bar, loss))
    if not silent:
        _show(summary, output_path)


def _advance(bar: Any, loss: float) -> None:
    bar.set_postfix(loss=round(loss, 5), refresh=False)
    bar.update()


def _pairs(
    source: Path, target: Path, links: Path | None, tokenizer: Any, encoding: str
) -> Generator[tuple[TokenPair, Alignment | None], None, None]:
    from ..errors import XltError, error
    from ..links import Alignment
    from ..readers.lines import read_line_pairs, read_parallel

    if links is None:
        for a, b in read_line_pairs(source, target, encoding=encoding):
            yield tokenizer(a, b), None
        return
    rows = read_parallel([source, target, links], encoding=encoding)
    for number, (a, b, pharaoh) in enumerate(rows, start=1):
        first, second = tokenizer(a, b)
        try:
            alignment = Alignment.from_pharaoh(pharaoh).check(len(first), len(second))
        except XltError as err:
            raise error("E531", path=links, line=number, reason=err.message) from err
        yield (first, second), alignment


def _show(summary: dict[str, Any], output: Path) -> None:
    left_out = f"{summary['pairs_long']} too long, {summary['pairs_empty']} with an empty side"
    msg.good(f"{summary['pairs_used']} of {summary['pairs_read']} pairs used ({left_out})", str(output))
    msg.info(f"Loss {summary['loss_first']} at first, {summary['loss_last']} at last")
    msg.text(f'{summary["steps"]} steps. Use it: model = "{output}", layer = {summary["layer"]}')
