"""Translators by rules, and the component around any translator."""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from spacy_xlt.protocols import SoftAlignment, Translation
from spacy_xlt.translation.component import TranslatorPipe


def translator_pipe(engine: Any, *, source: str = "en", target: str = "pt", **settings: Any) -> TranslatorPipe:
    """The component with an engine and without quality gates, unless they are among the settings."""
    return TranslatorPipe("t", engine, source=source, target=target, **settings)


class Standins:
    """Upper-cases everything but stand-ins, each piece looking at its source.

    Args:
        loses: Loses the stand-ins that match this.
        swap: Puts the words in reverse order.
    """

    signature = "standins"

    def __init__(self, loses: str | None = None, swap: bool = False):
        self.loses = loses
        self.swap = swap
        self.seen: list[str] = []

    def translate(self, texts, *, source, target):
        self.seen += texts
        return [self._one(text) for text in texts]

    def _say(self, word: str) -> str:
        if self.loses and re.match(self.loses, word):
            return "???"
        return word if re.match(r"http://(www\.)?[xyzkqvwj]\d*\.com", word) else word.upper()

    def _one(self, text: str) -> Translation:
        matches = list(re.finditer(r"\S+", text))
        made = [self._say(match.group()) for match in matches]
        order = list(range(len(made)))[:: -1 if self.swap else 1]
        target_spans, at = [], 0
        for i in order:
            target_spans.append((at, at + len(made[i])))
            at += len(made[i]) + 1
        weights = np.eye(len(made), dtype=np.float32)[:, order]
        soft = SoftAlignment(
            weights, np.asarray([m.span() for m in matches], np.int32), np.asarray(target_spans, np.int32)
        )
        return Translation(" ".join(made[i] for i in order), -0.5, (), soft)
