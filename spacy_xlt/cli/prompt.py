"""`spacy xlt prompt`: what a language model is sent."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from ._app import app, echo, friendly_errors, names_in


def _translate(text: str | None, *, source: str, target: str, **_: Any) -> dict[str, Any]:
    from ..translation.llm import example_values

    return example_values(text, source=source, target=target)


def _project(text: str | None, *, source: str, target: str, **_: Any) -> dict[str, Any]:
    from ..projection.llm import example_values

    return example_values(text, source=source, target=target)


def _annotate(text: str | None, *, source: str, labels: str, pivot: str, **_: Any) -> dict[str, Any]:
    from ..annotate.llm import EXAMPLE, EXAMPLE_LABELS, prompt_values

    named = dict.fromkeys(names_in(labels), "") or EXAMPLE_LABELS
    return prompt_values(EXAMPLE if text is None else text, named, lang=source, pivot=pivot or None)


# What each prompt is filled with, by its name
_VALUES: dict[str, Callable[..., dict[str, Any]]] = {
    "translate": _translate,
    "project": _project,
    "annotate": _annotate,
}


@app.command("prompt")
@friendly_errors
def prompt_cli(
    name: Annotated[str, typer.Argument(help=f"What the prompt is for: {' or '.join(_VALUES)}")],
    source: Annotated[str, typer.Option(help="Language code of the text")] = "en",
    target: Annotated[str, typer.Option(help="Of translate and project: language code of the translation")] = "pt",
    labels: Annotated[
        str, typer.Option(help="Of annotate: labels, with commas between; an example if left out", show_default=False)
    ] = "",
    pivot: Annotated[
        str, typer.Option(help="Of annotate: language code to restate the text in first", show_default=False)
    ] = "",
    text: Annotated[str | None, typer.Option(help="The text in it; an example if left out", show_default=False)] = None,
    file: Annotated[Path | None, typer.Option(help="Template to use in place of the package's own")] = None,
    template: Annotated[bool, typer.Option("--template", help="Print the template as it is, to change it")] = False,
) -> None:
    """
    Show what a language model is sent, filled with an example.

    The prompts are Jinja templates. One of your own takes the place of the package's where the setting `prompt` of the
    engine names its file; begin with what --template prints.
    """
    from ..errors import error
    from ..llm.prompts import Prompt

    if name not in _VALUES:
        raise error("E510", setting="NAME", value=name, expected=" or ".join(_VALUES))
    values = _VALUES[name](text, source=source, target=target, labels=labels, pivot=pivot)
    prompt = Prompt(name, file, example=values)
    echo(prompt.template.rstrip() if template else prompt.messages(**values)[0]["content"])
