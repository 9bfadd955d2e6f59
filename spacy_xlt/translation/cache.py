"""A cache of translations on the disk, and a translator with one."""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import srsly

from ..errors import error
from ..io.disk_cache import DiskCache
from ..protocols import SoftAlignment, Translation

_FORMAT = 1
# Decimals of a score. Further ones depend on what else was in a batch of the engine
_DECIMALS = 4


class TranslationCache(DiskCache[Translation]):
    """Translations on the disk, by everything that decides them; see `DiskCache`."""

    what = "translations"
    # "xltc"
    application = 0x786C7463
    labels = ("source", "target", "signature")
    counted = ("source || '-' || target", "signature")

    def pack(self, value: Translation) -> bytes:
        """A translation as bytes."""
        # JSON takes any text, also one with half of a surrogate pair
        head = json.dumps([value.text, value.score, value.flags])
        soft = value.alignment
        blocks = () if soft is None else soft.blocks
        arrays = (
            None if soft is None else [blocks[0] if len(blocks) == 1 else blocks, soft.source_spans, soft.target_spans]
        )
        return zlib.compress(srsly.msgpack_dumps([head, arrays]), 1)

    def unpack(self, data: bytes) -> Translation | None:
        """The counterpart; None for bytes that are damaged."""
        try:
            head, arrays = srsly.msgpack_loads(zlib.decompress(data))
            text, score, flags = json.loads(head)
            return Translation(text, score, tuple(flags), None if arrays is None else SoftAlignment(*arrays))
        except (zlib.error, ValueError, TypeError):
            return None

    def show(self, value: Translation) -> str:
        """The text and the score."""
        return value.text if value.score is None else f"{value.text} ({value.score:.2f})"


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


def entry_key(text: str, *, source: str, target: str, signature: str) -> bytes:
    """The key of a translation: a digest of everything that decides it."""
    whole = json.dumps([_FORMAT, signature, source, target, text], ensure_ascii=True)
    return hashlib.sha256(whole.encode("ascii")).digest()
