"""Runs of words as a prefix tree of their pieces, and beam search that writes nothing else."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from .queries import Range

if TYPE_CHECKING:
    import torch


@dataclass(slots=True)
class PrefixTree:
    """What may be written: the pieces of runs of words.

    Attributes:
        children: What may follow, by the next piece.
        places: The runs of words `[start, end)` that are written as the pieces up to here. Where words come twice,
            these are several.
    """

    children: dict[int, PrefixTree] = field(default_factory=dict)
    places: list[Range] = field(default_factory=list)

    @classmethod
    def of(cls, words: Sequence[Sequence[int]], places: Iterable[Range]) -> PrefixTree:
        """The tree of some runs of words.

        Args:
            words: The pieces of each word. A run does not begin or end with a word that has none.
            places: The runs, `[start, end)`.
        """
        ends_of: defaultdict[int, set[int]] = defaultdict(set)
        for start, end in places:
            if start < end and words[start] and words[end - 1]:
                ends_of[start].add(end)
        root = cls()
        for start, ends in sorted(ends_of.items()):
            node = root
            for end in range(start + 1, max(ends) + 1):
                for piece in words[end - 1]:
                    node = node.children.setdefault(piece, cls())
                if end in ends:
                    node.places.append((start, end))
        return root

    def find(self, pieces: Iterable[int]) -> PrefixTree | None:
        """What may follow some pieces; None where nothing in the tree begins with them."""
        node: PrefixTree | None = self
        for piece in pieces:
            node = None if node is None else node.children.get(piece)
        return node

    @property
    def depth(self) -> int:
        """The most pieces of a run."""
        level, depth = list(self.children.values()), 0
        while level:
            depth += 1
            level = [child for node in level for child in node.children.values()]
        return depth


class OnlyFromTrees:
    """A logits processor of `generate` that lets beams write what is in a tree, and then the end mark.

    It also notes the log-probability of each run that a beam could end with: `generate` itself would keep the scores of
    the whole vocabulary at each step for that.

    Args:
        trees: One for each text of the batch.
        n_beams: Beams of each text.
        n_before: What stands before the first piece of a run.
        end: The end mark.

    Attributes:
        found: For each text the runs that were come across and their log-probabilities (natural, the end mark's
            counted, of the whole vocabulary).
    """

    def __init__(self, trees: Sequence[PrefixTree], *, n_beams: int, n_before: int, end: int):
        self._trees = trees
        self._n_beams = n_beams
        self._n_before = n_before
        self._end = end
        self._log_probs: list[dict[tuple[int, ...], float]] = [{(): 0.0} for _ in trees]
        self.found: list[dict[Range, float]] = [{} for _ in trees]

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        import torch

        rows, columns = [], []
        nodes: list[tuple[int, tuple[int, ...], PrefixTree | None]] = []
        for row, pieces in enumerate(input_ids[:, self._n_before :].tolist()):
            number = row // self._n_beams
            node = self._trees[number].find(pieces)
            # Where there are fewer runs than beams, some beams have nothing to write
            allowed = [self._end] if node is None else [*node.children, *([self._end] if node.places else [])]
            rows += [row] * len(allowed)
            columns += allowed
            nodes += [(number, tuple(pieces), node)] * len(allowed)
        index = torch.tensor([rows, columns], device=scores.device)
        values = scores[index[0], index[1]]
        for (number, pieces, node), piece, value in zip(nodes, columns, values.tolist(), strict=True):
            if node is None:
                continue
            log_prob = self._log_probs[number][pieces] + value
            if piece == self._end:
                self.found[number].update(dict.fromkeys(node.places, log_prob))
            else:
                self._log_probs[number][(*pieces, piece)] = log_prob
        only = torch.full_like(scores, -float("inf"))
        only[index[0], index[1]] = values
        return only
