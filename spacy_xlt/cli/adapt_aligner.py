"""`spacy xlt adapt-aligner`: adapt an encoder to a pair of languages with parallel text."""

from __future__ import annotations

from pathlib import Path

import typer
from tqdm import tqdm

from ..device import use_device
from ._app import app, check_outputs, existing, friendly_errors
from .adapt import show_adapted, show_step


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
    from ..adapting.self_align import SelfAlign
    from ..adapting.texts import ParallelLines
    from ..adapting.trainer import AdaptingSettings, adapt

    settings = AdaptingSettings(
        model=model,
        layers=layer,
        steps=steps,
        batch_tokens=batch_tokens,
        learning_rate=learning_rate,
        max_pieces=max_pieces,
        seed=seed,
    )
    for path in (source_path, target_path, *([links_path] if links_path else [])):
        existing(path, what="file")
    check_outputs(output_path, inputs=[source_path, target_path, links_path, Path(model)])
    lang = lang_tgt if tokenize else "xx"
    pairs = ParallelLines(
        source=str(source_path),
        targets={lang: str(target_path)},
        source_lang=lang_src,
        links={lang: str(links_path)} if links_path else {},
        tokenize=tokenize,
        encoding=encoding,
    )
    use_device(gpu_id, silent=silent)
    with tqdm(total=steps, unit="step", desc="adapt", disable=silent) as bar:
        objectives = {"self_align": SelfAlign(pairs=pairs)}
        summary = adapt(settings, objectives, output_path, progress=lambda step, loss: show_step(bar, step, loss))
    if not silent:
        show_adapted(summary, output_path)
