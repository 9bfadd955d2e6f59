"""`spacy xlt train-generator`: train what finds candidates for CandidateProjector."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer
from tqdm import tqdm

from ..device import use_device
from ..docs import all_spans
from ..errors import error
from ._app import FORMATS, app, check_outputs, existing, friendly_errors, msg

if TYPE_CHECKING:
    from collections.abc import Mapping


@app.command("train-generator")
@friendly_errors
def train_generator_cli(
    corpus: Path = typer.Argument(..., help="Annotated text of the source language, of any format"),
    output_path: Path = typer.Argument(..., help="Model folder to write", metavar="OUT_DIR"),
    model: str = typer.Option(..., "--model", "-m", help="Model folder or Hugging Face name, such as google/mt5-small"),
    lang: str = typer.Option("xx", help="Language of CORPUS"),
    dev: Path | None = typer.Option(None, help="Annotated text to measure the generator on, also of another language"),
    dev_lang: str = typer.Option("xx", help="Language of --dev"),
    steps: int = typer.Option(3000, help="Batches to learn from"),
    batch_tokens: int = typer.Option(1024, help="Word pieces of the prompts of a batch, padding counted"),
    learning_rate: float = typer.Option(1e-4, help="Highest learning rate, after a tenth of the steps"),
    max_pieces: int = typer.Option(256, help="Sentences with more word pieces are left out"),
    seed: int = typer.Option(0, help="Of everything random"),
    format: str = typer.Option("auto", help=f"Of CORPUS and --dev: {FORMATS}"),
    encoding: str = typer.Option("utf8", help="Encoding of files of text"),
    gpu_id: int = typer.Option(-1, "--gpu-id", "-g", help="GPU, or -1 for the CPU"),
    silent: bool = typer.Option(False, "--silent", "-S", help="No progress bar and no summary"),
) -> None:
    """Train a model such as mT5 to find the spans of a sentence, as the generator of CandidateProjector.

    It learns from the annotated text of the source language alone: a sentence with a slot for each span goes in, and
    what fills the slots comes out. OUT_DIR becomes an ordinary model folder to set as `model` of SpanGenerator. It
    appears when it is complete.
    """
    from ..languages import to_spacy
    from ..projection.generator import SpanGenerator
    from ..projection.generator_training import GeneratorSettings, hit_rates, train_generator
    from ..readers import read_corpus

    settings = GeneratorSettings(
        model=model,
        steps=steps,
        batch_tokens=batch_tokens,
        learning_rate=learning_rate,
        max_pieces=max_pieces,
        seed=seed,
    )
    for path in (corpus, *([dev] if dev else [])):
        existing(path, what="corpus")
    check_outputs(output_path, inputs=[corpus, dev, Path(model)])
    use_device(gpu_id, silent=silent)
    reading: dict[str, Any] = {"format": format, "encoding": encoding}
    docs = read_corpus(corpus, lang=to_spacy(lang), **reading)
    measured = list(read_corpus(dev, lang=to_spacy(dev_lang), **reading)) if dev else []
    if dev and not any(map(all_spans, measured)):
        raise error("E521", path=dev, what="entities or other spans")
    with tqdm(total=steps, unit="step", desc="train", disable=silent) as bar:
        summary = train_generator(settings, docs, output_path, progress=lambda step, loss: _advance(bar, loss))
    if not silent:
        _show(summary, output_path)
        if measured:
            _show_rates(hit_rates(SpanGenerator(model=str(output_path)), measured), dev)


def _advance(bar: Any, loss: float) -> None:
    bar.set_postfix(loss=round(loss, 5), refresh=False)
    bar.update()


def _show(summary: Mapping[str, Any], output: Path) -> None:
    left_out = f"{summary['sentences_bare']} without spans, {summary['sentences_long']} too long"
    msg.good(f"{summary['sentences_used']} of {summary['sentences_read']} sentences used ({left_out})", str(output))
    msg.info(f"Loss {summary['loss_first']} at first, {summary['loss_last']} at last")
    msg.text(f'{summary["steps"]} steps. Use it: model = "{output}" of SpanGenerator')


def _show_rates(rates: Mapping[str, float], dev: Path | None) -> None:
    first, among = (f"{100 * rates[name]:.1f}%" for name in ("first", "any"))
    msg.info(f"Of {rates['spans']} spans of {dev}, {first} are its first candidate, {among} are among its candidates")
