"""`Seq2SeqTranslator`: translate, score and align with any Hugging Face sequence-to-sequence model."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..device import batches_by_length, loading
from ..engine import setting
from ..hub import located
from .huggingface import HuggingFaceTranslator, Marks, ModelText, half_precision, load_weights, read_files
from .neural import DirectionModel, Hypothesis, Ids
from .subwords import Codec

if TYPE_CHECKING:
    import torch

# Numbers over the whole vocabulary that a batch may have at once: a CPU runs several batches side by side
MAX_LOGITS = {"cpu": 1 << 25, "cuda": 1 << 29}


@dataclass(kw_only=True, eq=False)
class Seq2SeqTranslator(HuggingFaceTranslator):
    """Hugging Face's sequence-to-sequence models: NLLB-200, M2M100, MADLAD-400, mBART-50, Marian, T5.

    The model is loaded when first used. It runs without sampling, so that the same text has the same translation.
    `attend` reads the decoder's last layer but one, the mean of its heads (Garg et al. 2019,
    https://aclanthology.org/D19-1453/); of Marian the first head of the last layer, which OPUS-MT's models are trained
    to align with. Settings not named here are those of `HuggingFaceTranslator`.

    Args:
        batch_tokens: The most source pieces of a batch, padding counted, times the beam: more speed and memory.
        precision: "float32", "float16" or "bfloat16"; "auto" is half precision on a GPU.

    Raises:
        XltError: E150 for an invalid setting.
    """

    precision: str = setting("auto", choices=("auto", "float32", "float16", "bfloat16"))

    def load(self, source: str, target: str, *, device: Any, exact: bool = False) -> DirectionModel:
        """As `NeuralTranslator.load`.

        Raises:
            XltError: E201 for an unknown direction; E221 for a model that cannot be loaded whole, E222 to E225 for one
                whose languages are not known.
        """
        if device not in self._loaded:
            # What is on another device goes
            self._loaded = {device: self._load(device)}
        model, text = self._loaded[device]
        return Seq2SeqModel(model, text, text.marks(source, target), beam_size=self.beam_size)

    def _load(self, device: torch.device) -> tuple[LoadedModel, ModelText]:
        import torch

        name = type(self).__name__
        place = located(self.model, "E221", engine=name)
        with loading("E221", engine=name, model=self.model):
            files = read_files(place)
            precision = self.precision
            if precision == "auto":
                precision = half_precision(files[0].model_type) if device.type == "cuda" else "float32"
                if precision == "bfloat16" and not torch.cuda.is_bf16_supported():
                    precision = "float32"
            model = load_weights(name, place, files[0], getattr(torch, precision))
        text = self.model_text(self.model, files, n_pieces=int(model.get_input_embeddings().num_embeddings))
        return LoadedModel(model.to(device).eval()), text

    def _search_batches(self, model: DirectionModel, lengths: Sequence[int]) -> list[list[int]]:
        assert isinstance(model, Seq2SeqModel)
        budget = max(1, self.batch_tokens // self.beam_size)
        # For short texts the logits, not the inputs, bound the batch
        shortest = -(-budget * self.beam_size // model.max_rows)
        return batches_by_length([max(shortest, length) for length in lengths], batch_tokens=budget)

    def _force_budget(self, model: DirectionModel) -> int:
        assert isinstance(model, Seq2SeqModel)
        return min(self.batch_tokens, model.max_rows)


@dataclass
class LoadedModel:
    """A transformers model with an encoder and a decoder, in evaluation mode, on its device."""

    model: Any

    @cached_property
    def transparent(self) -> Any:
        """A second model of the same weights that computes attention in the way that shows the weights of its heads."""
        tensors = chain(self.model.parameters(), self.model.buffers())
        twin = copy.deepcopy(self.model, {id(tensor): tensor for tensor in tensors})
        for module in twin.modules():
            if hasattr(module, "config"):
                # What `attn_implementation` of from_pretrained sets, which would load the weights once more
                module.config._attn_implementation = "eager"
        return twin


class Seq2SeqModel:
    """A model that is told one direction; see `DirectionModel`.

    Attributes:
        max_rows: For how many pieces at once the logits over the whole vocabulary may be held.
    """

    def __init__(self, loaded: LoadedModel, text: ModelText, marks: Marks, *, beam_size: int):
        self._loaded = loaded
        self._model = loaded.model
        self._beam_size = beam_size
        self._settings = loaded.model.generation_config
        self._before = marks.before
        self._first = self._settings.forced_bos_token_id if marks.first is None else marks.first
        self._guided = text.codes.family == "marian"
        self._longest = text.longest
        ends = self._setting("eos_token_id", text.tokenizer.eos_token_id)
        self._ends = [int(i) for i in (ends if isinstance(ends, (list, tuple)) else [ends])]
        self._pad = int(self._setting("pad_token_id", text.tokenizer.pad_token_id or 0))
        self._start = int(self._setting("decoder_start_token_id", self._pad))
        self.source: Codec = text.source
        self.target: Codec = text.target
        self.device = self._model.device
        self.n_marks = len(self._before) + 1
        self.max_pieces = text.room(marks)
        logits = MAX_LOGITS.get(self.device.type, MAX_LOGITS["cuda"])
        self.max_rows = max(1, logits // int(self._model.config.vocab_size))

    def search(self, sources: Sequence[Ids], limits: NDArray[np.int64]) -> list[Hypothesis]:
        """As `DirectionModel.search`, by transformers' `generate`."""
        import torch

        beam_size = self._beam_size
        n_before = len(self._written_before) - 1
        limits = np.minimum(limits, self._longest - 2 - n_before)
        with torch.inference_mode():
            hidden, mask = self._encode(sources)
            row_limits = torch.from_numpy(limits + n_before).repeat_interleave(beam_size).to(self.device)
            end_at_limit = EndAtLimit(row_limits, self._ends[0], keep_best=beam_size == 1)
            sequences = self._generate(hidden, mask, end_at_limit, int(limits.max()) + n_before)
            rows = sequences[:, 1 + n_before :].cpu().numpy().reshape(len(sources), beam_size, -1)
            # Of a beam the best that has an end, else the best one
            hypotheses = [
                min((self._read(row, limit) for row in beam), key=lambda hypothesis: hypothesis[1])
                for beam, limit in zip(rows, limits.tolist(), strict=True)
            ]
            ids = [hypothesis[0] for hypothesis in hypotheses]
            if beam_size == 1:
                best = torch.stack(end_at_limit.best, dim=1)[:, n_before:].cpu().numpy()
                log_probs = [row[: len(written)] for row, written in zip(best, ids, strict=True)]
            else:
                log_probs = self._log_probs(hidden, mask, ids)
        return [
            Hypothesis(written, float(scores.sum(dtype=np.float64)), truncated)
            for (written, truncated), scores in zip(hypotheses, log_probs, strict=True)
        ]

    def force(self, sources: Sequence[Ids], targets: Sequence[Ids]) -> list[NDArray[np.float32]]:
        """As `DirectionModel.force`."""
        import torch

        with torch.inference_mode():
            hidden, mask = self._encode(sources)
            return self._log_probs(hidden, mask, [np.append(target, self._ends[0]) for target in targets])

    def attend(self, sources: Sequence[Ids], targets: Sequence[Ids]) -> list[NDArray[np.float32]]:
        """As `DirectionModel.attend`."""
        import torch

        with torch.inference_mode():
            hidden, mask = self._encode(sources)
            inputs = self._decoder_inputs(targets)
            layers = self._decode(self._loaded.transparent, hidden, mask, inputs, output_attentions=True)
            layers = layers.cross_attentions
            weights = layers[-1][:, :1] if self._guided else layers[max(-2, -len(layers))]
            mean = weights.float().mean(dim=1).cpu().numpy()
        # The weights of a piece are those of the step that writes it
        i, j = len(self._written_before) - 1, len(self._before)
        return [
            mean[row, i : i + len(target), j : j + len(source)]
            for row, (source, target) in enumerate(zip(sources, targets, strict=True))
        ]

    @property
    def _written_before(self) -> list[int]:
        """What the decoder is given before the translation itself."""
        return [self._start] if self._first is None else [self._start, self._first]

    def _setting(self, name: str, default: Any) -> Any:
        """What the model's settings for generation say, or its config."""
        for settings in (self._settings, self._model.config):
            value = getattr(settings, name, None)
            if value is not None:
                return value
        return default

    def _encode(self, sources: Sequence[Ids]) -> tuple[torch.Tensor, torch.Tensor]:
        """What the encoder makes of sources, (n_batch, n_source, dim), and which of it counts."""
        rows = [[*self._before, *ids.tolist(), self._ends[0]] for ids in sources]
        ids, mask = pad_rows(rows, self._pad, self.device)
        output = self._model.get_encoder()(input_ids=ids, attention_mask=mask, return_dict=True)
        return output.last_hidden_state, mask

    def _decoder_inputs(self, targets: Sequence[Ids]) -> torch.Tensor:
        # Padding stands behind all that counts, so that a piece never sees it; M2M100 would count it among its places
        return pad_rows([[*self._written_before, *ids.tolist()] for ids in targets], self._ends[0], self.device)[0]

    def _decode(self, model: Any, hidden: torch.Tensor, mask: torch.Tensor, ids: torch.Tensor, **settings: Any) -> Any:
        return model(
            encoder_outputs=encoder_output(hidden),
            attention_mask=mask,
            decoder_input_ids=ids,
            use_cache=False,
            return_dict=True,
            **settings,
        )

    def _generate(self, hidden: torch.Tensor, mask: torch.Tensor, end_at_limit: EndAtLimit, limit: int) -> torch.Tensor:
        """Whole sequences with the start: int64, (n_batch * beam_size, n), the best of each beam first."""
        return self._model.generate(
            encoder_outputs=encoder_output(hidden),
            attention_mask=mask,
            do_sample=False,
            num_beams=self._beam_size,
            num_return_sequences=self._beam_size,
            early_stopping=False,
            # One more, for the end of those that reach the limit
            max_new_tokens=limit + 1,
            decoder_start_token_id=self._start,
            forced_bos_token_id=self._first,
            forced_eos_token_id=None,
            eos_token_id=self._ends,
            pad_token_id=self._pad,
            logits_processor=[end_at_limit],
        )

    def _read(self, row: Ids, limit: int) -> tuple[Ids, bool]:
        """The pieces of a sequence up to its end mark, and whether it was cut off at its limit."""
        row = row[:limit]
        ends = np.flatnonzero(np.isin(row, self._ends))
        return (row[: ends[0] + 1], False) if len(ends) else (row, True)

    def _log_probs(self, hidden: torch.Tensor, mask: torch.Tensor, targets: Sequence[Ids]) -> list[NDArray[np.float32]]:
        """Log-probability of each given piece, over the whole vocabulary: float32 of shape (n_pieces,) for each row."""
        inputs = self._decoder_inputs(targets)
        n_rows = max(1, self.max_rows // inputs.shape[1])
        log_probs = []
        for part in (slice(start, start + n_rows) for start in range(0, len(inputs), n_rows)):
            logits = self._decode(self._model, hidden[part], mask[part], inputs[part, :-1]).logits.float()
            log_probs += list(logits.log_softmax(dim=-1).gather(2, inputs[part, 1:, None]).squeeze(2).cpu().numpy())
        start = len(self._written_before) - 1
        return [row[start : start + len(ids)] for row, ids in zip(log_probs, targets, strict=True)]


class EndAtLimit:
    """A logits processor of `generate` that gives each row a limit of its own: behind it stands the end mark.

    Args:
        limits: The most pieces of each row, the decoder's start not counted, int64 of shape (n_rows,).
        end: The end mark.
        keep_best: Whether to keep `best`.

    Attributes:
        best: For each step the log-probability of each row's best piece, which is what greedy search writes.
    """

    def __init__(self, limits: torch.Tensor, end: int, *, keep_best: bool):
        self._limits = limits
        self._end = end
        self._keep_best = keep_best
        self.best: list[torch.Tensor] = []

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        if self._keep_best:
            self.best.append(scores.amax(dim=-1) - scores.logsumexp(dim=-1))
        over = self._limits < input_ids.shape[1]
        scores = scores.masked_fill(over[:, None], -float("inf"))
        scores[over, self._end] = 0
        return scores


def encoder_output(hidden: Any) -> Any:
    from transformers.modeling_outputs import BaseModelOutput

    return BaseModelOutput(last_hidden_state=hidden)


def pad_rows(rows: Sequence[list[int]], pad: int, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    """Rows as one tensor, int64 of shape (n_rows, longest), and its mask."""
    import torch

    lengths = torch.tensor([len(row) for row in rows])
    width = int(lengths.max())
    ids = torch.tensor([[*row, *[pad] * (width - len(row))] for row in rows])
    mask = (torch.arange(width) < lengths[:, None]).long()
    return ids.to(device), mask.to(device)
