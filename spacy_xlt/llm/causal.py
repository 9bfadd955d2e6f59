"""`CausalModel`: a Hugging Face causal language model in this process."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, NamedTuple

from ..device import OomRetry, batches_by_length, first_line, loading, one_thread_after_fork, without_cudnn_attention
from ..engine import Engine, invalid_setting, setting
from ..errors import error
from ..hub import full_name, located, name_in_signature
from .api import Answer, Request, nothing
from .generation import Row, StopTexts, TokenChoice, cut_at_stop

if TYPE_CHECKING:
    import torch

OWNER = "CausalModel"
_UNBOUNDED = 1 << 20


@dataclass(kw_only=True, eq=False)
class CausalModel(Engine):
    """Asks a causal language model of Hugging Face, which is loaded when first used. No code of a model is ever run.

    Messages are written with the chat template of its tokenizer. `schema` and `parameters` of a request are not heeded.
    Nothing is kept on the disk, and the answers do not depend on what else is asked.

    Args:
        model: A Hugging Face name or a folder.
        temperature: 0 for the most probable answer.
        max_tokens: The most tokens of an answer.
        seed: For samples.
        precision: "float32", "float16" or "bfloat16"; "auto" is bfloat16 on a GPU that has it.
        batch_tokens: The most tokens of a batch, those of the answers and padding counted: more speed and memory.

    Raises:
        XltError: E150 for an invalid setting.
    """

    model: str = ""
    temperature: float = setting(0.0, ge=0)
    max_tokens: int = setting(1024, ge=1)
    seed: int = 0
    precision: str = setting("auto", choices=("auto", "float32", "float16", "bfloat16"))
    batch_tokens: int = setting(16384, ge=1, decides=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.model.strip():
            raise invalid_setting(OWNER, "model", self.model, "the name or folder of a causal language model")
        self.model = full_name(self.model)
        self._loaded: _Loaded | None = None
        self._retry = OomRetry(OWNER)

    def details(self) -> dict[str, Any]:
        """The name of a folder alone, and the version of transformers."""
        return {"model": name_in_signature(self.model), "transformers": version("transformers")}

    def complete(self, requests: Sequence[Request], *, progress: Callable[[int], object] = nothing) -> list[Answer]:
        """Ask the model; see `LanguageModel.complete`.

        Raises:
            XltError: E303 for a model that cannot be loaded, E276 for one that knows no chats, E277 (a
                `DocumentError`) for a prompt that is longer than it reads, E226 where there is not enough memory for a
                single request.
        """
        if not requests:
            return []
        one_thread_after_fork()
        loaded = self._load()
        rows = [self._row(request, loaded) for request in requests]
        counts = Counter(rows)
        new = list(counts)
        lengths = [len(row.ids) + row.limit for row in new]
        answers: dict[Row, Answer] = {}

        def run(batch: list[int]) -> list[Answer]:
            return loaded.generate([new[i] for i in batch], seed=self.seed)

        with without_cudnn_attention(loaded.device):
            for batch in batches_by_length(lengths, batch_tokens=self.batch_tokens):
                for i, answer in zip(batch, self._retry.run(run, batch, lengths), strict=True):
                    answers[new[i]] = answer
                    progress(counts[new[i]])
        return [answers[row] for row in rows]

    def _row(self, request: Request, loaded: _Loaded) -> Row:
        ids = loaded.ids_of(request, name=self.model)
        room = loaded.longest - len(ids)
        if room < 1:
            raise error("E277", model=self.model, found=len(ids), limit=loaded.longest)
        temperature = self.temperature if request.temperature is None else float(request.temperature)
        limit = min(room, request.max_tokens or self.max_tokens)
        return Row(ids, request.sample if temperature else 0, temperature, tuple(request.stop), limit)

    def _load(self) -> _Loaded:
        import torch
        from thinc.api import get_torch_default_device

        device = torch.device(get_torch_default_device())
        if self._loaded is None or self._loaded.device != device:
            place = located(self.model, "E303", setting="model")
            with loading("E303", model=self.model, setting="model"):
                self._loaded = _Loaded.read(place, device, self.precision)
        return self._loaded


class _Loaded(NamedTuple):
    """A model and its tokenizer.

    Attributes:
        ends: Ids of tokens that end an answer.
        longest: The most tokens of a prompt and its answer.
    """

    model: Any
    tokenizer: Any
    device: torch.device
    ends: list[int]
    longest: int

    @classmethod
    def read(cls, place: str, device: torch.device, precision: str) -> _Loaded:
        import torch
        from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig

        if precision == "auto":
            precision = "float32" if device.type == "cpu" else "float16"
            if device.type == "cuda" and torch.cuda.is_bf16_supported():
                precision = "bfloat16"
        tokenizer = AutoTokenizer.from_pretrained(place, trust_remote_code=False)
        model, info = AutoModelForCausalLM.from_pretrained(
            place,
            torch_dtype=getattr(torch, precision),
            trust_remote_code=False,
            weights_only=True,
            output_loading_info=True,
        )
        if info["missing_keys"]:
            raise ValueError(f"it lacks the weights {', '.join(sorted(info['missing_keys'])[:3])}")
        ends = model.generation_config.eos_token_id
        ends = tokenizer.eos_token_id if ends is None else ends
        ends = ends if isinstance(ends, (list, tuple)) else [] if ends is None else [ends]
        # Many models come with sampling and penalties as their defaults
        model.generation_config = GenerationConfig(eos_token_id=list(ends) or None, pad_token_id=0)
        longest = int(getattr(model.config, "max_position_embeddings", None) or _UNBOUNDED)
        return cls(model.to(device).eval(), tokenizer, device, list(ends), longest)

    def ids_of(self, request: Request, *, name: str) -> tuple[int, ...]:
        """The token ids of a prompt."""
        if isinstance(request.prompt, str):
            return tuple(self.tokenizer(request.prompt).input_ids)
        messages = [dict(message) for message in request.prompt]
        try:
            return tuple(self.tokenizer.apply_chat_template(messages, add_generation_prompt=True))
        except Exception as err:
            # Templates raise errors of Jinja for roles that they do not know
            raise error("E276", model=name, reason=first_line(err)) from err

    def generate(self, rows: Sequence[Row], *, seed: int) -> list[Answer]:
        """The answers of one batch."""
        import torch

        width = max(len(row.ids) for row in rows)
        ids = torch.zeros((len(rows), width), dtype=torch.long)
        mask = torch.zeros_like(ids)
        for i, row in enumerate(rows):
            ids[i, width - len(row.ids) :] = torch.tensor(row.ids)
            mask[i, width - len(row.ids) :] = 1
        choice = TokenChoice(rows, seed=seed, device=self.device)
        stop = StopTexts(rows, self.tokenizer, width=width)
        with torch.no_grad():
            made = self.model.generate(
                input_ids=ids.to(self.device),
                attention_mask=mask.to(self.device),
                max_new_tokens=max(row.limit for row in rows),
                do_sample=False,
                logits_processor=[choice],
                stopping_criteria=[stop],
            )
        log_probs = torch.stack(choice.log_probs, 1).tolist()
        tokens = [row[:length] for row, length in zip(made[:, width:].tolist(), stop.lengths, strict=True)]
        return [self._answer(*one) for one in zip(rows, tokens, log_probs, strict=True)]

    def _answer(self, row: Row, tokens: list[int], log_probs: list[float]) -> Answer:
        end = next((i for i, token in enumerate(tokens) if token in self.ends), None)
        if end is not None:
            tokens = tokens[: end + 1]
        text = self.tokenizer.decode(tokens, skip_special_tokens=True)
        text, is_stopped = cut_at_stop(text, row.stop)
        finish = "stop" if end is not None or is_stopped else "length"
        log_prob = sum(log_probs[: len(tokens)]) / len(tokens)
        return Answer(text, finish, log_prob, len(row.ids), len(tokens))
