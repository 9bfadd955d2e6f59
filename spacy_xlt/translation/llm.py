"""`LlmTranslator`: a language model translates, as it is asked to in words."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ..engine import Engine, invalid_setting, setting
from ..languages import language_name
from ..llm.answers import bare, without_thoughts
from ..llm.api import Answer, LanguageModel, Request
from ..llm.prompts import Prompt
from ..protocols import Translation

PROMPT = "translate"
EXAMPLE = "Maria Silva moved to Lisbon in 2019."
REFUSED, TRUNCATED, COMMENTED = "refused", "truncated", "commented"
_NUMBERED = re.compile(r"\[(\d{1,2}): ")
_TAG = re.compile(r"<([a-z]+)>(?=.*</\1>)", re.S)
_BRACKETS = re.compile(r"\[[^\]]+\]")


def prompt_values(text: str, *, source: str, target: str) -> dict[str, Any]:
    """What the prompt `translate` is filled with.

    Args:
        text: The text to translate.
        source: Its language, as any code.
        target: The language to translate into.

    Raises:
        XltError: E010 for an unknown code.
    """
    names = {"source_language": language_name(source), "target_language": language_name(target)}
    return {"text": text, "source": source, "target": target, "marks": marks_in(text), **names}


def marks_in(text: str) -> list[str]:
    """The marks of spans in a text, as the prompt shows them: "[1: …]", "<a>…</a>" or "[…]"."""
    tags = [f"<{name}>…</{name}>" for name in dict.fromkeys(_TAG.findall(text))]
    numbered = [f"[{number}: …]" for number in dict.fromkeys(_NUMBERED.findall(text))]
    return numbered + tags or ["[…]"] * len(_BRACKETS.findall(text))


@dataclass(kw_only=True, eq=False)
class LlmTranslator(Engine):
    """Asks a language model for the translation of each text, one text a request.

    What a model puts around its answer is taken off: thoughts, a title, quotation marks, comments. Any languages are
    asked for, whether the model knows them or not. Texts with marks around spans, as a `MarkerProjector` makes them,
    are asked for with their marks.

    Args:
        model: A `LanguageModel`, such as `EndpointModel` or `CausalModel`.
        prompt: File of a Jinja template to use in place of the package's own; `spacy xlt prompt translate` shows that.

    Raises:
        XltError: E150 for something that is no language model, E502 and E278 for the prompt.
    """

    model: Any = None
    prompt: str | None = setting(None, decides=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not isinstance(self.model, LanguageModel):
            expected = 'a section [….model] with a language model, such as @misc = "spacy_xlt.EndpointModel.v1"'
            raise invalid_setting(type(self).__name__, "model", self.model, expected)
        example = prompt_values(EXAMPLE, source="en", target="pt")
        self._prompt = Prompt(PROMPT, self.prompt, example=example)

    def details(self) -> dict[str, Any]:
        """A checksum of the prompt."""
        return {"prompt": self._prompt.signature}

    def translate(self, texts: Sequence[str], *, source: str, target: str) -> list[Translation]:
        """Translate texts of any length that the model reads.

        Returns:
            In order, with the mean log-probability of the answer's tokens where the model gives it. "refused" flags a
            text that the model says no to, and "truncated" one whose translation was cut off; "commented" one of a
            single line that the model answered with several, of which the first was taken.

        Raises:
            XltError: E010 for an unknown language, E278 for a prompt that cannot be filled in, and those of the model.
        """
        asked = [i for i, text in enumerate(texts) if text.strip()]
        filled = [prompt_values(texts[i].strip(), source=source, target=target) for i in asked]
        answers = self.model.complete([Request(prompt=self._prompt.messages(**values)) for values in filled])
        results = [Translation(text) for text in texts]
        for i, values, answer in zip(asked, filled, answers, strict=True):
            results[i] = _translation(texts[i], answer, language=values["target_language"])
        return results


def _translation(text: str, answer: Answer, *, language: str) -> Translation:
    """What a model said, as the translation of a text, whose white space around it stays."""
    said, is_commented = bare(without_thoughts(answer.text), asked=text, titles=(language,))
    met = {REFUSED: answer.finish == "refusal", TRUNCATED: answer.finish == "length", COMMENTED: is_commented}
    flags = tuple(flag for flag, applies in met.items() if applies)
    before, _, after = text.partition(text.strip())
    return Translation(f"{before}{said}{after}" if said else "", answer.log_prob if said else None, flags)
