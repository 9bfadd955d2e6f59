"""How a model's next tokens are chosen, and when it stops: for each row of a batch by itself."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Row:
    """What a model is to go on from.

    Attributes:
        ids: Token ids of the prompt.
        sample: Which of several answers.
        temperature: 0 for the most probable token each time.
        stop: Texts before which the answer ends.
        limit: The most tokens of the answer.
    """

    ids: tuple[int, ...]
    sample: int
    temperature: float
    stop: tuple[str, ...]
    limit: int

    def seed(self, base: int) -> int:
        """The seed of its sampling, in which what else is in the batch has no say."""
        whole = json.dumps([base, self.ids, self.sample])
        return int.from_bytes(hashlib.sha256(whole.encode("ascii")).digest()[:7], "big")


class TokenChoice:
    """Chooses tokens greedily or by sampling, and notes how probable they were: a logits processor of transformers.

    Sampling is the Gumbel-max trick (https://arxiv.org/abs/1611.01144, section 2): the greatest of the scores with
    noise is a sample, so that the search itself stays greedy, and each row has random numbers of its own.

    Attributes:
        log_probs: For each step the natural log-probabilities of the tokens chosen, before temperature: float32,
            (n_rows,).
    """

    def __init__(self, rows: Sequence[Row], *, seed: int, device: Any):
        import torch

        self._rows = rows
        self._generators = {
            number: torch.Generator(device=device).manual_seed(row.seed(seed))
            for number, row in enumerate(rows)
            if row.temperature > 0
        }
        self.log_probs: list[torch.Tensor] = []

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """The scores with noise: float32, (n_rows, n_vocabulary)."""
        import torch

        scores = scores.float()
        noisy = scores.clone()
        for number, generator in self._generators.items():
            row = noisy[number]
            waits = torch.empty_like(row).exponential_(generator=generator).clamp_min_(torch.finfo(row.dtype).tiny)
            noisy[number] = row / self._rows[number].temperature - waits.log()
        chosen = noisy.argmax(-1, keepdim=True)
        self.log_probs.append(scores.log_softmax(-1).gather(1, chosen)[:, 0])
        return noisy


class StopTexts:
    """Ends the rows in which a stop text has come, or that have reached their limit: a stopping criterion.

    Attributes:
        lengths: For each row, after how many tokens that was.
    """

    def __init__(self, rows: Sequence[Row], tokenizer: Any, *, width: int):
        self._rows = rows
        self._tokenizer = tokenizer
        self._width = width
        self.lengths = [row.limit for row in rows]

    def __call__(self, input_ids: torch.Tensor, scores: Any, **settings: Any) -> torch.Tensor:
        """Which rows are done: bool, (n_rows,)."""
        import torch

        made = input_ids[:, self._width :]
        length = made.shape[1]
        for i, row in enumerate(self._rows):
            if length < self.lengths[i] and self._has_stop(row, made[i]):
                self.lengths[i] = length
        return torch.tensor([length >= most for most in self.lengths], device=input_ids.device)

    def _has_stop(self, row: Row, made: torch.Tensor) -> bool:
        if not row.stop:
            return False
        # A character is four tokens at most, one for each of its bytes
        tail = made[-4 * max(map(len, row.stop)) - 4 :].tolist()
        text = self._tokenizer.decode(tail, skip_special_tokens=True)
        return any(stop in text for stop in row.stop)


def cut_at_stop(text: str, stop: Sequence[str]) -> tuple[str, bool]:
    """A text up to the first stop text, and whether there is one."""
    places = [place for place in (text.find(one) for one in stop) if place >= 0]
    return (text[: min(places)], True) if places else (text, False)
