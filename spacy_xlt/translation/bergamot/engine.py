"""`BergamotTranslator`: translate, score and align with Firefox Translations models, on a CPU or a GPU."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ... import __version__
from ...alignment.soft import token_weights
from ...device import disable_cudnn_attention, one_thread_after_fork
from ...errors import error
from ...languages import to_spacy
from ...protocols import SoftAlignment, Term, Tokens, Translation
from .folders import BUNDLED_PACKAGE, ModelFolder, bundled_models, find_models
from .joining import best_combinations, join_parts, join_tokens
from .splitting import split_pieces, windows_of
from .vocab import Pieces, Vocabulary

if TYPE_CHECKING:
    from .decode import Hypothesis
    from .direction import Direction, Forced

_PRECISIONS = ("auto", "float32", "int8")


def make_bergamot_translator(
    *,
    models: str | None = None,
    beam_size: int = 1,
    batch_tokens: int = 2048,
    max_pieces: int = 96,
    max_length_factor: float = 2.5,
    shortlist: bool = True,
    precision: str = "auto",
) -> BergamotTranslator:
    """Make the engine. Models are loaded when first used.

    models (str | None): A folder of a Firefox Translations model, or a folder of such folders; the bundled
        English-Portuguese ones where left out.
    beam_size (int): 1 for greedy search.
    batch_tokens (int): The most source pieces of a batch, padding counted.
    max_pieces (int): Longer texts are translated in parts of at most this many pieces, cut where sentences end if
        possible, and put together. The models are made for sentences and lose the thread of longer texts.
    max_length_factor (float): A translation of more pieces than this times the source's is cut off and flagged
        "truncated".
    shortlist (bool): Choose among the pieces that the model's lexical shortlist names, which is faster.
    precision (str): "float32"; "int8", as Marian computes, on a CPU only; "auto" is "int8" where that works. A model
        whose file lacks the scales for it runs in 32-bit floats, and so does `score`.
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


class BergamotTranslator:
    """Marian's tiny transformers, as Firefox translates pages with them.

    See `make_bergamot_translator` for the settings.
    """

    takes_terms = True

    def __init__(
        self,
        *,
        models: str | None = None,
        beam_size: int = 1,
        batch_tokens: int = 2048,
        max_pieces: int = 96,
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
        self._loaded: dict[tuple[str, str, bool], Direction] = {}

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
            f"|precision:{self.precision}|spacy_xlt:{__version__}"
        )

    @property
    def directions(self) -> list[tuple[str, str]]:
        """The directions there are models for, as spaCy's codes.

        RAISES (XltError): E706 where the bundled models are not installed, E210 where the folder has no model.
        """
        return sorted(self._folders())

    def translate(
        self, texts: Sequence[str], *, source: str, target: str, terms: Sequence[Sequence[Term]] | None = None
    ) -> list[Translation]:
        """Translate texts. The alignment of each comes with it.

        texts (Sequence[str]): Sentences, as the models were made for; long texts are cut into parts, and white
            space counts as a single space.
        terms (Sequence[Sequence[Term]] | None): Words that must stand in the translation of each text. With its
            `source` words a term goes where the translation comes from them, which is faster and better than to let
            the search find a place. Texts without terms are translated as if there were none.
        RETURNS (list[Translation]): In order. A text without pieces gives an empty one without a score. One that
            lacks one of its terms is flagged "term_missing".
        RAISES (XltError): E201 for an unknown direction; E210, E211, E212 for unusable models, E706 for missing ones;
            E214 for terms of another number of texts.
        """
        if terms is not None and len(terms) != len(texts):
            raise error("E214", found=len(terms), expected=len(texts))
        direction = self._direction(source, target, exact=False)
        cut = self._cut(direction, texts)
        if terms is not None and any(terms):
            from .constrained import translate_with_terms

            return translate_with_terms(direction, texts, cut, terms, **self._search_settings)
        found = iter(direction.search([part for of_text in cut for part in of_text], **self._search_settings))
        return [self._join(direction, of_text, [next(found)[0] for _ in of_text]) for of_text in cut]

    def translate_n_best(self, texts: Sequence[str], *, n: int, source: str, target: str) -> list[list[Translation]]:
        """Translate texts in several ways, by beam search with a beam of `beam_size`, or `n` where that is more.

        n (int): At most so many different translations of each text.
        RETURNS (list[list[Translation]]): The best first, by mean log-probability of a piece. A text without pieces
            has one, which is empty.
        RAISES (XltError): As `translate`; E213 for an `n` below 1.
        """
        if n < 1:
            raise error("E213", setting="n", value=n, expected="at least 1")
        direction = self._direction(source, target, exact=False)
        cut = self._cut(direction, texts)
        # One more, because two ways to write the same text may end
        settings = {**self._search_settings, "beam_size": max(self.beam_size, n + 1)}
        found = iter(direction.search([part for of_text in cut for part in of_text], **settings))
        results = []
        for of_text in cut:
            chosen = best_combinations([next(found) for _ in of_text], settings["beam_size"])
            translations = [self._join(direction, of_text, one) for one in chosen]
            different = {translation.text: translation for translation in reversed(translations)}
            results.append([different[text] for text in dict.fromkeys(t.text for t in translations)][:n])
        return results

    def score(self, sources: Sequence[str], targets: Sequence[str], *, source: str, target: str) -> NDArray[np.float32]:
        """How probable given translations are, over the whole vocabulary and in 32-bit floats.

        Pairs longer than `max_pieces` are scored in windows of matching places.

        RETURNS (float32, (n,)): Natural log-probability of each target with its end mark, summed over pieces.
        RAISES (XltError): As `translate`.
        """
        direction = self._direction(source, target, exact=True)
        encoded_sources = _encode(direction.source_vocab, sources)
        encoded_targets = _encode(direction.target_vocab, targets)
        scores = np.zeros(len(sources), np.float64)
        for i, _, log_probs in self._log_probs(direction, encoded_sources, encoded_targets):
            scores[i] += log_probs.sum(dtype=np.float64)
        return scores.astype(np.float32)

    def force(
        self, sources: Sequence[str], targets: Sequence[str], *, source: str, target: str
    ) -> list[tuple[NDArray[np.float32], NDArray[np.int32]]]:
        """How probable each piece of given translations is: `score`, piece by piece, with the pieces' places.

        Give all targets of a source in one call: the source is encoded once however many targets it has, and what
        targets of the same source have in common at their beginnings is computed once. Pairs longer than
        `max_pieces` are run in windows of matching places.

        RETURNS (list[tuple[float32, (n_pieces + 1,), int32, (n_pieces, 2)]]): For each pair the natural
            log-probability of each target piece given those before it, the end mark's last, over the whole
            vocabulary and in 32-bit floats; and start and end of each piece in characters of the target, white
            space left out. A piece of nothing but the mark before a word has the place of the next piece.
        RAISES (XltError): As `translate`.
        """
        direction = self._direction(source, target, exact=True)
        encoded_sources = _encode(direction.source_vocab, sources)
        encoded_targets = _encode(direction.target_vocab, targets)
        results = [(np.zeros(len(pieces) + 1, np.float32), pieces.spans) for pieces in encoded_targets]
        for i, start, log_probs in self._log_probs(direction, encoded_sources, encoded_targets):
            results[i][0][start : start + len(log_probs)] = log_probs
        return results

    def attend(
        self, sources: Sequence[str | Tokens], targets: Sequence[str | Tokens], *, source: str, target: str
    ) -> list[NDArray[np.float32]]:
        """Which words of given translations come from which words of their sources, as the guided head sees it.

        sources, targets (Sequence[str | Sequence[str]]): Tokens; a plain text counts as its words between spaces.
            Pairs longer than `max_pieces` are run in windows of matching places.
        RETURNS (list[float32, (n_source, n_target)]): Columns sum to 1 at most; see `alignment.soft.token_weights`.
        RAISES (XltError): As `translate`.
        """
        direction = self._direction(source, target, exact=False)
        source_texts, source_spans = join_tokens(sources, direction.folder.source)
        target_texts, target_spans = join_tokens(targets, direction.folder.target)
        encoded_sources = _encode(direction.source_vocab, source_texts)
        encoded_targets = _encode(direction.target_vocab, target_texts)
        weights = [
            np.zeros((len(s), len(t)), np.float32) for s, t in zip(encoded_sources, encoded_targets, strict=True)
        ]
        for forced in self._forced(direction, encoded_sources, encoded_targets, weights=True):
            window = forced.window
            assert forced.weights is not None
            weights[window.pair][window.source, window.target] = forced.weights[:-1, :-1].T
        return [
            token_weights(SoftAlignment(w, s.spans, t.spans), source_spans[i], target_spans[i])
            for i, (w, s, t) in enumerate(zip(weights, encoded_sources, encoded_targets, strict=True))
        ]

    def _folders(self) -> dict[tuple[str, str], ModelFolder]:
        if self._found is None:
            self._found = find_models(bundled_models() if self.models is None else Path(self.models))
        return self._found

    def _direction(self, source: str, target: str, *, exact: bool) -> Direction:
        """Load what a direction needs, once for each precision.

        exact (bool): In 32-bit floats, whatever `precision` says.
        """
        import torch
        from thinc.api import get_torch_default_device

        from .direction import Direction
        from .layers import int8_works

        one_thread_after_fork()
        folders = self._folders()
        languages = to_spacy(source), to_spacy(target)
        if languages not in folders:
            known = ", ".join(f"{s} to {t}" for s, t in sorted(folders))
            raise error("E201", engine="BergamotTranslator", source=source, target=target, known=known)
        device = torch.device(get_torch_default_device())
        possible = device.type == "cpu" and int8_works()
        if self.precision == "int8" and not possible:
            expected = "auto or float32 here: this device or build of PyTorch lacks the 8-bit products"
            raise error("E213", setting="precision", value="int8", expected=expected)
        int8 = possible and not exact and self.precision != "float32"
        key = (*languages, int8)
        if key not in self._loaded:
            disable_cudnn_attention(device)
            self._loaded[key] = Direction.load(folders[languages], int8=int8, shortlist=self.shortlist, device=device)
        return self._loaded[key]

    @property
    def _search_settings(self) -> dict[str, Any]:
        return {
            "beam_size": self.beam_size,
            "batch_tokens": self.batch_tokens,
            "max_length_factor": self.max_length_factor,
        }

    def _cut(self, direction: Direction, texts: Sequence[str]) -> list[list[Pieces]]:
        """The parts of each text in pieces."""
        encoded = direction.source_vocab.encode(texts)
        return [split_pieces(p, text, limit=self.max_pieces) for p, text in zip(encoded, texts, strict=True)]

    @staticmethod
    def _join(direction: Direction, parts: list[Pieces], hypotheses: list[Hypothesis]) -> Translation:
        decoded = [direction.decode(hypothesis) for hypothesis in hypotheses]
        return join_parts(parts, hypotheses, decoded, spaced=direction.spaced)

    def _forced(
        self, direction: Direction, sources: list[Pieces], targets: list[Pieces], **wanted: bool
    ) -> list[Forced]:
        windows = [
            window
            for i in range(len(sources))
            for window in windows_of(i, len(sources[i]), len(targets[i]), limit=self.max_pieces)
        ]
        return direction.force(sources, targets, windows, batch_tokens=self.batch_tokens, **wanted)

    def _log_probs(
        self, direction: Direction, sources: list[Pieces], targets: list[Pieces]
    ) -> Iterator[tuple[int, int, NDArray[np.float32]]]:
        """Parts of the pairs: which pair, from which piece of its target on, and the pieces' log-probabilities."""
        for forced in self._forced(direction, sources, targets, log_probs=True):
            assert forced.log_probs is not None
            i, part = forced.window.pair, forced.window.target
            # The end mark counts where the text ends, not at each window's end
            own = forced.log_probs if part.stop == len(targets[i]) else forced.log_probs[:-1]
            yield i, part.start, own


def _encode(vocab: Vocabulary, texts: Sequence[str]) -> list[Pieces]:
    """The pieces of texts many of which may be the same."""
    different = list(dict.fromkeys(texts))
    pieces = dict(zip(different, vocab.encode(different), strict=True))
    return [pieces[text] for text in texts]
