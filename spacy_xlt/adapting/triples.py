"""Facts teach an encoder what a language calls things and how they are related."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..engine import setting
from ..errors import error
from ..readers.lines import split_tokens
from ..textfiles import text_lines
from .contrast import alike, info_nce
from .model import AdaptedModel
from .objective import Objective
from .pieces import ParallelPieces
from .texts import Pair


@dataclass(kw_only=True, eq=False)
class Triples(Objective):
    """Registered objective `spacy_xlt.Triples.v1`: a head with its relation comes near its tail, told from the batch's.

    Args:
        path: A file with a fact a line: head, relation and tail with tabs between them. More columns are not read.
        temperature: What the cosines are divided by.

    Raises:
        XltError: E150 for an invalid setting; when prepared E359 for a line without three columns, E354 and E535.
    """

    path: str
    temperature: float = setting(0.05, gt=0)

    def prepare(self, model: AdaptedModel) -> NDArray[np.int64]:
        """Read the facts and cut them into pieces."""
        data = self._data = ParallelPieces(_facts(Path(self.path)), model, what=self.path)
        self.n_read = data.n_read
        return data.lengths

    def loss(self, model: AdaptedModel, batch: Sequence[int], random: np.random.Generator) -> Any:
        """See `info_nce`: float, (). Another tail of the same head and relation is no rival."""
        heads, tails = ([self._data.sides[i][side][0] for i in batch] for side in (0, 1))
        pairs = np.repeat(np.arange(len(batch))[:, None], 2, axis=1)
        same = alike(pairs, *([ids.tobytes() for ids in texts] for texts in (heads, tails)))
        return info_nce(model.texts(heads), model.texts(tails), pairs, same, self.temperature)


def _facts(path: Path) -> Iterator[Pair]:
    for number, line in text_lines(path):
        if len(cells := line.split("\t")) >= 3:
            yield Pair(split_tokens(f"{cells[0]} {cells[1]}"), split_tokens(cells[2]))
        elif line.strip():
            raise error("E359", path=path, line=number, found=len(cells))
