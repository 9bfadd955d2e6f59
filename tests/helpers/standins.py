"""A translator that copies stand-ins, or loses them, with an alignment that is right."""

from __future__ import annotations

import re

import numpy as np

from spacy_xlt.protocols import SoftAlignment, Translation


class Standins:
    """Upper-cases everything but stand-ins; loses those of the styles in `loses`; words swap ends."""

    signature = "standins"

    def __init__(self, loses: tuple[str, ...] = (), swap: bool = False):
        self.loses = loses
        self.swap = swap
        self.seen: list[str] = []

    def translate(self, texts, *, source, target):
        self.seen += texts
        return [self._one(text) for text in texts]

    @staticmethod
    def say(word: str) -> str:
        return word if re.match(r"www\.|XZ\d|http", word) else word.upper()

    def _one(self, text: str) -> Translation:
        words = text.split()
        spans, at = [], 0
        for word in words:
            at = text.index(word, at)
            spans.append((at, at + len(word)))
            at += len(word)
        made = ["???" if word.startswith(self.loses) else self.say(word) for word in words]
        order = list(range(len(words)))[:: -1 if self.swap else 1]
        target_spans, at = [], 0
        for i in order:
            target_spans.append((at, at + len(made[i])))
            at += len(made[i]) + 1
        soft = SoftAlignment(
            np.eye(len(words), dtype=np.float32)[:, order],
            np.asarray(spans, np.int32),
            np.asarray(target_spans, np.int32),
        )
        return Translation(" ".join(made[i] for i in order), -0.5, (), soft)
