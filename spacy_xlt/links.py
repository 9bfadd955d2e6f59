"""Word links between a source and a target text."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .errors import error

_PHARAOH = re.compile(r"(\d+)([-p])(\d+)")


def _no_links() -> NDArray[np.int32]:
    return np.zeros((0, 2), dtype=np.int32)


def _each(evidence: Alignment | None, change: Callable[[Alignment], Alignment]) -> Alignment | None:
    return None if evidence is None else change(evidence)


@dataclass(frozen=True, eq=False)
class Alignment:
    """Word links `(i, j)` with a score each, in order of `i`, then `j`.

    links (int32, (n, 2)): Source token index, target token index.
    scores (float32, (n,)): One for each link, between 0 and 1 where the aligner says nothing else. Left out: all 1.
    evidence (Alignment | None): What projectors weigh, where it is more than the links: weak links too, with weights of
        their own. A link that is not sure enough to be one may still say where a word went that has no other.
    RAISES (XltError): E001 where there is not one score for each link.
    """

    links: NDArray[np.int32] = field(default_factory=_no_links)
    scores: NDArray[np.float32] = None  # type: ignore[assignment]
    evidence: Alignment | None = None

    def __post_init__(self) -> None:
        links = np.asarray(self.links, dtype=np.int32).reshape(-1, 2)
        scores = np.ones(len(links), np.float32) if self.scores is None else np.asarray(self.scores, np.float32)
        if scores.shape != (len(links),):
            raise error("E001", n_links=len(links), n_scores=scores.size)
        order = np.lexsort((links[:, 1], links[:, 0]))
        object.__setattr__(self, "links", links[order])
        object.__setattr__(self, "scores", scores[order])

    def __len__(self) -> int:
        return len(self.links)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Alignment):
            return NotImplemented
        same = np.array_equal(self.links, other.links) and np.array_equal(self.scores, other.scores)
        return same and self.evidence == other.evidence

    __hash__ = None  # type: ignore[assignment]

    def transpose(self) -> Alignment:
        """The same links, seen from the target: `(j, i)`."""
        return Alignment(self.links[:, ::-1], self.scores, _each(self.evidence, Alignment.transpose))

    def shift(self, source: int, target: int) -> Alignment:
        """The same links with token indices moved by an offset on each side, to place a sentence in its document."""
        offset = np.asarray([source, target], dtype=np.int32)
        evidence = _each(self.evidence, lambda evidence: evidence.shift(source, target))
        return Alignment(self.links + offset, self.scores, evidence)

    def between(self, source: tuple[int, int], target: tuple[int, int]) -> Alignment:
        """The links inside a range of source and a range of target tokens, counted from the starts of both."""
        i, j = self.links[:, 0], self.links[:, 1]
        inside = (i >= source[0]) & (i < source[1]) & (j >= target[0]) & (j < target[1])
        evidence = _each(self.evidence, lambda evidence: evidence.between(source, target))
        moved = Alignment(self.links[inside], self.scores[inside]).shift(-source[0], -target[0])
        return Alignment(moved.links, moved.scores, evidence)

    def check(self, n_source: int, n_target: int) -> Alignment:
        """Make sure that every link points at a token of two texts of these lengths.

        RETURNS (Alignment): Itself.
        RAISES (XltError): E002 for the first link outside.
        """
        outside = (self.links < 0) | (self.links >= np.asarray([n_source, n_target]))
        if outside.any():
            i, j = self.links[outside.any(axis=1)][0]
            raise error("E002", i=int(i), j=int(j), n_source=n_source, n_target=n_target)
        if self.evidence is not None:
            self.evidence.check(n_source, n_target)
        return self

    def to_pharaoh(self) -> str:
        """The links as text: `0-0 1-2`."""
        return " ".join(f"{i}-{j}" for i, j in self.links.tolist())

    @classmethod
    def from_pharaoh(cls, text: str) -> Alignment:
        """Read `0-0 1-2`. A possible link (`3p2`) gets the score 0.5, a sure one 1.

        RAISES (XltError): E003 for anything else.
        """
        links, scores = [], []
        for item in text.split():
            match = _PHARAOH.fullmatch(item)
            if match is None:
                raise error("E003", text=item)
            links.append((int(match[1]), int(match[3])))
            scores.append(1.0 if match[2] == "-" else 0.5)
        return cls(np.asarray(links, np.int32).reshape(-1, 2), np.asarray(scores, np.float32))

    @classmethod
    def concatenate(cls, alignments: Iterable[Alignment]) -> Alignment:
        """All links of several alignments of two texts. Links of one without evidence count as its evidence."""
        parts = list(alignments)
        if not parts:
            return cls()
        evidence = None
        if any(part.evidence is not None for part in parts):
            evidence = cls.concatenate([cls(p.links, p.scores) if p.evidence is None else p.evidence for p in parts])
        links, scores = np.concatenate([p.links for p in parts]), np.concatenate([p.scores for p in parts])
        return cls(links, scores, evidence)

    def to_stored(self) -> dict[str, Any]:
        """Plain JSON-able data."""
        stored: dict[str, Any] = {"links": self.links.ravel().tolist(), "scores": self.scores.tolist()}
        if self.evidence is not None:
            stored["evidence"] = self.evidence.to_stored()
        return stored

    @classmethod
    def from_stored(cls, data: dict[str, Any]) -> Alignment:
        """Read what `to_stored` wrote, also after MessagePack made tuples of the lists."""
        evidence = cls.from_stored(data["evidence"]) if data.get("evidence") else None
        return cls(np.asarray(data["links"], np.int32).reshape(-1, 2), np.asarray(data["scores"], np.float32), evidence)
