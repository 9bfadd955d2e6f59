"""Aligning plain text: the Python call that takes lists, and streams of any length with flat memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

from ..build.lines import split_tokens
from ..errors import error
from ..languages import MULTI, blank, to_spacy
from ..links import Alignment
from ..protocols import PairContext, TokenPair, Tokens

# Pairs given to the engine at a time
_CHUNK = 512


class Tokenizers:
    """Cuts sentence pairs into tokens: at spaces, or with spaCy's tokenizers where languages are given.

    source, target (str): Language codes; "" for what spaces and tabs separate.
    """

    def __init__(self, source: str = "", target: str = ""):
        for lang in filter(None, (source, target)):
            # An unknown language is an error before anything is read
            blank(lang)
        self._languages = source, target

    def __call__(self, source: str, target: str) -> TokenPair:
        # `blank` exchanges a pipeline that has taken in many words: a tokenizer of its own would keep them all
        first, second = (
            _words(blank(lang).tokenizer(text)) if lang else split_tokens(text)
            for lang, text in zip(self._languages, (source, target), strict=True)
        )
        return first, second


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

    sources, targets (Sequence[str | Tokens]): Sentences; a text is cut at spaces, a list of tokens taken as it is.
    aligner (Aligner | dict[str, Any] | str | None): An engine, what a config says of one, or its registered name
        ("spacy_xlt.EmbeddingAligner.v1"). Left out: the default one of `xlt_aligner`, kept for the next call.
    source_lang, target_lang (str): Language codes, for engines that use them and for `tokenize`.
    tokenize (bool): Cut texts with spaCy's tokenizers of these languages instead. Links are then between its tokens.
    RETURNS (list[Alignment]): One a pair, in order; an empty side gives an empty one.
    RAISES (XltError): E356 where both sides are not as many.
    """
    if len(sources) != len(targets):
        raise error("E356", n_source=len(sources), n_target=len(targets))
    engine = resolve_aligner(aligner)
    cut = Tokenizers(source_lang or MULTI, target_lang or MULTI) if tokenize else Tokenizers()
    pairs = [_pair(cut, source, target) for source, target in zip(sources, targets, strict=True)]
    return engine.align(pairs, contexts=[_context(source_lang, target_lang)] * len(pairs))


def align_stream(
    engine: Any, pairs: Iterable[TokenPair], *, source_lang: str = "", target_lang: str = ""
) -> Iterator[tuple[TokenPair, Alignment]]:
    """Align pairs as they come, so many at a time, in order.

    engine (Aligner): What links the words.
    YIELDS (tuple[TokenPair, Alignment]): Tokens and their links.
    RAISES (XltError): E105 where the engine returns another number of alignments than it got pairs.
    """
    context = _context(source_lang, target_lang)
    stream = iter(pairs)
    while chunk := list(islice(stream, _CHUNK)):
        found = engine.align(chunk, contexts=[context] * len(chunk))
        if len(found) != len(chunk):
            raise error("E105", name="align", found=len(found), expected=len(chunk))
        yield from zip(chunk, found, strict=True)


_default: list[Any] = []


def resolve_aligner(aligner: Any = None) -> Any:
    """Make the engine that a name or a part of a config stands for.

    aligner (Aligner | dict[str, Any] | str | None): As `align` takes it.
    """
    if aligner is not None and not isinstance(aligner, (str, dict)):
        return aligner
    from spacy.util import registry

    from .component import DEFAULT_ENGINE

    if aligner is None:
        if not _default:
            _default.append(registry.resolve({"engine": DEFAULT_ENGINE})["engine"])
        return _default[0]
    return registry.resolve({"engine": {"@misc": aligner} if isinstance(aligner, str) else aligner})["engine"]


def _pair(cut: Tokenizers, source: str | Tokens, target: str | Tokens) -> TokenPair:
    first, second = cut(source if isinstance(source, str) else "", target if isinstance(target, str) else "")
    return first if isinstance(source, str) else source, second if isinstance(target, str) else target


def _context(source: str, target: str) -> PairContext:
    return PairContext(to_spacy(source) if source else "", to_spacy(target) if target else "")


def _words(doc: Any) -> list[str]:
    return [token.text for token in doc if not token.is_space]
