"""`CTranslate2Translator`: Hugging Face translation models at the speed of CTranslate2, in 8-bit integers on a CPU."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ..device import loading
from ..engine import setting
from ..errors import error, missing_package
from ..hub import located
from ..io.disk_cache import user_cache
from .ctranslate2_conversion import ENGINE, HF_FOLDER, converted
from .huggingface import HuggingFaceTranslator, Marks, ModelText, half_precision, read_files
from .neural import DirectionModel, Hypothesis, Ids
from .subwords import Codec

# Limits are rounded up to this, so that texts of similar length can share a batch: they never depend on the other
# texts of a batch, and neither does what comes out
_LIMIT_STEP = 8


@dataclass(kw_only=True, eq=False)
class CTranslate2Translator(HuggingFaceTranslator):
    """NLLB-200, M2M100, MADLAD-400, mBART-50, Marian and T5, run by CTranslate2.

    The runtime is that of Klein et al. 2020 (https://aclanthology.org/2020.amta-research.10/). A Hugging Face model is
    converted when first used and kept in a cache folder. `attend` reads the layer and the heads that
    `Seq2SeqTranslator` does. Settings not named here are those of `HuggingFaceTranslator`.

    Args:
        cache_dir: Where converted models are kept; the user's cache folder where left out.
        precision: How the model is stored and computed, by CTranslate2's names; "auto" is "int8" on a CPU, and on a
            GPU "float16", but "bfloat16" for T5 and its kin.

    Raises:
        XltError: E150 for an invalid setting.
    """

    extra: ClassVar[str | None] = "ctranslate2"
    runtime: ClassVar[str] = "ctranslate2"

    cache_dir: str | None = setting(None, decides=False)
    precision: str = setting(
        "auto",
        choices=(
            "auto", "int8", "int8_float32", "int8_float16", "int8_bfloat16", "int16", "float16", "bfloat16", "float32"
        ),
    )  # fmt: skip

    def load(self, source: str, target: str, *, device: Any, exact: bool = False) -> DirectionModel:
        """As `NeuralTranslator.load`.

        Raises:
            XltError: E201 for an unknown direction; E106 where CTranslate2 is not installed; E221 to E225 and E244 to
                E247 for a model that cannot be loaded, converted or kept.
        """
        try:
            import ctranslate2  # noqa: F401
        except ImportError as err:
            raise missing_package("CTranslate2Translator", "ctranslate2", "ctranslate2", reason=str(err)) from err
        # Its threads do not exist in a forked process, which loads the model again and leaves the other alone
        key = os.getpid(), device
        if key not in self._loaded:
            forked = any(pid != os.getpid() for pid, _ in self._loaded)
            self._loaded[key] = self._load(device, threads=1 if forked else 0)
        files, text = self._loaded[key]
        sizes = {"beam_size": self.beam_size, "batch_tokens": self.batch_tokens}
        return CTranslate2Model(files, text, text.marks(source, target), device, **sizes)

    def _load(self, device: Any, *, threads: int) -> tuple[ConvertedModel, ModelText]:
        precision = self.precision
        if precision == "auto":
            precision = "int8" if device.type == "cpu" else self._half_precision()
        cache = Path(self.cache_dir) if self.cache_dir is not None else user_cache() / "ctranslate2"
        folder = converted(self.model, quantization=precision, cache=cache)
        model = ConvertedModel(folder, device=device, precision=precision, threads=threads)
        with loading("E246", "its tokenizer: ", path=folder):
            files = read_files(str(folder / HF_FOLDER))
        return model, self.model_text(self.model, files, n_pieces=len(model.source_tokens))

    def _half_precision(self) -> str:
        from transformers import AutoConfig

        with loading("E221", engine=ENGINE, model=self.model):
            place = located(self.model, "E221", engine=ENGINE)
            return half_precision(AutoConfig.from_pretrained(place, trust_remote_code=False).model_type)

    def _search_batches(self, model: DirectionModel, lengths: Sequence[int]) -> list[list[int]]:
        # CTranslate2 makes its own
        return [list(range(len(lengths)))] if lengths else []


class ConvertedModel:
    """A converted model, ready to run.

    Args:
        folder: A model folder of CTranslate2.
        device: Where to run.
        precision: By CTranslate2's names.
        threads: CPU threads for a batch; 0 for CTranslate2's default.

    Raises:
        XltError: E246 for a folder that cannot be used, E244 for a precision that the device cannot compute in.

    Attributes:
        translator: The `ctranslate2.Translator`.
        source_tokens: The vocabulary of the source by id.
        target_tokens: That of the target.
        end: The end mark.
        has_start: Whether the decoder begins by itself with what it was trained to begin with.
    """

    def __init__(self, folder: Path, *, device: Any, precision: str, threads: int):
        import ctranslate2

        place = {"device": device.type, "device_index": device.index or 0}
        supported = ctranslate2.get_supported_compute_types(*place.values())
        if precision not in supported:
            raise error("E244", device=device.type, value=precision, expected=", ".join(sorted(supported)))
        with loading("E246", path=folder):
            self.translator = ctranslate2.Translator(
                str(folder), compute_type=precision, intra_threads=threads, **place
            )
            self.source_tokens = _read_vocabulary(folder, "source")
            self.target_tokens = _read_vocabulary(folder, "target")
            config = json.loads((folder / "config.json").read_text(encoding="utf8"))
        self.end = str(config.get("eos_token", "</s>"))
        self.has_start = config.get("decoder_start_token") is not None


class CTranslate2Model:
    """A converted model that is told one direction; see `DirectionModel`."""

    def __init__(
        self, model: ConvertedModel, text: ModelText, marks: Marks, device: Any, *, beam_size: int, batch_tokens: int
    ):
        self._model = model
        self._beam_size = beam_size
        self._batching = {"max_batch_size": batch_tokens, "batch_type": "tokens", "max_input_length": 0}
        self._longest = text.longest
        self._before = [model.source_tokens[i] for i in marks.before]
        start = [] if model.has_start else [model.target_tokens[text.config.decoder_start_token_id or 0]]
        self._first = [*start, *([] if marks.first is None else [model.target_tokens[marks.first]])]
        self._target_ids = {token: i for i, token in enumerate(model.target_tokens)}
        self.source: Codec = text.source
        self.target: Codec = text.target
        self.device = device
        self.n_marks = len(self._before) + 1
        self.max_pieces = text.room(marks)

    def search(self, sources: Sequence[Ids], limits: NDArray[np.int64]) -> list[Hypothesis]:
        """As `DirectionModel.search`, in groups of the same limit."""
        rounded = -(-(limits + len(self._first)) // _LIMIT_STEP) * _LIMIT_STEP
        hypotheses: dict[int, Hypothesis] = {}
        for limit in sorted(set(rounded.tolist()), reverse=True):
            members = np.flatnonzero(rounded == limit).tolist()
            results = self._model.translator.translate_batch(
                [self._source_tokens(sources[i]) for i in members],
                target_prefix=[self._first] * len(members) if self._first else None,
                beam_size=self._beam_size,
                min_decoding_length=0,
                max_decoding_length=min(limit, self._longest - 1),
                return_scores=True,
                return_end_token=True,
                **self._batching,
            )
            for i, result in zip(members, results, strict=True):
                hypotheses[i] = self._hypothesis(result.hypotheses[0], result.scores[0])
        return [hypotheses[i] for i in range(len(sources))]

    def force(self, sources: Sequence[Ids], targets: Sequence[Ids]) -> list[NDArray[np.float32]]:
        """As `DirectionModel.force`."""
        results = self._model.translator.score_batch(
            [self._source_tokens(ids) for ids in sources],
            [[*self._first, *self._target_tokens(ids)] for ids in targets],
            **self._batching,
        )
        return [
            np.asarray(result.log_probs[-len(ids) - 1 :], np.float32)
            for result, ids in zip(results, targets, strict=True)
        ]

    def attend(self, sources: Sequence[Ids], targets: Sequence[Ids]) -> list[NDArray[np.float32]]:
        """As `DirectionModel.attend`: the decoder is made to write each target."""
        results = self._model.translator.translate_batch(
            [self._source_tokens(ids) for ids in sources],
            target_prefix=[[*self._first, *self._target_tokens(ids)] for ids in targets],
            beam_size=1,
            # Nothing is to be written behind the longest translation
            max_decoding_length=len(self._first) + max(len(ids) for ids in targets) + 1,
            max_input_length=0,
            return_attention=True,
        )
        i, j = len(self._first), len(self._before)
        weights = []
        for result, source, target in zip(results, sources, targets, strict=True):
            looked = np.zeros((len(target), len(source)), np.float32)
            if looked.size:
                looked[:] = np.asarray(result.attention[0][i : i + len(target)])[:, j : j + len(source)]
            weights.append(looked)
        return weights

    def _source_tokens(self, ids: Ids) -> list[str]:
        return [*self._before, *(self._model.source_tokens[i] for i in ids.tolist()), self._model.end]

    def _target_tokens(self, ids: Ids) -> list[str]:
        return [self._model.target_tokens[i] for i in ids.tolist()]

    def _hypothesis(self, tokens: list[str], score: float) -> Hypothesis:
        # The score is the mean over all pieces, with those that were given
        written = tokens[len(self._first) :]
        ended = bool(written) and written[-1] == self._model.end
        ids = np.asarray([self._target_ids[token] for token in written], np.int64)
        return Hypothesis(ids, score * len(tokens), not ended)


def _read_vocabulary(folder: Path, side: str) -> list[str]:
    """The tokens of a side by id."""
    path = folder / f"{side}_vocabulary.json"
    path = path if path.is_file() else folder / "shared_vocabulary.json"
    return json.loads(path.read_text(encoding="utf8"))
