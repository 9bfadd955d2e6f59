"""A cache of translations on the disk, one SQLite file shared by any number of processes, and a translator with one."""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
import threading
import time
import zlib
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import srsly

from ..errors import error, warn
from ..protocols import SoftAlignment, Translation

_FORMAT = 1
# Says that an SQLite file is ours: "xltc"
_APPLICATION = 0x786C7463
_SCHEMA = """
CREATE TABLE IF NOT EXISTS translations (
    key BLOB PRIMARY KEY, source TEXT NOT NULL, target TEXT NOT NULL, signature TEXT NOT NULL, text TEXT NOT NULL,
    value BLOB NOT NULL, size INTEGER NOT NULL, used INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS by_use ON translations (used, size);
"""
# SQLite's limit on values in one statement was 999 for long
_KEYS_AT_ONCE = 500
# What a row takes besides its own bytes: key, numbers, index
_ROW_BYTES = 120
# "Last used" is exact to an hour, so that reading seldom writes
_USE_SECONDS = 3600
_MIB = 1 << 20
# Decimals of a score. Further ones depend on what else was in a batch of the engine
_DECIMALS = 4


def user_cache() -> Path:
    """The folder for what this package keeps between runs."""
    base = os.environ.get("XDG_CACHE_HOME") or os.environ.get("LOCALAPPDATA") or Path.home() / ".cache"
    return Path(base) / "spacy_xlt"


def cache_path(setting: str | Path) -> Path:
    """Where the cache is: the path itself, a file in it if it is a folder, or, for "user", the user's cache folder."""
    if setting == "user":
        return user_cache() / "translations.sqlite"
    path = Path(setting)
    return path / "translations.sqlite" if path.is_dir() else path


class CacheStats(NamedTuple):
    """What a cache holds: translations, also by direction and by engine signature, and bytes on the disk."""

    entries: int
    bytes: int
    directions: dict[str, int]
    signatures: dict[str, int]


class TranslationCache:
    """Translations on the disk, by everything that decides them.

    Safe for many processes at once and for a kill at any moment. Where the file cannot be used (another kind of file, a
    full or write-protected disk), it warns once with W250 and does nothing from then on.

    Args:
        path: The file; see `cache_path`.
        max_mb: The most mebibytes of translations; beyond, those not used for the longest time go.
    """

    def __init__(self, path: str | Path, *, max_mb: float = 1024):
        self.path = cache_path(path)
        self.max_mb = max_mb
        self._connection: sqlite3.Connection | None = None
        self._owner: tuple[int, int] | None = None
        self._broken = False
        self._written = 0

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_connection": None, "_owner": None}

    def get(self, keys: Sequence[bytes]) -> dict[bytes, Translation]:
        """The translations that are there."""
        if self._broken:
            return {}
        found: dict[bytes, Translation] = {}
        stale: list[tuple[int, bytes]] = []
        now = int(time.time())
        try:
            connection = self._open()
            for start in range(0, len(keys), _KEYS_AT_ONCE):
                some = list(keys[start : start + _KEYS_AT_ONCE])
                marks = ",".join("?" * len(some))
                query = f"SELECT key, value, used FROM translations WHERE key IN ({marks})"
                for key, value, used in connection.execute(query, some):
                    translation = _unpacked(value)
                    if translation is None:
                        continue
                    found[key] = translation
                    if now - used > _USE_SECONDS:
                        stale.append((now, key))
            if stale:
                with connection:
                    connection.executemany("UPDATE translations SET used = ? WHERE key = ?", stale)
        except (sqlite3.Error, OSError) as err:
            self._give_up(err)
        return found

    def put(self, items: Sequence[tuple[bytes, str, Translation]], *, source: str, target: str, signature: str) -> None:
        """Keep translations: keys, source texts and translations."""
        if self._broken or not items:
            return
        now = int(time.time())
        rows = []
        for key, text, translation in items:
            value = _packed(translation)
            size = len(value) + len(text.encode("utf8", "surrogatepass")) + len(signature) + _ROW_BYTES
            text = text.encode("utf8", "replace").decode("utf8")
            rows.append((key, source, target, signature, text, value, size, now))
        try:
            connection = self._open()
            with connection:
                connection.executemany("INSERT OR REPLACE INTO translations VALUES (?, ?, ?, ?, ?, ?, ?, ?)", rows)
            self._written += sum(row[6] for row in rows)
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
        with closing(self._read_only()) as connection:
            directions = {
                f"{source}-{target}": n
                for source, target, n in connection.execute(
                    "SELECT source, target, COUNT(*) FROM translations GROUP BY source, target ORDER BY 3 DESC"
                )
            }
            signatures = dict(
                connection.execute("SELECT signature, COUNT(*) FROM translations GROUP BY signature ORDER BY 2 DESC")
            )
            n_pages, page = (connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "page_size"))
        return CacheStats(sum(directions.values()), n_pages * page, directions, signatures)

    def entries(self, *, limit: int = 20) -> Iterator[tuple[str, str, str, str, float | None]]:
        """Yield the entries used last: both languages, source text, translation, score."""
        query = "SELECT source, target, text, value FROM translations ORDER BY used DESC LIMIT ?"
        self._check()
        with closing(self._read_only()) as connection:
            for source, target, text, value in connection.execute(query, (limit,)):
                translation = _unpacked(value)
                if translation is not None:
                    yield source, target, text, translation.text, translation.score

    def clear(self) -> int:
        """Remove everything, and return how many translations there were."""
        self._check()
        connection = self._open()
        with connection:
            removed = connection.execute("DELETE FROM translations").rowcount
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
            if connection.execute("PRAGMA application_id").fetchone()[0] != _APPLICATION:
                # The first that is written, so that a file is known as ours whenever a kill comes
                connection.execute(f"PRAGMA application_id = {_APPLICATION}")
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = NORMAL")
            connection.executescript(_SCHEMA)
            connection.execute(f"PRAGMA user_version = {_FORMAT}")
            self._connection, self._owner = connection, owner
        return self._connection

    def _read_only(self) -> sqlite3.Connection:
        # Without a log there is nothing to read but the file, and SQLite is not to make one beside it
        log = self.path.with_name(f"{self.path.name}-wal")
        mode = "mode=ro" if log.exists() else "immutable=1"
        return sqlite3.connect(f"{self.path.resolve().as_uri()}?{mode}", uri=True, timeout=60, check_same_thread=False)

    def _check(self) -> None:
        """Make sure that a file is a cache, before anything is written to it."""
        with closing(self._read_only()) as connection:
            application, version = (
                connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("application_id", "user_version")
            )
            # Earlier versions wrote no application's number
            if application != _APPLICATION and (application or _objects(connection) != _own_objects()):
                raise sqlite3.DatabaseError("it is no cache of translations")
        if version not in (0, _FORMAT):
            raise sqlite3.DatabaseError(f"format {version} of another version; this one writes {_FORMAT}")

    def _evict(self, connection: sqlite3.Connection) -> None:
        (total,) = connection.execute("SELECT COALESCE(SUM(size), 0) FROM translations").fetchone()
        excess = total - self.max_mb * _MIB
        if excess <= 0:
            return
        # Down to nine tenths, so that it is not done again after each batch
        excess += self.max_mb * _MIB / 10
        gone: list[tuple[bytes]] = []
        for key, size in connection.execute("SELECT key, size FROM translations ORDER BY used"):
            if excess <= 0:
                break
            gone.append((key,))
            excess -= size
        with connection:
            connection.executemany("DELETE FROM translations WHERE key = ?", gone)
        connection.execute("PRAGMA incremental_vacuum")

    def _give_up(self, err: Exception) -> None:
        self._broken = True
        warn("W250", path=self.path, reason=str(err), stacklevel=4)


class CachedTranslator:
    """An engine behind a cache. It counts the texts that were in the cache (`hits`) and those that were not (`misses`).

    Args:
        engine: A `Translator`.
        cache: Where translations are kept.
        name: The component's, for messages.
        with_attention: Whether the attention of a translation is of use; it takes most of the room.
    """

    def __init__(
        self,
        engine: Any,
        *,
        cache: TranslationCache | None = None,
        name: str = "xlt_translator",
        with_attention: bool = False,
    ):
        self.engine = engine
        self.cache = cache
        self.name = name
        self.with_attention = with_attention
        self.hits = 0
        self.misses = 0

    def translate(self, texts: Sequence[str], *, source: str, target: str) -> list[Translation]:
        """As the engine's; what is in the cache is not translated again, nor is a text that comes twice.

        Raises:
            XltError: E105 where the engine returns another number of translations than it got texts.
        """
        signature = str(getattr(self.engine, "signature", type(self.engine).__name__))
        if self.with_attention:
            signature += "|with attention"
        where = {"source": source, "target": target, "signature": signature}
        keys = [entry_key(text, **where) for text in texts]
        known = {} if self.cache is None else self.cache.get(list(dict.fromkeys(keys)))
        new = {key: text for key, text in zip(keys, texts, strict=True) if key not in known}
        made = dict(zip(new, self._ask(list(new.values()), source, target), strict=True))
        if self.cache is not None:
            self.cache.put([(key, new[key], translation) for key, translation in made.items()], **where)
            self.hits += len(texts) - len(new)
        return [known.get(key) or made[key] for key in keys]

    def _ask(self, texts: Sequence[str], source: str, target: str) -> list[Translation]:
        if not texts:
            return []
        made = list(self.engine.translate(texts, source=source, target=target))
        if len(made) != len(texts):
            raise error("E105", name=self.name, found=len(made), expected=len(texts))
        self.misses += len(texts)
        return [
            replace(
                translation,
                score=None if translation.score is None else round(translation.score, _DECIMALS),
                alignment=translation.alignment if self.with_attention else None,
            )
            for translation in made
        ]


def _objects(connection: sqlite3.Connection) -> list[tuple[str, str, str]]:
    """The tables and indices of a file, as they were declared."""
    return sorted(connection.execute("SELECT type, name, sql FROM sqlite_master WHERE sql IS NOT NULL"))


def _own_objects() -> list[tuple[str, str, str]]:
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.executescript(_SCHEMA)
        return _objects(connection)


def entry_key(text: str, *, source: str, target: str, signature: str) -> bytes:
    """The key of a translation: a digest of everything that decides it."""
    whole = json.dumps([_FORMAT, signature, source, target, text], ensure_ascii=True)
    return hashlib.sha256(whole.encode("ascii")).digest()


def _packed(translation: Translation) -> bytes:
    # JSON takes any text, also one with half of a surrogate pair
    head = json.dumps([translation.text, translation.score, translation.flags])
    soft = translation.alignment
    blocks = () if soft is None else soft.blocks
    arrays = None if soft is None else [blocks[0] if len(blocks) == 1 else blocks, soft.source_spans, soft.target_spans]
    return zlib.compress(srsly.msgpack_dumps([head, arrays]), 1)


def _unpacked(value: bytes) -> Translation | None:
    """The counterpart; None for bytes that are damaged."""
    try:
        head, arrays = srsly.msgpack_loads(zlib.decompress(value))
        text, score, flags = json.loads(head)
        return Translation(text, score, tuple(flags), None if arrays is None else SoftAlignment(*arrays))
    except (zlib.error, ValueError, TypeError):
        return None
