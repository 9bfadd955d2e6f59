"""`BergamotTranslator`: translate, score and align with Firefox Translations models, on a CPU or a GPU."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import spacy
from numpy.typing import NDArray

from ...alignment.soft import token_weights
from ...errors import error
from ...languages import UNSEGMENTED, to_spacy
from ...protocols import SoftAlignment, Tokens, Translation
from .folders import BUNDLED_PACKAGE, ModelFolder, bundled_models, find_models
from .splitting import split_pieces

if TYPE_CHECKING:
    from .decode import Hypothesis
    from .model import BergamotModel
    from .shortlist import Shortlist
    from .vocab import Pieces, Vocabulary

_PRECISIONS = ("auto", "float32", "int8")


@spacy.registry.misc("spacy_xlt.BergamotTranslator.v1")
def make_bergamot_translator(
    *,
    models: str | None = None,
    beam_size: int = 1,
    batch_tokens: int = 2048,
    max_pieces: int = 128,
    max_length_factor: float = 2.5,
    shortlist: bool = True,
    precision: str = "auto",
) -> BergamotTranslator:
    """Make the engine. Models are loaded when first used.

    models (str | None): A folder of a Firefox Translations model, or a folder of such folders; the bundled
        English-Portuguese ones where left out.
    beam_size (int): 1 for greedy search.
    batch_tokens (int): The most source pieces of a batch, padding counted.
    max_pieces (int): Longer texts are translated in parts of this many pieces and put together.
    max_length_factor (float): A translation of more pieces than this times the source's is cut off and flagged
        "truncated".
    shortlist (bool): Choose among the pieces that the model's lexical shortlist names, which is faster.
    precision (str): "float32"; "int8", as Marian computes, on a CPU only; "auto" is "int8" where that works.
    RAISES (XltError): E213 for a setting that cannot be.
    """
    return BergamotTranslator(
        models=models,
        beam_size=beam_size,
        batch_tokens=batch_tokens,
        max_pieces=max_pieces,
        max_length_factor=max_length_factor,
        shortlist=shortlist,
        precision=precision,
    )


@dataclass(frozen=True)
class _Direction:
    """Everything that one direction needs, loaded."""

    folder: ModelFolder
    model: BergamotModel
    source_vocab: Vocabulary
    target_vocab: Vocabulary
    shortlist: Shortlist | None


@dataclass(frozen=True)
class _Window:
    """A part of a given pair that is run at once: index of the pair, and ranges of pieces."""

    pair: int
    source: slice
    target: slice


class BergamotTranslator:
    """Marian's tiny transformers, as Firefox translates pages with them.

    See `make_bergamot_translator` for the settings.
    """

    def __init__(
        self,
        *,
        models: str | None = None,
        beam_size: int = 1,
        batch_tokens: int = 2048,
        max_pieces: int = 128,
        max_length_factor: float = 2.5,
        shortlist: bool = True,
        precision: str = "auto",
    ):
        for setting, value, lowest in (
            ("beam_size", beam_size, 1),
            ("batch_tokens", batch_tokens, 1),
            ("max_pieces", max_pieces, 2),
            ("max_length_factor", max_length_factor, 1),
        ):
            if value < lowest:
                raise error("E213", setting=setting, value=value, expected=f"at least {lowest}")
        if precision not in _PRECISIONS:
            raise error("E213", setting="precision", value=precision, expected=" or ".join(_PRECISIONS))
        self.models = models
        self.beam_size = beam_size
        self.batch_tokens = batch_tokens
        self.max_pieces = max_pieces
        self.max_length_factor = float(max_length_factor)
        self.shortlist = shortlist
        self.precision = precision
        self._found: dict[tuple[str, str], ModelFolder] | None = None
        self._loaded: dict[tuple[str, str, bool], _Direction] = {}

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_found": None, "_loaded": {}}

    @property
    def signature(self) -> str:
        """The model folders with the version of their package, and the settings that change the output."""
        if self.models is None:
            try:
                name = f"{BUNDLED_PACKAGE}-{version(BUNDLED_PACKAGE)}"
            except PackageNotFoundError:
                name = BUNDLED_PACKAGE
        else:
            name = Path(self.models).name
        return (
            f"bergamot|models:{name}|beam:{self.beam_size}|max_pieces:{self.max_pieces}"
            f"|factor:{self.max_length_factor:g}|shortlist:{'yes' if self.shortlist else 'no'}"
            f"|precision:{self.precision}"
        )

    @property
    def directions(self) -> list[tuple[str, str]]:
        """The directions there are models for, as spaCy's codes.

        RAISES (XltError): E706 where the bundled models are not installed, E210 where the folder has no model.
        """
        return sorted(self._folders())

    def translate(self, texts: Sequence[str], *, source: str, target: str) -> list[Translation]:
        """Translate texts. The alignment of each comes with it.

        texts (Sequence[str]): Sentences, as the models were made for; long texts are cut into parts, and white
            space counts as a single space.
        RETURNS (list[Translation]): In order. A text without pieces gives an empty one without a score.
        RAISES (XltError): E201 for an unknown direction; E210, E211, E212 for unusable models, E706 for missing ones.
        """
        direction = self._direction(source, target, int8=True)
        encoded = direction.source_vocab.encode(texts)
        parts: list[Pieces] = []
        owners: list[int] = []
        for i, (pieces, text) in enumerate(zip(encoded, texts, strict=True)):
            cut = split_pieces(pieces, text, limit=self.max_pieces)
            parts += cut
            owners += [i] * len(cut)
        grouped: list[list[tuple[Pieces, Hypothesis]]] = [[] for _ in texts]
        for owner, part, hypothesis in zip(owners, parts, self._search(direction, parts), strict=True):
            grouped[owner].append((part, hypothesis))
        gap = "" if direction.folder.target in UNSEGMENTED else " "
        return [_join(group, direction.target_vocab, gap=gap) for group in grouped]

    def score(self, sources: Sequence[str], targets: Sequence[str], *, source: str, target: str) -> NDArray[np.float32]:
        """How probable given translations are, over the whole vocabulary and in 32-bit floats.

        Pairs longer than eight times `max_pieces` are scored in windows of matching places.

        RETURNS (float32, (n,)): Natural log-probability of each target with its end mark, summed over pieces.
        RAISES (XltError): As `translate`.
        """
        direction = self._direction(source, target, int8=False)
        encoded_sources = direction.source_vocab.encode(sources)
        encoded_targets = direction.target_vocab.encode(targets)
        scores = np.zeros(len(sources), np.float64)
        for window, log_probs, _ in self._forced(direction, encoded_sources, encoded_targets, log_probs=True):
            assert log_probs is not None
            # The end mark counts where the text ends, not at each window's end
            n_target = window.target.stop - window.target.start
            ends = window.target.stop == len(encoded_targets[window.pair])
            scores[window.pair] += log_probs[: n_target + ends].sum(dtype=np.float64)
        return scores.astype(np.float32)

    def attend(
        self, sources: Sequence[str | Tokens], targets: Sequence[str | Tokens], *, source: str, target: str
    ) -> list[NDArray[np.float32]]:
        """Which words of given translations come from which words of their sources, as the guided head sees it.

        sources, targets (Sequence[str | Sequence[str]]): Tokens; a plain text counts as its words between spaces.
            Pairs longer than eight times `max_pieces` are run in windows of matching places.
        RETURNS (list[float32, (n_source, n_target)]): Columns sum to 1 at most; see `alignment.soft.token_weights`.
        RAISES (XltError): As `translate`.
        """
        direction = self._direction(source, target, int8=True)
        source_texts, source_spans = _join_tokens(sources, direction.folder.source)
        target_texts, target_spans = _join_tokens(targets, direction.folder.target)
        encoded_sources = direction.source_vocab.encode(source_texts)
        encoded_targets = direction.target_vocab.encode(target_texts)
        results = [np.zeros((len(s), len(t)), np.float32) for s, t in zip(source_spans, target_spans, strict=True)]
        soft: dict[int, NDArray[np.float32]] = {}
        for window, _, weights in self._forced(direction, encoded_sources, encoded_targets, log_probs=False):
            i = window.pair
            shape = len(encoded_sources[i]), len(encoded_targets[i])
            whole = soft.setdefault(i, np.zeros(shape, np.float32))
            part = whole[window.source, window.target]
            part[:] = weights[: part.shape[1], : part.shape[0]].T
        for i, whole in soft.items():
            alignment = SoftAlignment(whole, encoded_sources[i].spans, encoded_targets[i].spans)
            results[i] = token_weights(alignment, source_spans[i], target_spans[i])
        return results

    def _folders(self) -> dict[tuple[str, str], ModelFolder]:
        if self._found is None:
            self._found = find_models(bundled_models() if self.models is None else Path(self.models))
        return self._found

    def _direction(self, source: str, target: str, *, int8: bool) -> _Direction:
        """Load what a direction needs, once for each precision."""
        import torch
        from thinc.api import get_torch_default_device

        from .layers import int8_works
        from .marian import read_model
        from .model import BergamotModel
        from .shortlist import read_shortlist
        from .vocab import Vocabulary

        folders = self._folders()
        languages = to_spacy(source), to_spacy(target)
        if languages not in folders:
            known = ", ".join(f"{s} to {t}" for s, t in sorted(folders))
            raise error("E201", engine="BergamotTranslator", source=source, target=target, known=known)
        device = torch.device(get_torch_default_device())
        wanted = int8 and self.precision != "float32"
        if wanted and (device.type != "cpu" or not int8_works()):
            if self.precision == "int8":
                expected = "auto or float32 here: this device or build of PyTorch lacks the 8-bit products"
                raise error("E213", setting="precision", value="int8", expected=expected)
            wanted = False
        key = (*languages, wanted)
        if key not in self._loaded:
            folder = folders[languages]
            file = read_model(folder.model)
            source_vocab = Vocabulary(folder.source_vocab)
            shared = folder.source_vocab == folder.target_vocab
            target_vocab = source_vocab if shared else Vocabulary(folder.target_vocab)
            lexicon = None
            if self.shortlist and folder.shortlist is not None:
                lexicon = read_shortlist(folder.shortlist, n_source=len(source_vocab), n_target=len(target_vocab))
            model = BergamotModel(file, int8=wanted, device=device)
            self._loaded[key] = _Direction(folder, model, source_vocab, target_vocab, lexicon)
        return self._loaded[key]

    def _search(self, direction: _Direction, parts: list[Pieces]) -> list[Hypothesis]:
        """Translate parts in batches of similar length."""
        from .batching import batches_by_length, run_on_threads
        from .decode import Search, SourceBatch, search

        vocab, model = direction.target_vocab, direction.model
        shared = direction.source_vocab is vocab

        def run(batch: list[int]) -> list[Hypothesis]:
            padded = SourceBatch.pad([parts[i].ids for i in batch], direction.source_vocab.eos)
            allowed = None
            if direction.shortlist is not None:
                allowed = direction.shortlist.allowed(padded.ids, shared=shared, n_target=len(vocab))
            # A few pieces more, because a single word may well become several
            limits = np.ceil(self.max_length_factor * padded.lengths).astype(np.int64) + 8
            options = Search(vocab.eos, vocab.unk, limits, allowed, self.beam_size)
            return search(model, padded, options)

        batches = batches_by_length([len(p) + 1 for p in parts], batch_tokens=self.batch_tokens)
        results: dict[int, Hypothesis] = {}
        for batch, hypotheses in zip(batches, run_on_threads(run, batches, threads=_threads(model)), strict=True):
            results.update(zip(batch, hypotheses, strict=True))
        return [results[i] for i in range(len(parts))]

    def _forced(
        self, direction: _Direction, sources: list[Pieces], targets: list[Pieces], *, log_probs: bool
    ) -> list[tuple[_Window, NDArray[np.float32] | None, NDArray[np.float32]]]:
        """Run the decoder over given targets: log-probabilities (n_target,) and weights (n_target, n_source), both
        with a row for the end mark, and with a column for the source's."""
        from .batching import batches_by_length, run_on_threads
        from .decode import SourceBatch, force

        windows = [w for i in range(len(sources)) for w in _windows(i, sources[i], targets[i], 8 * self.max_pieces)]
        model = direction.model

        def run(batch: list[int]) -> list[tuple[_Window, NDArray[np.float32] | None, NDArray[np.float32]]]:
            chosen = [windows[i] for i in batch]
            source = SourceBatch.pad([sources[w.pair].ids[w.source] for w in chosen], direction.source_vocab.eos)
            target = SourceBatch.pad([targets[w.pair].ids[w.target] for w in chosen], direction.target_vocab.eos)
            scores, weights = force(model, source, target, log_probs=log_probs)
            return [
                (w, None if scores is None else scores[k, :n_target], weights[k, :n_target, :n_source])
                for k, (w, n_source, n_target) in enumerate(
                    zip(chosen, source.lengths.tolist(), target.lengths.tolist(), strict=True)
                )
            ]

        lengths = [max(w.source.stop - w.source.start, w.target.stop - w.target.start) + 1 for w in windows]
        batches = batches_by_length(lengths, batch_tokens=self.batch_tokens)
        return [item for items in run_on_threads(run, batches, threads=_threads(model)) for item in items]


def _threads(model: BergamotModel) -> int:
    """How many batches to run at a time: on a CPU as many as PyTorch would use threads."""
    import torch

    return torch.get_num_threads() if model.device.type == "cpu" else 1


def _windows(pair: int, source: Pieces, target: Pieces, limit: int) -> list[_Window]:
    """Cut a given pair that is too long: each part of the target with the part of the source at the same relative
    place, and half as much again around it."""
    n_source, n_target = len(source), len(target)
    if not n_source or max(n_source, n_target) <= limit:
        # A target of no words still has an end mark
        return [_Window(pair, slice(0, n_source), slice(0, n_target))] if n_source and n_target else []
    n_parts = -(-2 * max(n_source, n_target) // limit)
    windows = []
    for k in range(n_parts):
        part = slice(k * n_target // n_parts, (k + 1) * n_target // n_parts)
        start = max(0, int((k - 0.5) * n_source / n_parts))
        stop = min(n_source, int((k + 1.5) * n_source / n_parts) + 1)
        if part.stop > part.start:
            windows.append(_Window(pair, slice(start, stop), part))
    return windows


def _join(group: list[tuple[Pieces, Hypothesis]], vocab: Vocabulary, *, gap: str) -> Translation:
    """Put the translated parts of a text together."""
    if not group:
        return Translation("")
    text, score, n_pieces = "", 0.0, 0
    target_spans, flags = [], set()
    for _, hypothesis in group:
        decoded, spans = vocab.decode(hypothesis.ids.tolist())
        text += gap if text and decoded else ""
        target_spans.append(spans + len(text))
        text += decoded
        score += hypothesis.score
        n_pieces += len(hypothesis.ids)
        if hypothesis.truncated:
            flags.add("truncated")
    weights = np.zeros((sum(len(part) for part, _ in group), n_pieces), np.float32)
    i = j = 0
    for part, hypothesis in group:
        # The end mark of each part of the source is left out: it has no place in the text
        weights[i : i + len(part), j : j + len(hypothesis.ids)] = hypothesis.weights[:, : len(part)].T
        i, j = i + len(part), j + len(hypothesis.ids)
    source_spans = np.concatenate([part.spans for part, _ in group])
    alignment = SoftAlignment(weights, source_spans, np.concatenate(target_spans).astype(np.int32))
    return Translation(text, score / max(1, n_pieces), tuple(sorted(flags)), alignment)


def _join_tokens(items: Sequence[str | Tokens], language: str) -> tuple[list[str], list[NDArray[np.int32]]]:
    """Texts of token lists, and where in them each token stands."""
    gap = "" if language in UNSEGMENTED else " "
    texts, spans = [], []
    for item in items:
        tokens = item.split() if isinstance(item, str) else list(item)
        texts.append(gap.join(tokens))
        lengths = np.asarray([len(token) for token in tokens], np.int32)
        starts = np.cumsum(lengths + len(gap)) - lengths - len(gap)
        spans.append(np.stack([starts, starts + lengths], axis=1).astype(np.int32))
    return texts, spans
