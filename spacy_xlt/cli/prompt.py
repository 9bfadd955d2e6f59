"""`spacy xlt prompt`: what a language model is sent."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ._app import app, echo, friendly_errors


@app.command("prompt")
@friendly_errors
def prompt_cli(
    name: Annotated[str, typer.Argument(help="What the prompt is for: translate")],
    source: Annotated[str, typer.Option(help="Language code of the text")] = "en",
    target: Annotated[str, typer.Option(help="Language code to translate into")] = "pt",
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
    from ..translation import llm

    filled = {llm.PROMPT: (llm.prompt_values, llm.EXAMPLE)}
    if name not in filled:
        raise error("E510", setting="NAME", value=name, expected=" or ".join(filled))
    values_of, example = filled[name]
    values = values_of(example if text is None else text, source=source, target=target)
    prompt = Prompt(name, file, example=values)
    echo(prompt.template.rstrip() if template else prompt.messages(**values)[0]["content"])
