"""The run over given targets: how probable each of their pieces is, and what it looks at.

Targets of the same source are run as a tree of their common beginnings: the source is encoded once, and a beginning
that several targets share is computed once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from .decode import Padded
from .model import BergamotModel, Levels

# The whole vocabulary is wide: few rows at a time
_ROWS = 128


@dataclass(frozen=True)
class Tree:
    """The beginnings of a source's targets. A node is a beginning; what comes next is asked there.

    parents (int64, (n_nodes,)): The node one piece shorter, which stands before it; -1 for the root.
    pieces (int64, (n_nodes,)): The last piece of each; -1 for the root, which is empty.
    depths (int64, (n_nodes,)): The length of each.
    paths (list[int64, (n_pieces + 1,)]): The nodes of each target, from the root to the whole.
    """

    parents: NDArray[np.int64]
    pieces: NDArray[np.int64]
    depths: NDArray[np.int64]
    paths: list[NDArray[np.int64]]

    def __len__(self) -> int:
        return len(self.parents)

    @classmethod
    def grow(cls, targets: Sequence[NDArray[np.int64]]) -> Tree:
        """targets (Sequence[int64, (n_pieces,)]): Without end marks."""
        children: dict[tuple[int, int], int] = {}
        nodes = [(-1, -1, 0)]
        paths = []
        for target in targets:
            path = [0]
            for depth, piece in enumerate(target.tolist(), 1):
                node = children.setdefault((path[-1], piece), len(nodes))
                if node == len(nodes):
                    nodes.append((path[-1], piece, depth))
                path.append(node)
            paths.append(np.asarray(path, np.int64))
        parents, pieces, depths = np.asarray(nodes, np.int64).T
        return cls(parents, pieces, depths, paths)


@dataclass(frozen=True)
class _Forest:
    """The trees of a batch of sources, all nodes of a depth together.

    places (int64, (n_nodes,)): Where each node stands in a table of a row a source, as wide as the largest tree.
    width (int): Of that table.
    levels (list[tuple[int, int, int64 array]]): Start and end of each depth's nodes, and their parents.
    pieces, depths (int64, (n_nodes,)): As in the trees.
    paths (list[list[int64, (n_pieces + 1,)]]): The nodes of each target of each source.
    """

    places: NDArray[np.int64]
    width: int
    levels: list[tuple[int, int, NDArray[np.int64]]]
    pieces: NDArray[np.int64]
    depths: NDArray[np.int64]
    paths: list[list[NDArray[np.int64]]]

    @classmethod
    def join(cls, trees: Sequence[Tree]) -> _Forest:
        """Number the nodes of all trees anew, the shortest beginnings first."""
        sizes = np.asarray([len(tree) for tree in trees])
        starts = np.cumsum(sizes) - sizes
        depths = np.concatenate([tree.depths for tree in trees])
        order = np.argsort(depths, kind="stable")
        new = np.empty_like(order)
        new[order] = np.arange(len(order))
        width = int(sizes.max())
        places = np.concatenate([row * width + np.arange(size) for row, size in enumerate(sizes)])
        parents = np.concatenate([tree.parents + start for tree, start in zip(trees, starts, strict=True)])[order]
        depths = depths[order]
        bounds = np.searchsorted(depths, np.arange(depths[-1] + 2)).tolist()
        levels = [
            (start, stop, new[parents[start:stop]] if start else parents[:0])
            for start, stop in zip(bounds[:-1], bounds[1:], strict=True)
        ]
        pieces = np.concatenate([tree.pieces for tree in trees])[order]
        paths = [[new[path + start] for path in tree.paths] for tree, start in zip(trees, starts, strict=True)]
        return cls(places[order], width, levels, pieces, depths, paths)


def force(
    model: BergamotModel,
    sources: Padded,
    targets: Sequence[Sequence[NDArray[np.int64]]],
    *,
    eos: int,
    log_probs: bool = True,
    weights: bool = True,
    trees: Sequence[Tree] | None = None,
) -> list[list[tuple[NDArray[np.float32] | None, NDArray[np.float32] | None]]]:
    """Run the decoder over given targets.

    sources (Padded): A batch of sources.
    targets (Sequence[Sequence[int64, (n_pieces,)]]): The targets of each source, without end marks.
    eos (int): The end mark.
    log_probs, weights (bool): Whether to compute the first and the second result.
    trees (Sequence[Tree] | None): The targets of each source as a tree, where there already is one.
    RETURNS: For each target of each source the log-probability of its pieces and of its end, over the whole
        vocabulary, (n_pieces + 1,); and what each looked at, (n_pieces + 1, n_source).
    """
    forest = _Forest.join(trees or [Tree.grow(of_source) for of_source in targets])
    with torch.inference_mode():
        memory = sources.encode(model)
        hidden, looked = _run(model, forest, memory)
        seen = looked.cpu().numpy() if weights else None
        paths = [path for of_source in forest.paths for path in of_source]
        wanted = [np.append(target, eos) for of_source in targets for target in of_source]
        found = _log_probs(model, hidden, np.concatenate(paths), np.concatenate(wanted)) if log_probs else None
    results: list[list[tuple[NDArray[np.float32] | None, NDArray[np.float32] | None]]] = []
    start = 0
    for n_source, of_source in zip(sources.lengths.tolist(), forest.paths, strict=True):
        results.append([])
        for path in of_source:
            own = None if found is None else found[start : start + len(path)]
            results[-1].append((own, None if seen is None else seen[path, :n_source]))
            start += len(path)
    return results


def _run(model: BergamotModel, forest: _Forest, memory) -> tuple[torch.Tensor, torch.Tensor]:
    """RETURNS: The decoder's output at each node, (n_nodes, dim), and what it looked at, (n_nodes, n_source)."""

    def tensor(values: NDArray[np.int64]) -> torch.Tensor:
        return torch.from_numpy(values).to(model.device)

    depths = tensor(forest.depths)
    x = model.positions(0, int(forest.depths[-1]) + 1)[depths]
    first = len(memory.mask)
    x[first:] += model.embed_target(tensor(forest.pieces[first:]))
    levels = Levels(
        [(start, stop, tensor(parents)) for start, stop, parents in forest.levels], tensor(forest.places), forest.width
    )
    return model.decode_forced(x, levels, memory)


def _log_probs(
    model: BergamotModel, hidden: torch.Tensor, nodes: NDArray[np.int64], pieces: NDArray[np.int64]
) -> NDArray[np.float32]:
    """Log-probability of each of `pieces` (int64, (n,)) at the node beside it: float32, (n,)."""
    output = model.output_layer()
    order = np.argsort(nodes, kind="stable")
    result = np.empty(len(nodes), np.float32)
    bounds = np.searchsorted(nodes[order], np.arange(0, len(hidden) + _ROWS, _ROWS)).tolist()
    for start, part, lo, hi in zip(range(0, len(hidden), _ROWS), hidden.split(_ROWS), bounds, bounds[1:], strict=False):
        if lo == hi:
            continue
        logits = output(part)
        rows = torch.from_numpy(nodes[order[lo:hi]] - start).to(model.device)
        columns = torch.from_numpy(pieces[order[lo:hi]]).to(model.device)
        values = logits[rows, columns] - logits.logsumexp(dim=-1)[rows]
        result[order[lo:hi]] = values.cpu().numpy()
    return result
