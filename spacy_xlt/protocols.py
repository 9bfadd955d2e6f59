"""What an engine must offer to be plugged into a component. Engines work on plain Python data and on Bitexts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from spacy.tokens import Span

    from .bitext import Bitext
    from .links import Alignment

Tokens = Sequence[str]
TokenPair = tuple[Tokens, Tokens]


@dataclass(frozen=True)
class SoftAlignment:
    """How strongly each piece of a translation looks at each piece of its source, with the pieces' places in the texts.

    weights (float32, (n_source, n_target)): For each target piece (column), a distribution over the source pieces.
    source_spans (int32, (n_source, 2)): Start and end of each source piece in characters; empty for the end mark.
    target_spans (int32, (n_target, 2)): The same for the target.
    """

    weights: NDArray[np.float32]
    source_spans: NDArray[np.int32]
    target_spans: NDArray[np.int32]


@dataclass(frozen=True)
class Translation:
    """One translated text.

    text (str): The translation.
    score (float | None): Mean log-probability of its pieces, where the engine knows it.
    flags (tuple[str]): What makes it doubtful, for example "truncated".
    alignment (SoftAlignment | None): Where it costs nothing.
    """

    text: str
    score: float | None = None
    flags: tuple[str, ...] = ()
    alignment: SoftAlignment | None = None


@dataclass(frozen=True)
class PairContext:
    """What a component knows of a token pair beyond its tokens, for aligners that can use it.

    source_lang, target_lang (str): spaCy's codes; "" where unknown.
    attention (Alignment | None): Soft links that came with the translation, scores are attention weights.
    """

    source_lang: str = ""
    target_lang: str = ""
    attention: Alignment | None = None


@runtime_checkable
class Engine(Protocol):
    """What all engines share."""

    @property
    def signature(self) -> str:
        """Name, model, settings and versions in one short line, enough to make the same output again."""
        ...


@runtime_checkable
class Translator(Engine, Protocol):
    """Texts in one language → the same in another."""

    def translate(self, texts: Sequence[str], *, source: str, target: str) -> list[Translation]:
        """One Translation for each text, in order. An empty text gives an empty one.

        RAISES (XltError): E201 where the engine does not know the direction.
        """
        ...


@dataclass(frozen=True)
class Term:
    """Words that must appear in a translation as they stand here (a lexical constraint).

    target (str): The words in the target language.
    source (str): The words of the source that they translate; "" where they only have to appear somewhere.
    """

    target: str
    source: str = ""


@runtime_checkable
class TermTranslator(Translator, Protocol):
    """A translator whose decoding can be made to use given words. It says so by `takes_terms`."""

    takes_terms: bool

    def translate(
        self, texts: Sequence[str], *, source: str, target: str, terms: Sequence[Sequence[Term]] | None = None
    ) -> list[Translation]:
        """One Translation for each text, with all of its terms in it, or flagged "term_missing".

        terms (Sequence[Sequence[Term]] | None): The terms of each text.
        """
        ...


@runtime_checkable
class NBestTranslator(Translator, Protocol):
    """A translator that knows more than one translation of a text."""

    def translate_n_best(self, texts: Sequence[str], *, n: int, source: str, target: str) -> list[list[Translation]]:
        """For each text at most `n` different translations, the best first, each with its score."""
        ...


@runtime_checkable
class Scorer(Protocol):
    """A translator that can judge a given translation."""

    def score(self, sources: Sequence[str], targets: Sequence[str], *, source: str, target: str) -> NDArray[np.float32]:
        """Log-probability (natural, summed over pieces) of each target given its source: float32, (n,)."""
        ...


@runtime_checkable
class Forcer(Protocol):
    """A translator that can judge a given translation piece by piece."""

    def force(
        self, sources: Sequence[str], targets: Sequence[str], *, source: str, target: str
    ) -> list[tuple[NDArray[np.float32], NDArray[np.int32]]]:
        """For each pair the natural log-probability of each piece of the target given those before it, the end mark's
        last, float32, (n_pieces + 1,); and where each piece stands in the target in characters, int32, (n_pieces, 2).
        """
        ...


@runtime_checkable
class Attender(Protocol):
    """A translator that can say which words of a given translation come from which words of the source."""

    def attend(
        self, sources: Sequence[str | Tokens], targets: Sequence[str | Tokens], *, source: str, target: str
    ) -> list[NDArray[np.float32]]:
        """Soft alignments, one float32 array of (n_source, n_target) a pair.

        sources, targets: Token lists; a plain text counts as its words between spaces.
        """
        ...


@runtime_checkable
class Aligner(Engine, Protocol):
    """Token lists of both sides → word links."""

    def align(self, pairs: Sequence[TokenPair], *, contexts: Sequence[PairContext] | None = None) -> list[Alignment]:
        """One Alignment for each pair, in order. An empty side gives an empty one.

        contexts (Sequence[PairContext] | None): One for each pair; what the aligner may use besides the tokens.
        """
        ...


class Placement(NamedTuple):
    """Where a span, or a part of it, went.

    Attributes:
        start: The first target token.
        end: The token behind the last one.
        score: How sure that is, from 0 to 1.
        by: Which of several ways or projectors found it; "" where there is only one.
        flag: What is to be said of its sentence, such as "markers_lost"; "" for nothing.
        in_ents: Whether, of an entity, it goes to `doc.ents`, or to the mirroring span group only.
    """

    start: int
    end: int
    score: float
    by: str = ""
    flag: str = ""
    in_ents: bool = True


# What became of a source span: its place, its parts from the most important one on, or a key of `bitext.REASONS`
Outcome = Placement | Sequence[Placement] | str
# Bitexts, and the spans of their source docs that are to be projected, by group: "ents" or the key of a span group
ProjectionWork = Sequence[tuple["Bitext", Mapping[str, Sequence["Span"]]]]


@runtime_checkable
class Projector(Engine, Protocol):
    """Spans on the source side of bitexts → where they are on the target side."""

    def place(self, work: ProjectionWork) -> list[dict[str, list[Outcome]]]:
        """Find where spans went. Nothing is written.

        Args:
            work: Bitexts, and spans of their source docs by group.

        Returns:
            For each bitext, in order, an outcome for each span, by group.
        """
        ...
