"""The bitexts of documents, those that cannot be read set aside."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from spacy.tokens import Doc

from ..bitext import USER_DATA_KEY, Bitext


@dataclass
class Readable:
    """Reads the bitexts stored on documents. One that another version stored in another form does not stop the rest.

    Attributes:
        n_read: Bitexts that could be read.
        n_failed: Bitexts that could not.
        reason: What the first one that could not be read failed with.
    """

    n_read: int = 0
    n_failed: int = 0
    reason: str = ""

    def read(self, docs: Iterable[Doc]) -> Iterator[tuple[int, Bitext]]:
        """The bitexts of the documents, each with the number of its document, counted from 0."""
        for number, doc in enumerate(docs):
            for data in (doc.user_data.get(USER_DATA_KEY) or {}).values():
                try:
                    bitext = Bitext.from_stored(doc, data)
                except Exception as err:  # whatever data of an unknown form runs into
                    self.n_failed += 1
                    self.reason = self.reason or f"{type(err).__name__}: {err}"
                else:
                    self.n_read += 1
                    yield number, bitext


@dataclass
class FirstDocs:
    """The bitexts of the first documents, as far as a limit.

    Attributes:
        numbered: What `Readable.read` gives.
        limit: The most documents.
        only_lost: Skip bitexts without a lost span; they do not count.
        n_docs: Documents that went through.
        more: Whether there are documents beyond the limit.
    """

    numbered: Iterable[tuple[int, Bitext]]
    limit: int
    only_lost: bool = False
    n_docs: int = 0
    more: bool = False

    def __iter__(self) -> Iterator[tuple[int, Bitext]]:
        last = None
        for number, bitext in self.numbered:
            if self.only_lost and not bitext.lost:
                continue
            if number != last and self.n_docs == self.limit:
                self.more = True
                return
            self.n_docs += number != last
            last = number
            yield number, bitext
