"""`spacy_xlt.batch_by_word_pieces.v1`: batches that fill memory evenly, counted in what the encoder reads."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator
from itertools import islice

from spacy.tokens import Doc
from spacy.training import Example

from ..errors import error, warn
from .pieces import PieceCounter

Batcher = Callable[[Iterable[Example]], Iterator[list[Example]]]


class WordPieceBatcher:
    """Groups examples of similar length so that the padded batch has at most `size` word pieces.

    spaCy's `batch_by_padded` counts words; an URL is one word and hundreds of pieces, and every row is padded to it.

    encoder (str): The encoder that is trained: model folder or Hugging Face name.
    size (int): Budget: pieces of the longest example times examples. Words count where a document has more of them
        than pieces.
    buffer (int): Examples that are read before they are sorted by length; batches come out in random order.
    """

    def __init__(self, *, encoder: str, size: int = 1200, buffer: int = 256):
        for setting, value in (("size", size), ("buffer", buffer)):
            if value < 1:
                raise error("E601", setting=setting, value=value, expected="a number from 1")
        self.counter = PieceCounter(encoder)
        self.size = size
        self.buffer = buffer
        self.oversize = 0

    def __call__(self, examples: Iterable[Example]) -> Iterator[list[Example]]:
        """Yield batches. Every example is in one; none is left out.

        An example that is larger than the budget is a batch of its own, which is said once.
        """
        stream = iter(examples)
        while group := list(islice(stream, self.buffer)):
            batches = list(self._batches(group))
            random.shuffle(batches)
            yield from batches

    def _batches(self, group: list[Example]) -> Iterator[list[Example]]:
        sizes = self._sizes([example.predicted for example in group])
        batch: list[Example] = []
        # The random number keeps examples of the same length from always meeting the same others.
        for n_pieces, _, i in sorted((n, random.random(), i) for i, n in enumerate(sizes)):
            if batch and n_pieces * (len(batch) + 1) > self.size:
                yield batch
                batch = []
            if n_pieces > self.size:
                self._say_oversize(n_pieces)
            batch.append(group[i])
        if batch:
            yield batch

    def _sizes(self, docs: list[Doc]) -> list[int]:
        """Pieces of each document. A training sees its documents again and again, and counts them once."""
        # In the document, which goes when its example goes, and is never saved.
        key = f"xlt_pieces {self.counter.encoder}"
        new = [doc for doc in docs if key not in doc.user_data]
        for doc, n_pieces in zip(new, self.counter.docs(new), strict=True):
            doc.user_data[key] = n_pieces
        return [doc.user_data[key] for doc in docs]

    def _say_oversize(self, n_pieces: int) -> None:
        self.oversize += 1
        if self.oversize == 1:
            warn("W602", n_pieces=n_pieces, size=self.size)


def configure_word_piece_batcher(encoder: str, size: int = 1200, buffer: int = 256) -> Batcher:
    """Registered batcher `spacy_xlt.batch_by_word_pieces.v1`. See WordPieceBatcher.

    RAISES (XltError): E601 for a value that cannot be.
    """
    return WordPieceBatcher(encoder=encoder, size=size, buffer=buffer)
