"""Where the shards of a build are worked on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Protocol, runtime_checkable

from ..sharding import Built, Shard


@runtime_checkable
class Executor(Protocol):
    """Works on shards: in this process, in others, on other machines."""

    name: str

    @property
    def workers(self) -> int:
        """How many engines work at once."""

    def run(self, shards: Iterable[Shard]) -> Iterator[Built]:
        """Work on shards, which are read as there is room for them.

        YIELDS (Built): Each shard once, in any order.
        RAISES (XltError): What is wrong with a setting; nothing is yielded after that.
        """

    def close(self, *, now: bool = False) -> None:
        """End what was started; `now`: without finishing what is begun."""
