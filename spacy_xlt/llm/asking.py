"""What engines that ask a language model share: they check that there is one, and ask it once or several times."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..engine import invalid_setting
from .api import Answer, LanguageModel, Message, Request


def check_model(owner: str, model: Any, *, setting: str, samples: int) -> None:
    """Make sure that an engine has a model, and one that answers the same question in several ways where it is to.

    Args:
        owner: The engine.
        model: What it was given.
        setting: The name of the setting that says how many answers are asked for.
        samples: Its value.

    Raises:
        XltError: E150 for something that is no language model, and for several answers at temperature 0.
    """
    if not isinstance(model, LanguageModel):
        expected = 'a section [….model] with a language model, such as @misc = "spacy_xlt.EndpointModel.v1"'
        raise invalid_setting(owner, "model", model, expected)
    if samples > 1 and _temperature(model) == 0:
        expected = "1, or `temperature` of the model above 0, as the answers are all the same at 0"
        raise invalid_setting(owner, setting, samples, expected)


def ask(
    model: LanguageModel,
    prompts: Sequence[Sequence[Message]],
    *,
    samples: int,
    schemas: Sequence[Mapping[str, Any] | None] | None = None,
) -> list[list[Answer]]:
    """So many answers to each prompt, in order."""
    schemas = [None] * len(prompts) if schemas is None else schemas
    requests = [
        Request(prompt=prompt, sample=sample, schema=schema)
        for prompt, schema in zip(prompts, schemas, strict=True)
        for sample in range(samples)
    ]
    answers = model.complete(requests) if requests else []
    return [answers[first : first + samples] for first in range(0, len(answers), samples)]


def _temperature(model: LanguageModel) -> Any:
    """The temperature; None where a model does not say, or leaves it to its server."""
    parameters = getattr(model, "parameters", None) or {}
    return parameters.get("temperature", getattr(model, "temperature", None))
