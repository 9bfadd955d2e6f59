"""A cache on the disk: values by everything that decides them, in one SQLite file that many processes may share."""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, ClassVar, Generic, NamedTuple, TypeVar

from ..errors import warn

Value = TypeVar("Value")

_FORMAT = 1
# SQLite's limit on values in one statement was 999 for long
_KEYS_AT_ONCE = 500
# What a row takes besides its own bytes: key, numbers, index
_ROW_BYTES = 120
# "Last used" is exact to an hour, so that reading seldom writes
_USE_SECONDS = 3600
_MIB = 1 << 20


def user_cache() -> Path:
    """The folder for what this package keeps between runs."""
    base = os.environ.get("XDG_CACHE_HOME") or os.environ.get("LOCALAPPDATA") or Path.home() / ".cache"
    return Path(base) / "spacy_xlt"


def application_of(path: Path) -> int:
    """The number by which SQLite files say what program they belong to.

    Raises:
        sqlite3.Error: Where it is no such file. An OSError where it cannot be read.
    """
    with closing(_read_only(path)) as connection:
        return int(connection.execute("PRAGMA application_id").fetchone()[0])


class CacheStats(NamedTuple):
    """What a cache holds: entries, bytes on the disk, and how many entries there are with each label."""

    entries: int
    bytes: int
    labels: dict[str, int]


class DiskCache(ABC, Generic[Value]):
    """Values on the disk, by key. A subclass says what they are.

    Safe for many processes at once and for a kill at any moment. Where the file cannot be used (another kind of file, a
    full or write-protected disk), it warns once with W250 and does nothing from then on.

    Attributes:
        what: What it holds, which is also the name of the table.
        application: Says that an SQLite file is of this kind.
        labels: Columns that say what an entry is, for people.
        counted: By which expressions of these columns `stats` counts.

    Args:
        path: The file, or a folder that has it; "user" for the one in the user's cache folder.
        max_mb: The most mebibytes of values; beyond, those not used for the longest time go.
    """

    what: ClassVar[str]
    application: ClassVar[int]
    labels: ClassVar[tuple[str, ...]]
    counted: ClassVar[tuple[str, ...]]

    def __init__(self, path: str | Path, *, max_mb: float = 1024):
        self.path = self.located(path)
        self.max_mb = max_mb
        self._connection: sqlite3.Connection | None = None
        self._owner: tuple[int, int] | None = None
        self._broken = False
        self._written = 0

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_connection": None, "_owner": None}

    @abstractmethod
    def pack(self, value: Value) -> bytes:
        """A value as bytes."""

    @abstractmethod
    def unpack(self, data: bytes) -> Value | None:
        """The counterpart; None for bytes that are damaged."""

    @abstractmethod
    def show(self, value: Value) -> str:
        """A value for people."""

    @classmethod
    def located(cls, setting: str | Path) -> Path:
        """Where a cache is: the path itself, a file in it if it is a folder, or the user's for "user"."""
        if setting == "user":
            return user_cache() / f"{cls.what}.sqlite"
        path = Path(setting)
        return path / f"{cls.what}.sqlite" if path.is_dir() else path

    @classmethod
    def schema(cls) -> str:
        """The SQL that makes the table."""
        labels = ", ".join(f"{label} TEXT NOT NULL" for label in cls.labels)
        return f"""
CREATE TABLE IF NOT EXISTS {cls.what} (
    key BLOB PRIMARY KEY, {labels}, text TEXT NOT NULL,
    value BLOB NOT NULL, size INTEGER NOT NULL, used INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS by_use ON {cls.what} (used, size);
"""

    @property
    def is_broken(self) -> bool:
        """Whether the file cannot be used, so that nothing is kept."""
        return self._broken

    def get(self, keys: Sequence[bytes]) -> dict[bytes, Value]:
        """The values that are there."""
        if self._broken:
            return {}
        found: dict[bytes, Value] = {}
        stale: list[tuple[int, bytes]] = []
        now = int(time.time())
        try:
            connection = self._open()
            for start in range(0, len(keys), _KEYS_AT_ONCE):
                some = list(keys[start : start + _KEYS_AT_ONCE])
                marks = ",".join("?" * len(some))
                query = f"SELECT key, value, used FROM {self.what} WHERE key IN ({marks})"
                for key, data, used in connection.execute(query, some):
                    value = self.unpack(data)
                    if value is None:
                        continue
                    found[key] = value
                    if now - used > _USE_SECONDS:
                        stale.append((now, key))
            if stale:
                with connection:
                    connection.executemany(f"UPDATE {self.what} SET used = ? WHERE key = ?", stale)
        except (sqlite3.Error, OSError) as err:
            self._give_up(err)
        return found

    def put(self, items: Sequence[tuple[bytes, str, Value]], **labels: str) -> None:
        """Keep values: their keys, a text each for people, and the values themselves. The labels are those of all."""
        if self._broken or not items:
            return
        now = int(time.time())
        written = [labels[label] for label in self.labels]
        rows: list[tuple[Any, ...]] = []
        for key, text, value in items:
            data = self.pack(value)
            size = len(data) + len(text.encode("utf8", "surrogatepass")) + sum(map(len, written)) + _ROW_BYTES
            rows.append((key, *written, text.encode("utf8", "replace").decode("utf8"), data, size, now))
        marks = ",".join("?" * len(rows[0]))
        try:
            connection = self._open()
            with connection:
                connection.executemany(f"INSERT OR REPLACE INTO {self.what} VALUES ({marks})", rows)
            self._written += sum(row[-2] for row in rows)
            # The sum over all rows is not taken after each batch
            if self._written > self.max_mb * _MIB / 20:
                self._written = 0
                self._evict(connection)
        except (sqlite3.Error, OSError) as err:
            self._give_up(err)

    def stats(self) -> CacheStats:
        """What is in it.

        Raises:
            sqlite3.Error: Where it is no cache. An OSError where the file cannot be read.
        """
        self._check()
        counts: dict[str, int] = {}
        with closing(_read_only(self.path)) as connection:
            for label in self.counted:
                query = f"SELECT {label}, COUNT(*) FROM {self.what} GROUP BY 1 ORDER BY 2 DESC"
                counts.update(connection.execute(query))
            (entries,) = connection.execute(f"SELECT COUNT(*) FROM {self.what}").fetchone()
            n_pages, page = (connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "page_size"))
        return CacheStats(entries, n_pages * page, counts)

    def entries(self, *, limit: int = 20) -> Iterator[tuple[str, str, str]]:
        """Yield the entries used last, for people: the first of the labels that `stats` counts by, text and value."""
        query = f"SELECT {self.counted[0]}, text, value FROM {self.what} ORDER BY used DESC LIMIT ?"
        self._check()
        with closing(_read_only(self.path)) as connection:
            for label, text, data in connection.execute(query, (limit,)):
                value = self.unpack(data)
                if value is not None:
                    yield label, text, self.show(value)

    def clear(self) -> int:
        """Remove everything, and return how many entries there were."""
        self._check()
        connection = self._open()
        with connection:
            removed = connection.execute(f"DELETE FROM {self.what}").rowcount
        connection.execute("PRAGMA incremental_vacuum")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return int(removed)

    def close(self) -> None:
        """Close the file."""
        if self._connection is not None and self._owner == (os.getpid(), threading.get_ident()):
            self._connection.close()
        self._connection = None

    def _open(self) -> sqlite3.Connection:
        # A connection must not be used in a forked process or in another thread than its own
        owner = (os.getpid(), threading.get_ident())
        if self._connection is None or self._owner != owner:
            if self.path.exists() and self.path.stat().st_size:
                self._check()
            self.path.parent.mkdir(parents=True, exist_ok=True)
            connection = sqlite3.connect(self.path, timeout=60, check_same_thread=False)
            connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
            if connection.execute("PRAGMA application_id").fetchone()[0] != self.application:
                # The first that is written, so that a file is known as ours whenever a kill comes
                connection.execute(f"PRAGMA application_id = {self.application}")
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = NORMAL")
            connection.executescript(self.schema())
            connection.execute(f"PRAGMA user_version = {_FORMAT}")
            self._connection, self._owner = connection, owner
        return self._connection

    def _check(self) -> None:
        """Make sure that a file is a cache, before anything is written to it."""
        with closing(_read_only(self.path)) as connection:
            application, version = (
                connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("application_id", "user_version")
            )
            # Earlier versions wrote no application's number
            if application != self.application and (application or _objects(connection) != self._own_objects()):
                raise sqlite3.DatabaseError(f"it is no cache of {self.what}")
        if version not in (0, _FORMAT):
            raise sqlite3.DatabaseError(f"format {version} of another version; this one writes {_FORMAT}")

    def _evict(self, connection: sqlite3.Connection) -> None:
        (total,) = connection.execute(f"SELECT COALESCE(SUM(size), 0) FROM {self.what}").fetchone()
        excess = total - self.max_mb * _MIB
        if excess <= 0:
            return
        # Down to nine tenths, so that it is not done again after each batch
        excess += self.max_mb * _MIB / 10
        gone: list[tuple[bytes]] = []
        for key, size in connection.execute(f"SELECT key, size FROM {self.what} ORDER BY used"):
            if excess <= 0:
                break
            gone.append((key,))
            excess -= size
        with connection:
            connection.executemany(f"DELETE FROM {self.what} WHERE key = ?", gone)
        connection.execute("PRAGMA incremental_vacuum")

    def _give_up(self, err: Exception) -> None:
        self._broken = True
        warn("W250", what=self.what, path=self.path, reason=str(err), stacklevel=4)

    def _own_objects(self) -> list[tuple[str, str, str]]:
        with closing(sqlite3.connect(":memory:")) as connection:
            connection.executescript(self.schema())
            return _objects(connection)


def _objects(connection: sqlite3.Connection) -> list[tuple[str, str, str]]:
    """The tables and indices of a file, as they were declared."""
    return sorted(connection.execute("SELECT type, name, sql FROM sqlite_master WHERE sql IS NOT NULL"))


def _read_only(path: Path) -> sqlite3.Connection:
    # Without a log there is nothing to read but the file, and SQLite is not to make one beside it
    mode = "mode=ro" if path.with_name(f"{path.name}-wal").exists() else "immutable=1"
    return sqlite3.connect(f"{path.resolve().as_uri()}?{mode}", uri=True, timeout=60, check_same_thread=False)
