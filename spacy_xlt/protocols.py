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

    Attributes:
        blocks: For each part of the text that was translated by itself, in order: for each target piece (column), a
            distribution over the source pieces of the part: float32, (n_source, n_target). An array alone is one part.
        source_spans: Start and end of each source piece in characters, empty for the end mark: int32, (n_source, 2).
        target_spans: The same for the target: int32, (n_target, 2).
    """

    blocks: tuple[NDArray[np.float32], ...]
    source_spans: NDArray[np.int32]
    target_spans: NDArray[np.int32]

    def __post_init__(self) -> None:
        blocks = (self.blocks,) if isinstance(self.blocks, np.ndarray) else tuple(self.blocks)
        object.__setattr__(self, "blocks", blocks)

    @property
    def weights(self) -> NDArray[np.float32]:
        """All blocks in one matrix, (n_source, n_target), which is large for a long text."""
        if len(self.blocks) == 1:
            return self.blocks[0]
        from scipy.linalg import block_diag

        return np.asarray(block_diag(*self.blocks), np.float32).reshape(len(self.source_spans), len(self.target_spans))


@dataclass(frozen=True)
class Translation:
    """One translated text.

    Attributes:
        score: Mean log-probability (natural) of its pieces, where the engine knows it.
        flags: What makes it doubtful, for example "truncated".
    """

    text: str
    score: float | None = None
    flags: tuple[str, ...] = ()
    alignment: SoftAlignment | None = None


@dataclass(frozen=True)
class PairContext:
    """What a component knows of a token pair beyond its tokens, for aligners that can use it.

    Attributes:
        source_lang: spaCy's code; "" where unknown.
        target_lang: The same for the target.
        attention: Soft links that came with the translation; their scores are attention weights.
    """

    source_lang: str = ""
    target_lang: str = ""
    attention: Alignment | None = None


@runtime_checkable
class Engine(Protocol):
    """What all engines share."""

    @property
    def signature(self) -> str:
        """Name, model and settings in one short line, enough to make the same output again."""
        ...


@runtime_checkable
class Translator(Engine, Protocol):
    """Texts in one language → the same in another."""

    def translate(self, texts: Sequence[str], *, source: str, target: str) -> list[Translation]:
        """Translate texts.

        Args:
            texts: The texts. An empty one has an empty translation.

        Returns:
            One translation for each text, in order.

        Raises:
            UnknownDirection: E201 where the engine does not know the direction.
        """
        ...


@runtime_checkable
class Speller(Protocol):
    """A translator with a limited vocabulary, which says what it cannot spell. One without this knows everything."""

    def unknown(self, texts: Sequence[str], *, source: str, target: str) -> list[frozenset[str] | None]:
        """The characters of each text that would be lost, or become others, in its translation.

        Returns:
            One set for each text; None for one whose translation is known, so that it is to be sent as it is.
        """
        ...


@runtime_checkable
class Finder(Protocol):
    """A translator that has translations of whole texts already, which may be longer than a sentence."""

    def finds(self, text: str, *, source: str, target: str) -> bool:
        """Whether it has a translation of the text as a whole."""
        ...


@runtime_checkable
class Scorer(Protocol):
    """A translator that can judge a given translation."""

    def score(self, sources: Sequence[str], targets: Sequence[str], *, source: str, target: str) -> NDArray[np.float32]:
        """How probable given translations are.

        Returns:
            Log-probability (natural, summed over pieces) of each target given its source: float32, (n,).
        """
        ...


@runtime_checkable
class Forcer(Protocol):
    """A translator that can judge a given translation piece by piece."""

    def force(
        self, sources: Sequence[str], targets: Sequence[str], *, source: str, target: str
    ) -> list[tuple[NDArray[np.float32], NDArray[np.int32]]]:
        """How probable given translations are, piece by piece. Arguments as those of `Scorer.score`.

        Returns:
            For each pair the natural log-probability of each piece of the target given those before it, the end mark's
            last, float32, (n_pieces + 1,); and where each piece is in the target in characters, int32, (n_pieces, 2).
        """
        ...


@runtime_checkable
class Attender(Protocol):
    """A translator that can say which words of a given translation come from which words of the source."""

    def attend(
        self, sources: Sequence[str | Tokens], targets: Sequence[str | Tokens], *, source: str, target: str
    ) -> list[NDArray[np.float32]]:
        """Let the model read given translations.

        Args:
            sources: Token lists; a plain text counts as its words between spaces.

        Returns:
            Soft alignments, one float32 array of (n_source, n_target) a pair.
        """
        ...


@runtime_checkable
class Aligner(Engine, Protocol):
    """Token lists of both sides → word links."""

    def align(self, pairs: Sequence[TokenPair], *, contexts: Sequence[PairContext] | None = None) -> list[Alignment]:
        """One Alignment for each pair, in order. An empty side gives an empty one.

        Args:
            pairs: Token lists of both sides.
            contexts: One for each pair; what the aligner may use besides the tokens.
        """
        ...


class Placement(NamedTuple):
    """Where a span, or a part of it, went.

    Attributes:
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

        Returns:
            For each bitext, in order, an outcome for each span, by group.
        """
        ...
