"""`LlmTranslator`: a language model translates, as it is asked to in words."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ..engine import Engine, setting
from ..languages import language_name
from ..llm.answers import bare, without_thoughts
from ..llm.api import Answer
from ..llm.asking import ask, check_model
from ..llm.prompts import Prompt
from ..protocols import Translation
from .consensus import closest

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


def example_values(text: str | None, *, source: str, target: str) -> dict[str, Any]:
    """The same for an example where no text is given."""
    return prompt_values(EXAMPLE if text is None else text, source=source, target=target)


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

    Of several samples the one is taken that has the marks and is the most like the others; see `closest`.

    Args:
        model: A `LanguageModel`, such as `EndpointModel` or `CausalModel`.
        samples: How many translations of each text are asked for, at a `temperature` of the model above 0 if several.
        prompt: File of a Jinja template to use in place of the package's own; `spacy xlt prompt translate` shows that.

    Raises:
        XltError: E150 for something that is no language model and for several samples at temperature 0, E502 and E278
            for the prompt.
    """

    model: Any = None
    samples: int = setting(1, ge=1)
    prompt: str | None = setting(None, decides=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        check_model(type(self).__name__, self.model, setting="samples", samples=self.samples)
        example = example_values(None, source="en", target="pt")
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
        answers = ask(self.model, [self._prompt.messages(**values) for values in filled], samples=self.samples)
        results = [Translation(text) for text in texts]
        for i, values, of_text in zip(asked, filled, answers, strict=True):
            made = [_translation(texts[i], answer, language=values["target_language"]) for answer in of_text]
            results[i] = _chosen(made, marks=values["marks"])
        return results


def _translation(text: str, answer: Answer, *, language: str) -> Translation:
    """What a model said, as the translation of a text, whose white space around it stays."""
    said, is_commented = bare(without_thoughts(answer.text), asked=text, titles=(language,))
    met = {REFUSED: answer.finish == "refusal", TRUNCATED: answer.finish == "length", COMMENTED: is_commented}
    flags = tuple(flag for flag, applies in met.items() if applies)
    before, _, after = text.partition(text.strip())
    return Translation(f"{before}{said}{after}" if said else "", answer.log_prob if said else None, flags)


def _chosen(samples: Sequence[Translation], *, marks: Sequence[str]) -> Translation:
    """Of the samples that have the least wrong with them, the one that is the most like the others."""

    def faults(sample: Translation) -> tuple[bool, bool, int, bool]:
        is_cut = REFUSED in sample.flags or TRUNCATED in sample.flags
        missing = (Counter(marks) - Counter(marks_in(sample.text))).total()
        return not sample.text.strip(), is_cut, missing, COMMENTED in sample.flags

    least = min(map(faults, samples))
    good = [sample for sample in samples if faults(sample) == least]
    return good[closest([sample.text for sample in good], [sample.score for sample in good])]
