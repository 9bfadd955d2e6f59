"""`Seq2SeqTranslator`: translate, score and align with any Hugging Face sequence-to-sequence model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ... import __version__
from ...alignment.soft import token_weights
from ...device import disable_cudnn_attention, one_thread_after_fork
from ...errors import error
from ...languages import UNSEGMENTED, to_spacy
from ...protocols import SoftAlignment, Term, Tokens, Translation
from ..bergamot.joining import join_tokens
from .settings import check_settings, settings_line

if TYPE_CHECKING:
    from ...device import OomRetry as OomRetry
    from .direction import Direction
    from .forced import Heads
    from .loading import Loaded

_PRECISIONS = ("auto", "float32", "float16", "bfloat16")
# Texts are sorted by length within so many batches, and only so many are held in pieces
_WINDOW = 32


def make_seq2seq_translator(
    *,
    model: str = "facebook/nllb-200-distilled-600M",
    family: str | None = None,
    prefix: str | None = None,
    directions: list[list[str]] | None = None,
    beam_size: int = 4,
    batch_tokens: int = 4096,
    max_pieces: int = 192,
    max_length_factor: float = 2.5,
    precision: str = "auto",
    attention_layer: int | None = None,
    attention_heads: list[int] | None = None,
) -> Seq2SeqTranslator:
    """Make the engine from a config. The settings are those of `Seq2SeqTranslator`."""
    return Seq2SeqTranslator(
        model=model,
        family=family,
        prefix=prefix,
        directions=directions,
        beam_size=beam_size,
        batch_tokens=batch_tokens,
        max_pieces=max_pieces,
        max_length_factor=max_length_factor,
        precision=precision,
        attention_layer=attention_layer,
        attention_heads=attention_heads,
    )


class Seq2SeqTranslator:
    """Hugging Face's sequence-to-sequence models: NLLB-200, M2M100, SMaLL-100, MADLAD-400, mBART, Marian, T5.

    The model is loaded when first used. It runs without sampling, so that the same text has the same translation.

    model (str): A model folder, or a name on the Hugging Face hub. No code that comes with a model is ever run.
    family (str | None): How the model is told the languages: "nllb", "m2m100", "small100", "madlad", "mbart50",
        "mbart", "marian" or "prefix"; found out from the model's files where left out.
    prefix (str | None): The words before a text for models of the family "prefix", for example
        "translate {source} to {target}: "; `{source_code}` and `{target_code}` stand for spaCy's codes. T5's own are
        known.
    directions (list[list[str]] | None): The pairs of languages to allow, for models that do not say which they know.
    beam_size (int): 1 for greedy search.
    batch_tokens (int): The most source pieces of a batch, padding counted, times the beam: more speed and memory.
    max_pieces (int): Longer texts are translated in parts of at most this many pieces, cut where sentences end if
        possible, and put together.
    max_length_factor (float): A translation of more pieces than this times the source's is cut off and flagged
        "truncated".
    precision (str): "float32", "float16" or "bfloat16"; "auto" is half precision on a GPU.
    attention_layer (int | None): The decoder's layer that `attend` reads, from 0 or backwards from -1; the last but one
        where left out (Garg et al. 2019), for Marian the last, which OPUS-MT's models are trained to align with.
    attention_heads (list[int] | None): Its heads to average; all where left out, for Marian the first.
    RAISES (XltError): E220 for a setting that cannot be.
    """

    takes_terms = True

    def __init__(
        self,
        *,
        model: str = "facebook/nllb-200-distilled-600M",
        family: str | None = None,
        prefix: str | None = None,
        directions: list[list[str]] | None = None,
        beam_size: int = 4,
        batch_tokens: int = 4096,
        max_pieces: int = 192,
        max_length_factor: float = 2.5,
        precision: str = "auto",
        attention_layer: int | None = None,
        attention_heads: list[int] | None = None,
    ):
        self.model = str(model)
        self.family = family
        self.prefix = prefix
        self.directions = directions
        self.beam_size = beam_size
        self.batch_tokens = batch_tokens
        self.max_pieces = max_pieces
        self.max_length_factor = max_length_factor
        self.precision = precision
        self.attention_layer = attention_layer
        self.attention_heads = attention_heads
        check_settings(self, name="Seq2SeqTranslator", precisions=_PRECISIONS)
        self._loaded: Loaded | None = None
        self._halving: OomRetry | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_loaded": None, "_halving": None}

    @property
    def signature(self) -> str:
        """The model, and the settings that change the output."""
        from importlib.metadata import version

        return f"seq2seq|{settings_line(self)}|transformers:{version('transformers')}|spacy_xlt:{__version__}"

    def translate(
        self,
        texts: Sequence[str],
        *,
        source: str,
        target: str,
        terms: Sequence[Sequence[Term]] | None = None,
        prefixes: Sequence[str] | None = None,
    ) -> list[Translation]:
        """Translate texts.

        terms (Sequence[Sequence[Term]] | None): Words that must be in each translation as they stand.
        prefixes (Sequence[str] | None): What each translation begins with; "" for anything.
        RETURNS (list[Translation]): In order. A text without pieces gives an empty one without a score; one that was
            cut off is flagged "truncated", one that lacks a term "term_missing".
        RAISES (XltError): E010, E201 for an unknown direction; E221 to E225 for an unusable model; E226 where the GPU's
            memory is too small for a single text.
        """
        found = self._translate(texts, source, target, terms=terms, prefixes=prefixes, beam_size=self.beam_size)
        return [own[0] for own in found]

    def translate_n_best(self, texts: Sequence[str], *, n: int, source: str, target: str) -> list[list[Translation]]:
        """Several translations of each text, by beam search.

        RETURNS (list[list[Translation]]): For each text at most `n`, all different, the best first.
        RAISES (XltError): As `translate`.
        """
        found = self._translate(texts, source, target, beam_size=max(n, self.beam_size))
        return [own[:n] for own in found]

    def score(self, sources: Sequence[str], targets: Sequence[str], *, source: str, target: str) -> NDArray[np.float32]:
        """How probable given translations are, over the whole vocabulary.

        Pairs longer than `max_pieces` are scored in windows of matching places.

        RETURNS (float32, (n,)): Natural log-probability of each target with its end mark, summed over pieces.
        RAISES (XltError): As `translate`.
        """
        direction = self._direction(source, target)
        scores = np.zeros(len(sources), np.float32)
        for chunk in _chunks(sources, targets, size=self.batch_tokens * _WINDOW):
            read = direction.loaded.source.encode(sources[chunk])
            written = direction.loaded.target.encode(targets[chunk])
            found = direction.log_probs(read, written, window=self.max_pieces)
            scores[chunk] = [own.sum(dtype=np.float64) for own in found]
        return scores

    def attend(
        self, sources: Sequence[str | Tokens], targets: Sequence[str | Tokens], *, source: str, target: str
    ) -> list[NDArray[np.float32]]:
        """Which words of given translations come from which words of their sources, by the decoder's attention.

        sources, targets (Sequence[str | Sequence[str]]): Tokens; a plain text counts as its words between spaces.
        RETURNS (list[float32, (n_source, n_target)]): Columns sum to 1 at most; see `alignment.soft.token_weights`.
        RAISES (XltError): As `translate`; E220 for a layer or a head that the model lacks.
        """
        direction = self._direction(source, target)
        which = self._heads(direction.loaded)
        source_texts, source_spans = join_tokens(sources, to_spacy(source))
        target_texts, target_spans = join_tokens(targets, to_spacy(target))
        result = []
        for chunk in _chunks(source_texts, target_texts, size=self.batch_tokens * _WINDOW):
            read = direction.loaded.source.encode(source_texts[chunk])
            written = direction.loaded.target.encode(target_texts[chunk])
            weights = direction.attention(read, written, which, window=self.max_pieces)
            places = zip(weights, read, written, source_spans[chunk], target_spans[chunk], strict=True)
            result += [token_weights(SoftAlignment(w, s.spans, t.spans), a, b) for w, s, t, a, b in places]
        return result

    def _translate(
        self,
        texts: Sequence[str],
        source: str,
        target: str,
        *,
        beam_size: int,
        terms: Sequence[Sequence[Term]] | None = None,
        prefixes: Sequence[str] | None = None,
    ) -> list[list[Translation]]:
        from .assembling import Job

        direction = self._direction(source, target)
        for setting, given in (("terms", terms), ("prefixes", prefixes)):
            if given is not None and len(given) != len(texts):
                raise _impossible(setting, f"{len(given)} items", f"one for each of the {len(texts)} texts")
        result: list[list[Translation]] = []
        for chunk in _chunks(texts, size=self.batch_tokens * _WINDOW):
            job = Job(
                direction,
                texts[chunk],
                terms=terms[chunk] if terms is not None else None,
                prefixes=prefixes[chunk] if prefixes is not None else None,
                spaced=to_spacy(target) not in UNSEGMENTED,
                max_pieces=min(self.max_pieces, direction.room),
            )
            result += job.run(beam_size=beam_size, max_length_factor=self.max_length_factor)
        return result

    def _direction(self, source: str, target: str) -> Direction:
        """The model, loaded at first use, told these languages."""
        from ...device import OomRetry as OomRetry
        from .direction import Direction

        one_thread_after_fork()
        loaded = self._load()
        if self._halving is None:
            self._halving = OomRetry("Seq2SeqTranslator")
        return Direction(loaded, loaded.markers(source, target), self.batch_tokens, self._halving)

    def _load(self) -> Loaded:
        import torch
        from thinc.api import get_torch_default_device

        from .loading import dtype_name, load

        device = torch.device(get_torch_default_device())
        if self._loaded is None:
            disable_cudnn_attention(device)
            self._loaded = load(
                self.model,
                family=self.family,
                prefix=self.prefix,
                directions=self.directions,
                precision=self.precision,
                device=device,
            )
        model = self._loaded.model
        if model.device != device:
            disable_cudnn_attention(device)
            model.to(device=device, dtype=getattr(torch, dtype_name(self.precision, model.config.model_type, device)))
        return self._loaded

    def _heads(self, loaded: Loaded) -> Heads:
        from .forced import Heads

        config = loaded.model.config
        n_layers = int(getattr(config, "decoder_layers", 0) or getattr(config, "num_decoder_layers", 1))
        n_heads = int(getattr(config, "decoder_attention_heads", 0) or config.num_attention_heads)
        guided = loaded.codes.family == "marian"
        layer = self.attention_layer
        if layer is None:
            layer = -1 if guided or n_layers == 1 else -2
        if not -n_layers <= layer < n_layers:
            raise _impossible("attention_layer", layer, f"from {-n_layers} to {n_layers - 1}")
        heads = self.attention_heads
        if heads is None and guided and self.attention_layer is None:
            heads = [0]
        if heads is not None and (not heads or not all(0 <= head < n_heads for head in heads)):
            raise _impossible("attention_heads", heads, f"numbers from 0 to {n_heads - 1}")
        return Heads(layer, None if heads is None else tuple(heads))


def _impossible(setting: str, value: Any, expected: str) -> Exception:
    return error("E220", engine="Seq2SeqTranslator", setting=setting, value=value, expected=expected)


def _chunks(*columns: Sequence[str], size: int) -> Iterator[slice]:
    """Neighbouring rows of texts with at most so many characters together, or a single row that has more."""
    start, held = 0, 0
    for i, row in enumerate(zip(*columns, strict=True)):
        length = sum(len(text) for text in row)
        if held and held + length > size:
            yield slice(start, i)
            start, held = i, 0
        held += length + 1
    if start < len(columns[0]):
        yield slice(start, len(columns[0]))
