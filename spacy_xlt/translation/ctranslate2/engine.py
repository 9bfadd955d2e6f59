"""`CTranslate2Translator`: Hugging Face translation models at the speed of CTranslate2, in 8-bit integers on a CPU."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ... import __version__
from ...alignment.soft import token_weights
from ...errors import error
from ...languages import UNSEGMENTED, to_spacy
from ...protocols import Tokens, Translation
from ..bergamot.joining import join_tokens
from ..seq2seq.settings import check_settings, settings_line
from .converting import ENGINE, converted, default_cache, is_converted

if TYPE_CHECKING:
    from .model import Model, Told

_PRECISIONS = (
    "auto", "int8", "int8_float32", "int8_float16", "int8_bfloat16", "int16", "float16", "bfloat16", "float32"
)  # fmt: skip
# In 16-bit floats with few bits for the exponent T5's sums grow beyond what they hold
_NEEDS_RANGE = {"t5", "mt5", "umt5"}


def make_ctranslate2_translator(
    *,
    model: str = "facebook/nllb-200-distilled-600M",
    tokenizer: str | None = None,
    cache_dir: str | None = None,
    family: str | None = None,
    prefix: str | None = None,
    directions: list[list[str]] | None = None,
    beam_size: int = 4,
    batch_tokens: int = 4096,
    max_pieces: int = 192,
    max_length_factor: float = 2.5,
    precision: str = "auto",
) -> CTranslate2Translator:
    """Make the engine from a config. The settings are those of `CTranslate2Translator`."""
    return CTranslate2Translator(
        model=model,
        tokenizer=tokenizer,
        cache_dir=cache_dir,
        family=family,
        prefix=prefix,
        directions=directions,
        beam_size=beam_size,
        batch_tokens=batch_tokens,
        max_pieces=max_pieces,
        max_length_factor=max_length_factor,
        precision=precision,
    )


class CTranslate2Translator:
    """NLLB-200, M2M100, SMaLL-100, MADLAD-400, mBART, Marian and T5, run by CTranslate2 (Klein et al. 2020).

    A Hugging Face model is converted when first used and kept in a cache folder.

    model (str): A Hugging Face name or folder, or a folder that CTranslate2's own converter wrote.
    tokenizer (str | None): For such a folder: the Hugging Face name or folder of the model it was converted from.
    cache_dir (str | None): Where converted models are kept; the user's cache folder where left out.
    family, prefix, directions: As `Seq2SeqTranslator` has them.
    beam_size (int): 1 for greedy search.
    batch_tokens (int): The most source pieces of a batch, padding counted.
    max_pieces (int): Longer texts are translated in parts of at most this many pieces, cut where sentences end if
        possible, and put together.
    max_length_factor (float): A translation of more pieces than about this times the source's is cut off and flagged
        "truncated".
    precision (str): How the model is stored and computed, by CTranslate2's names; "auto" is "int8" on a CPU, and on a
        GPU "float16", but "bfloat16" for T5 and its kin.
    RAISES (XltError): E220 for a setting that cannot be.
    """

    def __init__(
        self,
        *,
        model: str = "facebook/nllb-200-distilled-600M",
        tokenizer: str | None = None,
        cache_dir: str | None = None,
        family: str | None = None,
        prefix: str | None = None,
        directions: list[list[str]] | None = None,
        beam_size: int = 4,
        batch_tokens: int = 4096,
        max_pieces: int = 192,
        max_length_factor: float = 2.5,
        precision: str = "auto",
    ):
        self.model = str(model)
        self.tokenizer = tokenizer
        self.cache_dir = cache_dir
        self.family = family
        self.prefix = prefix
        self.directions = directions
        self.beam_size = beam_size
        self.batch_tokens = batch_tokens
        self.max_pieces = max_pieces
        self.max_length_factor = max_length_factor
        self.precision = precision
        check_settings(self, name=ENGINE, precisions=_PRECISIONS)
        self._loaded: dict[tuple[int, str, int], Model] = {}

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_loaded": {}}

    @property
    def signature(self) -> str:
        """The model, and the settings that change the output."""
        from importlib.metadata import PackageNotFoundError, version

        try:
            runtime = version("ctranslate2")
        except PackageNotFoundError:
            runtime = "none"
        return f"ctranslate2|{settings_line(self)}|ctranslate2:{runtime}|spacy_xlt:{__version__}"

    def translate(
        self, texts: Sequence[str], *, source: str, target: str, prefixes: Sequence[str] | None = None
    ) -> list[Translation]:
        """Translate texts.

        prefixes (Sequence[str] | None): What each translation begins with; "" for anything.
        RETURNS (list[Translation]): In order. A text without words gives an empty one without a score; one that was
            cut off is flagged "truncated".
        RAISES (XltError): E010, E201 for an unknown direction; E241 where CTranslate2 is not installed; E221 to E225,
            E244 to E247 for a model that cannot be loaded, converted or kept.
        """
        found = self._translate(texts, source, target, prefixes=prefixes, beam_size=self.beam_size, n_best=1)
        return [own[0] for own in found]

    def translate_n_best(self, texts: Sequence[str], *, n: int, source: str, target: str) -> list[list[Translation]]:
        """Several translations of each text, by beam search.

        RETURNS (list[list[Translation]]): For each text at most `n`, all different, the best first. Of a text that is
            cut into parts only one.
        RAISES (XltError): As `translate`.
        """
        found = self._translate(texts, source, target, prefixes=None, beam_size=max(n, self.beam_size), n_best=n)
        return [own[:n] for own in found]

    def score(self, sources: Sequence[str], targets: Sequence[str], *, source: str, target: str) -> NDArray[np.float32]:
        """How probable given translations are, over the whole vocabulary.

        Pairs longer than `max_pieces` are scored in windows of matching places.

        RETURNS (float32, (n,)): Natural log-probability of each target with its end mark, summed over pieces.
        RAISES (XltError): As `translate`.
        """
        from .search import log_probabilities

        model, told = self._direction(source, target)
        if len(sources) != len(targets):
            raise _impossible("targets", f"{len(targets)} items", f"one for each of the {len(sources)} sources")
        return log_probabilities(
            model, told, sources, targets, max_pieces=self.max_pieces, batch_tokens=self.batch_tokens
        )

    def attend(
        self, sources: Sequence[str | Tokens], targets: Sequence[str | Tokens], *, source: str, target: str
    ) -> list[NDArray[np.float32]]:
        """Which words of given translations come from which words of their sources, by the decoder's attention.

        The layer and its heads were chosen at conversion: for Marian the first head of the last layer, for others all
        heads of the last layer but one (Garg et al. 2019); CTranslate2's own converter takes the former.

        sources, targets (Sequence[str | Sequence[str]]): Tokens; a plain text counts as its words between spaces.
        RETURNS (list[float32, (n_source, n_target)]): Columns sum to 1 at most; see `alignment.soft.token_weights`.
        RAISES (XltError): As `translate`.
        """
        from .search import attention

        model, told = self._direction(source, target)
        source_texts, source_spans = join_tokens(sources, to_spacy(source))
        target_texts, target_spans = join_tokens(targets, to_spacy(target))
        found = attention(
            model, told, source_texts, target_texts, max_pieces=self.max_pieces, batch_tokens=self.batch_tokens
        )
        return [token_weights(own, a, b) for own, a, b in zip(found, source_spans, target_spans, strict=True)]

    def _translate(
        self,
        texts: Sequence[str],
        source: str,
        target: str,
        *,
        prefixes: Sequence[str] | None,
        beam_size: int,
        n_best: int,
    ) -> list[list[Translation]]:
        from .search import Search, translate

        model, told = self._direction(source, target)
        if prefixes is not None and len(prefixes) != len(texts):
            raise _impossible("prefixes", f"{len(prefixes)} items", f"one for each of the {len(texts)} texts")
        search = Search(beam_size, n_best, self.batch_tokens, self.max_pieces, self.max_length_factor)
        gap = "" if to_spacy(target) in UNSEGMENTED else " "
        return translate(model, told, texts, prefixes or [""] * len(texts), search, gap=gap)

    def _direction(self, source: str, target: str) -> tuple[Model, Told]:
        """The model, loaded at first use, told these languages."""
        from thinc.api import get_torch_default_device

        try:
            import ctranslate2  # noqa: F401
        except ImportError as err:
            raise error("E241", reason=str(err)) from err
        device = get_torch_default_device()
        # Its threads do not exist in a forked process, which loads the model again and leaves the other alone
        key = os.getpid(), device.type, device.index or 0
        if key not in self._loaded:
            forked = any(pid != os.getpid() for pid, _, _ in self._loaded)
            self._loaded[key] = self._load(device.type, device.index or 0, threads=1 if forked else 0)
        model = self._loaded[key]
        return model, model.told(source, target)

    def _load(self, device: str, index: int, *, threads: int) -> Model:
        from .model import load_model

        folder = Path(self.model)
        compute_type = self.precision
        if not is_converted(folder):
            if compute_type == "auto":
                compute_type = "int8" if device == "cpu" else _half(self.model)
            cache = Path(self.cache_dir) if self.cache_dir is not None else default_cache()
            folder = converted(self.model, quantization=compute_type, cache=cache)
        return load_model(
            folder,
            name=self.model,
            tokenizer=self.tokenizer,
            family=self.family,
            prefix=self.prefix,
            directions=self.directions,
            device=device,
            device_index=index,
            compute_type=compute_type,
            threads=threads,
        )


def _half(model: str) -> str:
    """The half precision that a model stands.

    RAISES (XltError): E221 where there is no such model.
    """
    from transformers import AutoConfig

    try:
        return "bfloat16" if AutoConfig.from_pretrained(model).model_type in _NEEDS_RANGE else "float16"
    except (OSError, ValueError) as err:
        raise error("E221", engine=ENGINE, model=model, reason=str(err).splitlines()[0]) from err


def _impossible(setting: str, value: Any, expected: str) -> Exception:
    return error("E220", engine=ENGINE, setting=setting, value=value, expected=expected)
