"""A translator that looks into a cache first, and counts what it found there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..protocols import Term, Translation
from .cache import TranslationCache, entry_key


class CachedTranslator:
    """An engine behind a cache.

    engine (Translator): What translates.
    cache (TranslationCache | None): Where translations are kept; an engine that says `cacheable = False`, because its
        output depends on more than the text, goes without.
    """

    def __init__(self, engine: Any, *, cache: TranslationCache | None = None):
        self.engine = engine
        self.cache = cache if getattr(engine, "cacheable", True) else None
        self.hits = 0
        self.misses = 0

    @property
    def signature(self) -> str:
        """The engine's."""
        return str(getattr(self.engine, "signature", type(self.engine).__name__))

    def translate(
        self, texts: Sequence[str], *, source: str, target: str, terms: Sequence[Sequence[Term]] | None = None
    ) -> list[Translation]:
        """As the engine's; what is in the cache is not translated again, nor is a text that comes twice.

        terms (Sequence[Sequence[Term]] | None): Only for engines that take them.
        """
        if self.cache is None:
            self.misses += len(texts)
            return self._ask(texts, source, target, terms)
        signature = self.signature
        settings: dict[str, Any] = {"source": source, "target": target, "signature": signature}
        keys = [entry_key(text, terms=terms[i] if terms else None, **settings) for i, text in enumerate(texts)]
        found = self.cache.get(list(dict.fromkeys(keys)))
        todo = {key: i for i, key in reversed(list(enumerate(keys))) if key not in found}
        order = sorted(todo.values())
        if order:
            asked = None if terms is None else [terms[i] for i in order]
            new = self._ask([texts[i] for i in order], source, target, asked)
            if len(new) != len(order):
                return new
            self.cache.put([(keys[i], texts[i], made) for i, made in zip(order, new, strict=True)], **settings)
            found.update((keys[i], made) for i, made in zip(order, new, strict=True))
        self.misses += len(order)
        self.hits += len(texts) - len(order)
        return [found[key] for key in keys]

    def _ask(
        self, texts: Sequence[str], source: str, target: str, terms: Sequence[Sequence[Term]] | None
    ) -> list[Translation]:
        if terms is None or not any(terms):
            return list(self.engine.translate(texts, source=source, target=target))
        return list(self.engine.translate(texts, source=source, target=target, terms=terms))
