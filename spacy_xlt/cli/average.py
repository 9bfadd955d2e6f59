"""`spacy xlt average`: one pipeline with the mean of several pipelines' weights."""

from __future__ import annotations

from pathlib import Path

import typer

from ..errors import error
from ._app import app, check_outputs, friendly_errors, msg


@app.command("average")
@friendly_errors
def average_cli(
    output_path: Path = typer.Argument(..., help="Folder to write the pipeline to", metavar="OUT"),
    paths: list[Path] = typer.Argument(..., help="Trained pipelines, or folders of snapshots", metavar="MODEL..."),
    weights: str = typer.Option("", help="A weight for each pipeline, with commas between; all the same if left out"),
    force: bool = typer.Option(False, "--force", "-F", help="Write over a pipeline that is there"),
) -> None:
    """Average the weights of trained pipelines: of snapshots of one training, or of runs that differ in their seed.

    The pipelines must have the same components, labels in the same order, and encoder. Runs must have begun from the
    same values (spacy_xlt.head_seed.v1). The result is an ordinary pipeline; its meta.json says what it is made of.
    """
    from ..training.average import average_pipelines, check_output, check_weights, find_members, write_average

    members = find_members(paths)
    check_outputs(output_path, inputs=[*paths, *members])
    shares = check_weights(_numbers(weights), len(members))
    check_output(output_path, members=members, force=force)
    nlp, average = average_pipelines(members, weights=shares)
    write_average(nlp, output_path, members=members, force=force)
    rows = [
        (f"{share:.3f}", ", ".join(f"{name} {cosine:.2f}" for name, cosine in likeness.items()), str(member))
        for member, share, likeness in zip(members, average.weights, [{}, *average.cosines], strict=True)
    ]
    msg.table(rows, header=("weight", "cosine to the first", "pipeline"), divider=True, max_col=100)
    changed = 100 * average.n_changed / max(1, average.n_values)
    msg.good(
        f"Average of {len(members)} pipelines; {changed:.0f}% of {average.n_values:,} weights differ", str(output_path)
    )


def _numbers(weights: str) -> list[float] | None:
    if not weights:
        return None
    try:
        return [float(weight) for weight in weights.split(",")]
    except ValueError as err:
        raise error("E510", setting="--weights", value=weights, expected="numbers with commas between") from err
