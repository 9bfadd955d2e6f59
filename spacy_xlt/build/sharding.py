"""A shard: the unit of a build's work. What goes to where it is computed, and what comes back."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from spacy.tokens import Doc, DocBin
from spacy.vocab import Vocab

TARGET, BITEXT, LOST = "target", "bitext", "lost"


def shard_id(number: int) -> str:
    """The name of a shard: the documents from `number * docs_per_shard` on, counted over all files of the input."""
    return f"{number:05d}"


@dataclass(frozen=True)
class Shard:
    """Documents to work on.

    data (bytes): They, as a DocBin's bytes.
    n_docs (int): How many.
    set_aside (Mapping[int, str]): Numbers of documents that are not to be touched, and why.
    """

    id: str
    data: bytes
    n_docs: int
    set_aside: Mapping[int, str] = field(default_factory=dict)

    def docs(self, vocab: Vocab) -> Iterator[Doc]:
        """The documents that are to be worked on."""
        return (doc for number, doc in self.numbered_docs(vocab) if number not in self.set_aside)

    def numbered_docs(self, vocab: Vocab) -> Iterator[tuple[int, Doc]]:
        """All documents with their numbers."""
        return enumerate(DocBin().from_bytes(self.data).get_docs(vocab))


@dataclass(frozen=True)
class Built:
    """What became of a shard.

    files (Mapping[str, bytes]): What to write, by path in the build folder.
    record (Mapping[str, Any]): Counts and figures as plain data.
    """

    shard: str
    files: Mapping[str, bytes]
    record: Mapping[str, Any]


@dataclass
class ShardCounts:
    """What happened to the documents of a shard, or of several.

    corrected (Counter[str]): Ids of the sentences whose corrections were applied.
    failed (list[dict[str, Any]]): Documents that were set aside: their text and the error.
    """

    docs: int = 0
    sentences: int = 0
    spans_in: Counter[str] = field(default_factory=Counter)
    spans_projected: Counter[str] = field(default_factory=Counter)
    lost_reasons: Counter[str] = field(default_factory=Counter)
    flags: Counter[str] = field(default_factory=Counter)
    sentences_dropped: Counter[str] = field(default_factory=Counter)
    words_unlinked: Counter[str] = field(default_factory=Counter)
    cache: Counter[str] = field(default_factory=Counter)
    corrected: Counter[str] = field(default_factory=Counter)
    failed: list[dict[str, Any]] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Plain data, with the keys in a fixed order."""
        return {key: dict(sorted(v.items())) if isinstance(v, Counter) else v for key, v in vars(self).items()}

    def add(self, other: Mapping[str, Any]) -> None:
        """Add what `to_json` of another one gave."""
        self.docs += other["docs"]
        self.sentences += other["sentences"]
        self.failed += other["failed"]
        for key in (name for name, value in vars(self).items() if isinstance(value, Counter)):
            # A build that an older version began lacks some
            getattr(self, key).update(other.get(key, {}))
        for name, seconds in other["seconds"].items():
            self.spend(name, seconds)

    def spend(self, name: str, seconds: float) -> None:
        """Add to the time that a component took."""
        self.seconds[name] = round(self.seconds.get(name, 0.0) + seconds, 3)


def cache_hit_share(counts: ShardCounts) -> float:
    """The share of translated texts that came from the cache: from 0 to 1."""
    return round(counts.cache["hits"] / max(1, counts.cache.total()), 4)
