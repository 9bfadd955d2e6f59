"""Which documents of which input file make which shard, and reading them."""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate, groupby

from spacy.tokens import DocBin
from spacy.vocab import Vocab

from ..errors import error
from .inputs import InputFile
from .sharding import Shard, shard_id

# Number of a shard, number of a file, and documents [start, stop) of it
Piece = tuple[int, int, int, int]


class ShardPlan:
    """Cuts the documents of all files, one after the other, into shards of the same size.

    files (Sequence[InputFile]): The input.
    counts (Sequence[int]): Documents in each.
    size (int): Documents in a shard; the last one may have fewer.
    """

    def __init__(self, files: Sequence[InputFile], counts: Sequence[int], *, size: int):
        self.files = files
        self.size = size
        # The number of the first document of each file, and of the one after all
        self._firsts = [0, *accumulate(counts)]

    @property
    def n_docs(self) -> int:
        return self._firsts[-1]

    @property
    def n_shards(self) -> int:
        return -(-self.n_docs // self.size)

    def pieces(self, shards: Iterable[int]) -> Iterator[Piece]:
        """Where the documents of some shards lie, in ascending order."""
        for shard in shards:
            at, end = shard * self.size, min((shard + 1) * self.size, self.n_docs)
            while at < end:
                file = bisect_right(self._firsts, at) - 1
                stop = min(end, self._firsts[file + 1])
                yield shard, file, at - self._firsts[file], stop - self._firsts[file]
                at = stop

    def read(self, shards: Iterable[int]) -> Iterator[Shard]:
        """Read some shards, in ascending order, each file in one pass.

        RAISES (XltError): E583 where a file has not as many documents as it had.
        """
        for shard, pieces in groupby(self._slices(shards), key=lambda piece: piece[0]):
            found = [data for _, data in pieces]
            data = found[0] if len(found) == 1 else _joined(found)
            # A DocBin that was read has the user data and does not know that it stores it
            data.store_user_data = any(data.user_data)
            yield Shard(shard_id(shard), data.to_bytes(), len(data))

    def _slices(self, shards: Iterable[int]) -> Iterator[tuple[int, DocBin]]:
        for file, pieces in groupby(self.pieces(shards), key=lambda piece: piece[1]):
            begun: deque[Piece] = deque()
            for data in self.files[file].slices(_ranges(pieces, begun)):
                shard, _, start, stop = begun.popleft()
                if len(data) != stop - start:
                    raise error("E583", path=self.files[file].path, expected=stop, found=start + len(data))
                yield shard, data
            if left := begun or list(pieces):
                _, _, start, stop = left[0]
                raise error("E583", path=self.files[file].path, expected=stop, found=start)


def _ranges(pieces: Iterable[Piece], begun: deque[Piece]) -> Iterator[tuple[int, int]]:
    for piece in pieces:
        begun.append(piece)
        yield piece[2], piece[3]


def _joined(parts: Sequence[DocBin]) -> DocBin:
    """One DocBin of several, which need not store the same attributes."""
    first = parts[0]
    if all(part.attrs == first.attrs for part in parts):
        joined = DocBin(attrs=(), store_user_data=True)
        joined.attrs = first.attrs
        for part in parts:
            part.store_user_data = True
            joined.merge(part)
        return joined
    vocab = Vocab()
    return DocBin(docs=(doc for part in parts for doc in part.get_docs(vocab)), store_user_data=True)
