"""Aligning plain text: the Python call that takes lists, and streams of any length in bounded memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import islice
from typing import Any

from ..errors import error
from ..languages import MULTI, blank, to_spacy
from ..links import Alignment
from ..protocols import PairContext, TokenPair, Tokens
from ..readers.lines import split_tokens

# Pairs given to the engine at a time
_CHUNK = 512


def pair_tokenizer(source: str = "", target: str = "") -> Callable[[str, str], TokenPair]:
    """A function that cuts sentence pairs into tokens: at spaces, or with spaCy's tokenizers where languages are given.

    Raises:
        XltError: E010 for an unknown language.
    """
    # An unknown language is an error before anything is read
    for lang in filter(None, (source, target)):
        blank(lang)
    return lambda first, second: (_tokens(first, source), _tokens(second, target))


def _tokens(text: str, lang: str) -> list[str]:
    # `blank` exchanges a pipeline that has taken in many words: a tokenizer held here would keep them all
    return [token.text for token in blank(lang).tokenizer(text) if not token.is_space] if lang else split_tokens(text)


def align(
    sources: Sequence[str | Tokens],
    targets: Sequence[str | Tokens],
    *,
    aligner: Any = None,
    source_lang: str = "",
    target_lang: str = "",
    tokenize: bool = False,
) -> list[Alignment]:
    """Link the words of sentences with those of their translations.

    Args:
        sources: Sentences; a text is cut at spaces, a list of tokens taken as it is.
        targets: Their translations, in the same order.
        aligner: An engine. Left out: the default one of `xlt_aligner`, kept for the next call.
        source_lang: Language code, for engines that use it and for `tokenize`; so is `target_lang`.
        tokenize: Cut texts with spaCy's tokenizers of these languages instead. Links are then between its tokens.

    Returns:
        One a pair, in order; an empty side gives an empty one.

    Raises:
        XltError: E356 where the sides have different lengths.
    """
    if len(sources) != len(targets):
        raise error("E356", n_source=len(sources), n_target=len(targets))
    first, second = (lang or MULTI if tokenize else "" for lang in (source_lang, target_lang))
    pairs = [(_side(a, first), _side(b, second)) for a, b in zip(sources, targets, strict=True)]
    engine = default_aligner() if aligner is None else aligner
    return engine.align(pairs, contexts=[_context(source_lang, target_lang)] * len(pairs))


def _side(sentence: str | Tokens, lang: str) -> Tokens:
    return _tokens(sentence, lang) if isinstance(sentence, str) else sentence


def align_stream(
    engine: Any, pairs: Iterable[TokenPair], *, source_lang: str = "", target_lang: str = ""
) -> Iterator[tuple[TokenPair, Alignment]]:
    """Align pairs as they come, 512 at a time, in order. The languages are for engines that use them."""
    context = _context(source_lang, target_lang)
    stream = iter(pairs)
    while chunk := list(islice(stream, _CHUNK)):
        yield from zip(chunk, engine.align(chunk, contexts=[context] * len(chunk)), strict=True)


@lru_cache(maxsize=1)
def default_aligner() -> Any:
    """The default engine of `xlt_aligner`, made once."""
    from spacy.util import registry

    from .component import DEFAULT_ENGINE

    return registry.resolve({"engine": DEFAULT_ENGINE})["engine"]


def _context(source: str, target: str) -> PairContext:
    return PairContext(to_spacy(source) if source else "", to_spacy(target) if target else "")
