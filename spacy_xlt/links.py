"""Word links between a source and a target text."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .errors import error

_PHARAOH = re.compile(r"(\d+)([-p])(\d+)")


def _no_links() -> NDArray[np.int32]:
    return np.zeros((0, 2), dtype=np.int32)


@dataclass(frozen=True, eq=False)
class Alignment:
    """Word links `(i, j)` with a score each, in order of `i`, then `j`.

    Attributes:
        links: Source token index, target token index: int32, (n, 2).
        scores: One for each link, between 0 and 1 unless the aligner says otherwise; all 1 if left out: float32, (n,).
        weak_links: What projectors weigh instead of the links, where an aligner gives it: the links and also those that
            are too unsure to be one, which may still say where a word went that has no other.

    Raises:
        XltError: E001 where there is not one score for each link, E009 for a score that is no number.
    """

    links: NDArray[np.int32] = field(default_factory=_no_links)
    scores: NDArray[np.float32] = None  # type: ignore[assignment]
    weak_links: Alignment | None = None

    def __post_init__(self) -> None:
        links = np.asarray(self.links, dtype=np.int32).reshape(-1, 2)
        scores = np.ones(len(links), np.float32) if self.scores is None else np.asarray(self.scores, np.float32)
        if scores.shape != (len(links),):
            raise error("E001", n_links=len(links), n_scores=scores.size)
        if not np.isfinite(scores).all():
            i, j = links[~np.isfinite(scores)][0].tolist()
            raise error("E009", i=i, j=j)
        order = np.lexsort((links[:, 1], links[:, 0]))
        object.__setattr__(self, "links", links[order])
        object.__setattr__(self, "scores", scores[order])

    def __len__(self) -> int:
        return len(self.links)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Alignment):
            return NotImplemented
        same = np.array_equal(self.links, other.links) and np.array_equal(self.scores, other.scores)
        return same and self.weak_links == other.weak_links

    __hash__ = None  # type: ignore[assignment]

    def transpose(self) -> Alignment:
        """The same links, seen from the target: `(j, i)`."""
        return self._mapped(lambda part: Alignment(part.links[:, ::-1], part.scores))

    def shift(self, source: int, target: int) -> Alignment:
        """The same links with token indices moved by an offset on each side, to place a sentence in its document."""
        offset = np.asarray([source, target], dtype=np.int32)
        return self._mapped(lambda part: Alignment(part.links + offset, part.scores))

    def between(self, source: tuple[int, int], target: tuple[int, int]) -> Alignment:
        """The links inside a range of source and a range of target tokens, counted from the starts of both."""
        first, behind = np.asarray([source, target], dtype=np.int32).T

        def cut(part: Alignment) -> Alignment:
            inside = ((part.links >= first) & (part.links < behind)).all(axis=1)
            return Alignment(part.links[inside] - first, part.scores[inside])

        return self._mapped(cut)

    def _mapped(self, change: Callable[[Alignment], Alignment]) -> Alignment:
        """The same change made to the links and to the weak links."""
        changed = change(self)
        return changed if self.weak_links is None else replace(changed, weak_links=change(self.weak_links))

    def above(self, threshold: float) -> Alignment:
        """The links whose score exceeds a threshold; the weak links stay as they are."""
        kept = self.scores > threshold
        return Alignment(self.links[kept], self.scores[kept], self.weak_links)

    def check(self, n_source: int, n_target: int) -> Alignment:
        """Make sure that every link points at a token of two texts of these lengths.

        Raises:
            XltError: E002 for the first link outside.
        """
        outside = (self.links < 0) | (self.links >= np.asarray([n_source, n_target]))
        if outside.any():
            i, j = self.links[outside.any(axis=1)][0]
            raise error("E002", i=int(i), j=int(j), n_source=n_source, n_target=n_target)
        if self.weak_links is not None:
            self.weak_links.check(n_source, n_target)
        return self

    def to_pharaoh(self) -> str:
        """The links as text: `0-0 1-2`."""
        return " ".join(f"{i}-{j}" for i, j in self.links.tolist())

    @classmethod
    def from_pharaoh(cls, text: str) -> Alignment:
        """Read `0-0 1-2`. A possible link (`3p2`) gets the score 0.5, a sure one 1.

        Raises:
            XltError: E003 for anything else.
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
        """All links of several alignments of two texts. Those of one without weak links count as its weak ones."""
        parts = list(alignments)
        if not parts:
            return cls()
        links, scores = np.concatenate([p.links for p in parts]), np.concatenate([p.scores for p in parts])
        if all(part.weak_links is None for part in parts):
            return cls(links, scores)
        weak = cls.concatenate(cls(p.links, p.scores) if p.weak_links is None else p.weak_links for p in parts)
        return cls(links, scores, weak)

    def to_stored(self) -> dict[str, Any]:
        """Plain JSON-able data."""
        stored: dict[str, Any] = {"links": self.links.ravel().tolist(), "scores": self.scores.tolist()}
        if self.weak_links is not None:
            stored["weak_links"] = self.weak_links.to_stored()
        return stored

    @classmethod
    def from_stored(cls, data: dict[str, Any]) -> Alignment:
        """Read what `to_stored` wrote, also after MessagePack made tuples of the lists."""
        weak = cls.from_stored(data["weak_links"]) if data.get("weak_links") else None
        return cls(np.asarray(data["links"], np.int32).reshape(-1, 2), np.asarray(data["scores"], np.float32), weak)
