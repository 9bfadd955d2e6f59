"""`NeuralTranslator`: what translators that run a neural model share, from texts to batches of pieces and back."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar
from unicodedata import category

import numpy as np
from numpy.typing import NDArray

from ..alignment.soft import Window, token_weights, windows_of
from ..device import OomRetry, batches_by_length, one_thread_after_fork, run_side_by_side, without_cudnn_attention
from ..engine import Engine, setting
from ..languages import UNSEGMENTED, to_spacy
from ..protocols import SoftAlignment, Tokens, Translation
from ..tokens import has_text
from .subwords import Codec, Pieces, join_tokens, lacking, script_of, split_pieces

# So many pieces more than the factor allows, because a single word may well become several
_FREE_PIECES = 8

Result = TypeVar("Result")
Ids = NDArray[np.int64]


@dataclass(frozen=True)
class Hypothesis:
    """The translation of one source, as a search ends with it.

    Attributes:
        ids: Its pieces, int64 of shape (n_target,), with the end mark unless it was cut off.
        score: Sum of their natural log-probabilities.
        truncated: Whether it reached its limit before the end mark.
        weights: What each piece looked at, float32 of shape (n_target, n_source), with or without the source's end
            mark at the end; None where that is not known.
    """

    ids: Ids
    score: float
    truncated: bool
    weights: NDArray[np.float32] | None = None


class DirectionModel(Protocol):
    """A loaded model with all that one direction needs. Its methods compute one batch.

    Attributes:
        source: Cuts source texts into pieces; `target` does so with theirs.
        device: A `torch.device`: where it runs.
        max_pieces: The most pieces of a source, or of either side of a given pair, besides the marks.
        n_marks: How many marks are added to a source.
    """

    source: Codec
    target: Codec
    device: Any
    max_pieces: int
    n_marks: int

    def search(self, sources: Sequence[Ids], limits: NDArray[np.int64]) -> list[Hypothesis]:
        """Translate sources.

        Args:
            sources: Their pieces without marks.
            limits: The most pieces of each translation, its end mark included, int64 of shape (n_sources,).
        """
        ...

    def force(self, sources: Sequence[Ids], targets: Sequence[Ids]) -> list[NDArray[np.float32]]:
        """The log-probability of each piece of given targets and of their ends: float32 of shape (n_target + 1,)."""
        ...

    def attend(self, sources: Sequence[Ids], targets: Sequence[Ids]) -> list[NDArray[np.float32]]:
        """What the pieces of given targets look at: float32 of shape (n_target, n_source), without marks."""
        ...


@dataclass(kw_only=True, eq=False)
class NeuralTranslator(Engine, ABC):
    """Base class of translators that run a neural model, which is loaded when first used.

    A subclass gives `load`, and may choose its batches.

    Args:
        batch_tokens: The most source pieces of a batch, padding counted.
        max_pieces: Longer texts are translated in parts of at most this many pieces, cut where sentences end if
            possible, and put together.
        max_length_factor: A translation of more pieces than this times the source's, and a few more, is cut off and
            flagged "truncated".
    """

    batch_tokens: int = setting(4096, ge=1, decides=False)
    max_pieces: int = setting(192, ge=2)
    max_length_factor: float = setting(2.5, ge=1)

    def __post_init__(self) -> None:
        super().__post_init__()
        self._loaded: dict[Any, Any] = {}
        self._retry = OomRetry(type(self).__name__)
        # By direction: the characters that were looked up, and those of them that are unknown
        self._characters: dict[tuple[str, str], tuple[set[str], set[str]]] = {}

    @abstractmethod
    def load(self, source: str, target: str, *, device: Any, exact: bool) -> DirectionModel:
        """The model for a direction, loaded once. `self._loaded` is for what it keeps.

        Args:
            source: A language code of any kind, as is the target's.
            device: The `torch.device` that spaCy uses.
            exact: Whether it is for log-probabilities of given targets, which are in 32-bit floats where possible.

        Raises:
            XltError: E201 for an unknown direction.
        """

    def translate(self, texts: Sequence[str], *, source: str, target: str) -> list[Translation]:
        """Translate texts.

        Returns:
            One translation for each text, in order, with its alignment where that costs nothing. A text without
            pieces gives an empty one without a score.

        Raises:
            XltError: E010 and E201 for an unknown direction, E226 where there is not enough memory for a single text,
                and others for a model that cannot be used.
        """
        model = self._model(source, target, exact=False)
        limit = min(self.max_pieces, model.max_pieces)
        encoded = zip(model.source.encode(texts), texts, strict=True)
        cut = [split_pieces(pieces, text, limit=limit) if has_text(text) else [] for pieces, text in encoded]
        parts = [part for parts_of_text in cut for part in parts_of_text]

        def run(batch: list[int]) -> list[Hypothesis]:
            sources = [parts[i].ids for i in batch]
            # The end mark counts as a piece
            lengths = np.asarray([len(ids) + 1 for ids in sources])
            limits = np.ceil(self.max_length_factor * lengths).astype(np.int64) + _FREE_PIECES
            return model.search(sources, limits)

        lengths = [len(part) + model.n_marks for part in parts]
        hypotheses = iter(self._run(model, run, self._search_batches(model, lengths), lengths))
        spaced = to_spacy(target) not in UNSEGMENTED
        return [
            join_parts(parts_of_text, [next(hypotheses) for _ in parts_of_text], model.target, spaced=spaced)
            for parts_of_text in cut
        ]

    def unknown(self, texts: Sequence[str], *, source: str, target: str) -> list[frozenset[str] | None]:
        """As `protocols.Speller.unknown`, from the vocabularies.

        A character is known where the source's pieces spell it; a symbol, number or letter must also be one that the
        target's pieces spell, but for letters of scripts that the target is not written in: they are read only.

        Raises:
            XltError: As `translate`.
        """
        seen, unknown = self._characters.setdefault((source, target), (set(), set()))
        new = set().union(*texts) - seen
        if new:
            # White space and halves of surrogate pairs are the codecs' business
            asked = [char for char in sorted(new) if not char.isspace() and category(char) != "Cs"]
            model = self._model(source, target, exact=False)
            unknown |= lacking(model.source, asked)
            if model.target is not model.source:
                unknown |= {
                    char
                    for char in lacking(model.target, [char for char in asked if category(char)[0] in "LNS"])
                    if not char.isalpha() or script_of(char) in model.target.scripts
                }
            seen |= new
        return [frozenset(unknown.intersection(text)) for text in texts]

    def force(
        self, sources: Sequence[str], targets: Sequence[str], *, source: str, target: str
    ) -> list[tuple[NDArray[np.float32], NDArray[np.int32]]]:
        """How probable each piece of given translations is, over the whole vocabulary.

        Pairs longer than `max_pieces` are run in windows of matching places.

        Returns:
            For each pair the natural log-probability of each target piece given those before it, the end mark's last,
            float32 of shape (n_pieces + 1,); and start and end of each piece in characters of the target, int32 of
            shape (n_pieces, 2), white space left out. A piece of nothing but the mark before a word has the place of
            the next piece.

        Raises:
            XltError: As `translate`.
        """
        model = self._model(source, target, exact=True)
        pairs = _encode(model.source, sources), _encode(model.target, targets)
        results = [(np.zeros(len(pieces) + 1, np.float32), pieces.spans) for pieces in pairs[1]]
        for window, log_probs in self._forced(model, model.force, *pairs):
            # The end mark counts where the text ends, not at each window's end
            n_pieces = window.target.stop - window.target.start + (window.target.stop == len(pairs[1][window.pair]))
            results[window.pair][0][window.target.start :][:n_pieces] = log_probs[:n_pieces]
        return results

    def score(self, sources: Sequence[str], targets: Sequence[str], *, source: str, target: str) -> NDArray[np.float32]:
        """How probable given translations are, over the whole vocabulary.

        Pairs longer than `max_pieces` are scored in windows of matching places.

        Returns:
            Natural log-probability of each target with its end mark, summed over pieces: float32 of shape (n,).

        Raises:
            XltError: As `translate`.
        """
        forced = self.force(sources, targets, source=source, target=target)
        return np.asarray([log_probs.sum(dtype=np.float64) for log_probs, _ in forced], np.float32)

    def attend(
        self, sources: Sequence[str | Tokens], targets: Sequence[str | Tokens], *, source: str, target: str
    ) -> list[NDArray[np.float32]]:
        """Which words of given translations come from which words of their sources, by the decoder's attention.

        Pairs longer than `max_pieces` are run in windows of matching places.

        Args:
            sources: Tokens; a plain text counts as its words between spaces, and so do the targets.

        Returns:
            Weights of shape (n_source, n_target) for each pair, float32. Columns sum to 1 at most; see
            `alignment.soft.token_weights`.

        Raises:
            XltError: As `translate`.
        """
        model = self._model(source, target, exact=False)
        source_texts, source_spans = join_tokens(sources, to_spacy(source))
        target_texts, target_spans = join_tokens(targets, to_spacy(target))
        pairs = _encode(model.source, source_texts), _encode(model.target, target_texts)
        weights = [np.zeros((len(s), len(t)), np.float32) for s, t in zip(*pairs, strict=True)]
        for window, looked in self._forced(model, model.attend, *pairs):
            weights[window.pair][window.source, window.target] = looked.T
        return [
            token_weights(SoftAlignment((w,), s.spans, t.spans), source_spans[i], target_spans[i])
            for i, (w, s, t) in enumerate(zip(weights, *pairs, strict=True))
        ]

    def _model(self, source: str, target: str, *, exact: bool) -> DirectionModel:
        import torch
        from thinc.api import get_torch_default_device

        one_thread_after_fork()
        return self.load(source, target, device=torch.device(get_torch_default_device()), exact=exact)

    def _search_batches(self, model: DirectionModel, lengths: Sequence[int]) -> list[list[int]]:
        """Indices of sources of these lengths, marks included, in batches for a search."""
        return batches_by_length(lengths, batch_tokens=self.batch_tokens)

    def _force_budget(self, model: DirectionModel) -> int:
        """The most pieces of a batch of given pairs, padding counted."""
        return self.batch_tokens

    def _forced(
        self,
        model: DirectionModel,
        run: Callable[[list[Ids], list[Ids]], list[Result]],
        sources: Sequence[Pieces],
        targets: Sequence[Pieces],
    ) -> Iterator[tuple[Window, Result]]:
        """Windows of pairs, and what the model makes of them."""
        limit = min(self.max_pieces, model.max_pieces)
        windows = [
            window
            for i, (source, target) in enumerate(zip(sources, targets, strict=True))
            for window in windows_of(i, len(source), len(target), limit=limit)
        ]

        def run_batch(batch: list[int]) -> list[Result]:
            chosen = [windows[i] for i in batch]
            return run([sources[w.pair].ids[w.source] for w in chosen], [targets[w.pair].ids[w.target] for w in chosen])

        lengths = [window.length + model.n_marks for window in windows]
        batches = batches_by_length(lengths, batch_tokens=self._force_budget(model))
        return zip(windows, self._run(model, run_batch, batches, lengths), strict=True)

    def _run(
        self,
        model: DirectionModel,
        run: Callable[[list[int]], list[Result]],
        batches: Sequence[list[int]],
        lengths: Sequence[int],
    ) -> list[Result]:
        """Run items in batches, those with too little memory in halves. Results are in the items' order."""

        def run_with_retry(batch: list[int]) -> list[Result]:
            return self._retry.run(run, batch, lengths)

        results: dict[int, Result] = {}
        with without_cudnn_attention(model.device):
            computed = run_side_by_side(run_with_retry, batches, device=model.device)
        for batch, results_of_batch in zip(batches, computed, strict=True):
            results.update(zip(batch, results_of_batch, strict=True))
        return [results[i] for i in range(len(lengths))]


def join_parts(
    parts: Sequence[Pieces], hypotheses: Sequence[Hypothesis], codec: Codec, *, spaced: bool = True
) -> Translation:
    """The translation of a text from those of its parts, with its alignment where that is known."""
    if not parts:
        return Translation("")
    text, target_spans = "", []
    for hypothesis in hypotheses:
        part_text, spans = codec.decode(hypothesis.ids.tolist())
        text += " " if spaced and text and part_text else ""
        if spans is not None:
            target_spans.append(spans + len(text))
        text += part_text
    score = sum(hypothesis.score for hypothesis in hypotheses)
    n_pieces = sum(len(hypothesis.ids) for hypothesis in hypotheses)
    flags = ("truncated",) if any(hypothesis.truncated for hypothesis in hypotheses) else ()
    alignment = None
    weights = [hypothesis.weights for hypothesis in hypotheses if hypothesis.weights is not None]
    if len(weights) == len(target_spans) == len(parts):
        source_spans = np.concatenate([part.spans for part in parts])
        spans = np.concatenate(target_spans).astype(np.int32)
        # The ends of source parts have no place in the text
        blocks = tuple(block[:, : len(part)].T.copy() for part, block in zip(parts, weights, strict=True))
        alignment = SoftAlignment(blocks, source_spans, spans)
    return Translation(text, score / max(1, n_pieces), flags, alignment)


def _encode(codec: Codec, texts: Sequence[str]) -> list[Pieces]:
    """The pieces of texts many of which may be the same."""
    different = list(dict.fromkeys(texts))
    pieces = dict(zip(different, codec.encode(different), strict=True))
    return [pieces[text] for text in texts]
