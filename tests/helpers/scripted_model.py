"""Language models in this process that answer as a test has written down."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from spacy_xlt.llm.api import Answer, Request, nothing

_TAG = re.compile(r"<(/?)(\d+)>")
# Of a source in one line with the characters of a span, and the target in one line: the words that are right
Gold = Mapping[tuple[str, int, int, str], str]


@dataclass
class ScriptedModel:
    """A language model.

    Attributes:
        script: Called with each request; gives an answer, its text, or plain data for JSON.
        temperature: As other models have one.
        requests: What was asked.
    """

    script: Callable[[Request], Any]
    temperature: float = 1.0
    requests: list[Request] = field(default_factory=list)
    signature: str = "scripted-1"

    def complete(self, requests: Sequence[Request], *, progress: Callable[[int], object] = nothing) -> list[Answer]:
        self.requests += requests
        progress(len(requests))
        return [as_answer(self.script(request)) for request in requests]


def as_answer(said: Any) -> Answer:
    if isinstance(said, Answer):
        return said
    return Answer(said if isinstance(said, str) else json.dumps(said, ensure_ascii=False))


def shown_in(prompt: str) -> tuple[str, str, dict[int, tuple[int, int]]]:
    """The source without tags and the target that a prompt `project` shows, and the characters of each tag."""
    marked, target = (line.partition(": ")[2] for line in prompt.splitlines()[-2:])
    text, last, opened, ranges = "", 0, {}, {}
    for match in _TAG.finditer(marked):
        text += marked[last : match.start()]
        last = match.end()
        if match[1]:
            ranges[int(match[2])] = (opened[match[2]], len(text))
        else:
            opened[match[2]] = len(text)
    return text + marked[last:], target, ranges


def projecting(gold: Gold, *, wrong: float = 0.0, seed: int = 0) -> ScriptedModel:
    """A model that says the words that are right, or others of the target in a share of the cases.

    The others are as many words, at another place; of a target without spaces as many characters.
    """

    def script(request: Request) -> Any:
        source, target, ranges = shown_in(request.text)
        said = {}
        for number, (start, end) in sorted(ranges.items()):
            words = gold[source, start, end, target]
            draw = random.Random(f"{seed} {request.sample} {source} {number} {target}")
            if draw.random() < wrong:
                words = another(words, target, draw)
            said[str(number)] = words
        return said

    return ScriptedModel(script)


def another(words: str, target: str, draw: random.Random) -> str:
    """As many words of a text, which are none of the given ones."""
    gap = " " if " " in target else ""
    units, n = (target.split(), len(words.split())) if gap else (list(target), len(words))
    options = [gap.join(units[i : i + n]) for i in range(len(units) - n + 1)]
    options = [one for one in options if not set(one.split() if gap else one) & set(words.split() if gap else words)]
    return draw.choice(options) if options else ""
