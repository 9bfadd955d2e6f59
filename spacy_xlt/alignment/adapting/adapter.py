"""The adaptation itself: steps over parallel text, and the model folder that comes out."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterable
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from ... import __version__
from ...errors import error
from ...io import write_json
from ...links import Alignment
from ...protocols import TokenPair
from ..encoder import Encoder
from .data import ParallelPieces, Schedule
from .objectives import MaskedPieces, link_loss, link_mask, pad, word_vectors
from .settings import AdaptingSettings
from .state import WorkFolder

_CLIP = 1.0


class Adapter:
    """Adapts an encoder with parallel text and writes it as an ordinary model folder.

    Dou & Neubig 2021, awesome-align: self-training on the encoder's own mutual links (or on links that are given),
    and translation language modelling. The embeddings below the first layer stay as they are.

    settings (AdaptingSettings): What to do.
    RAISES (XltError): E353 for a model that cannot be adapted; E302 and E303 as `EmbeddingAligner`.
    """

    def __init__(self, settings: AdaptingSettings):
        from thinc.api import get_torch_default_device
        from transformers import MODEL_MAPPING

        self.settings = settings
        self.encoder = Encoder(settings.model, settings.layer)
        self.model = self.encoder.model
        self.device = get_torch_default_device()
        mapping: Any = MODEL_MAPPING
        if mapping.get(type(self.model.config), None) is not type(self.model):
            raise error("E353", model=settings.model, reason="it is a part of a larger model")
        if settings.tlm and self.encoder.tokenizer.mask_token_id is None:
            raise error("E353", model=settings.model, reason="its tokenizer has no mask, which `tlm` above 0 needs")
        self.max_pieces = min(settings.max_pieces, self.encoder.window)
        self.model.to(self.device)

    def run(
        self,
        pairs: Iterable[tuple[TokenPair, Alignment | None]],
        output: str | Path,
        *,
        progress: Callable[[int, dict[str, float]], None] | None = None,
    ) -> dict[str, Any]:
        """Adapt, or go on where an adaptation with the same settings and texts was interrupted.

        pairs: Tokens of both sides, and for each pair, or for none, links to learn from instead of the encoder's own.
        output (str | Path): The model folder to write. It appears when it is complete.
        progress (Callable[[int, dict[str, float]], None] | None): Called after each step with the steps done and the
            losses.
        RETURNS (dict[str, Any]): Pairs read and left out, steps, losses at both ends, seconds.
        RAISES (XltError): E352 where another adaptation was interrupted there, E354 for texts without pairs to learn
            from, E355 where the folder is there already.
        """
        output = Path(output)
        if output.exists() and not (output.is_dir() and not any(output.iterdir())):
            raise error("E355", path=output)
        data = ParallelPieces.of(islice(pairs, self.settings.max_pairs), self.encoder, max_pieces=self.max_pieces)
        if not data.pairs:
            reason = f"{data.read} read, {data.empty} with an empty side, {data.long} of over {self.max_pieces} pieces"
            raise error("E354", path="The parallel text", reason=reason)
        work = WorkFolder(output, {**self.settings.to_json(), "texts": _digest(data), "version": __version__})
        start = time.perf_counter()
        losses = self._train(data, work, progress or (lambda step, loss: None))
        summary = {
            **self.settings.to_json(),
            "version": __version__,
            "pairs_read": data.read,
            "pairs_used": len(data.pairs),
            "pairs_empty": data.empty,
            "pairs_long": data.long,
            "losses_first": _mean(losses[: max(1, len(losses) // 10)]),
            "losses_last": _mean(losses[-max(1, len(losses) // 10) :]),
            "seconds": round(time.perf_counter() - start, 1),
        }
        folder = work.new_model()
        self._write(folder, summary)
        work.finish(folder)
        return summary

    def _train(
        self, data: ParallelPieces, work: WorkFolder, progress: Callable[[int, dict[str, float]], None]
    ) -> list[dict[str, float]]:
        import torch

        masked = self._masked_pieces(data)
        trained = {name: p for name, p in self.model.named_parameters() if _is_adapted(name)}
        for name, parameter in self.model.named_parameters():
            parameter.requires_grad_(name in trained)
        trained.update({f"tlm.{name}": p for name, p in (masked.parameters() if masked else {}).items()})
        optimizer = torch.optim.AdamW(trained.values(), lr=self.settings.learning_rate, weight_decay=0.01)
        extra = len(self.encoder.prefix) + len(self.encoder.suffix)
        schedule = Schedule(data.lengths() + extra, batch_tokens=self.settings.batch_tokens, seed=self.settings.seed)
        first, losses = 0, list[dict[str, float]]()
        saved = work.load()
        if saved is not None:
            first, tensors, losses = saved
            _restore(trained, optimizer, tensors, first)
        self.model.train()
        for step in range(first, self.settings.steps):
            torch.manual_seed(self.settings.seed * 1_000_003 + step)
            rate = self.settings.learning_rate * self._rate(step)
            for group in optimizer.param_groups:
                group["lr"] = rate
            losses.append(self._step(data, schedule.batch(step), masked, optimizer, list(trained.values())))
            if (step + 1) % self.settings.checkpoint_every == 0 and step + 1 < self.settings.steps:
                work.save(step + 1, _state(trained, optimizer), losses)
            progress(step + 1, losses[-1])
        self.model.eval()
        return losses

    def _step(
        self,
        data: ParallelPieces,
        batch: list[int],
        masked: MaskedPieces | None,
        optimizer: Any,
        trained: list[Any],
    ) -> dict[str, float]:
        """Learn from one batch."""
        import torch

        optimizer.zero_grad(set_to_none=True)
        found: dict[str, float] = {}
        if self.settings.self_training:
            loss = self._link_loss(data, batch)
            (self.settings.self_training * loss).backward()
            found["self_training"] = round(float(loss.detach()), 5)
        if masked is not None:
            loss = self._tlm_loss(data, batch, masked)
            (self.settings.tlm * loss).backward()
            found["tlm"] = round(float(loss.detach()), 5)
        torch.nn.utils.clip_grad_norm_(trained, _CLIP)
        optimizer.step()
        return found

    def _link_loss(self, data: ParallelPieces, batch: list[int]) -> Any:
        source, target = (pad([data.pairs[i][side] for i in batch], self.encoder, self.device) for side in (0, 1))
        given = None
        if data.links is not None:
            given = link_mask([data.links[i] for i in batch], source, target, self.device)
        return link_loss(
            word_vectors(self._hidden(source.ids, source.mask), source),
            word_vectors(self._hidden(target.ids, target.mask), target),
            temperature=self.settings.temperature,
            threshold=self.settings.threshold,
            given=given,
        )

    def _tlm_loss(self, data: ParallelPieces, batch: list[int], masked: MaskedPieces) -> Any:
        import torch

        from .data import Side

        separator = self.encoder.suffix[-1:] or self.encoder.prefix[-1:]
        joined, none = [], np.full(len(separator), -1, np.int32)
        for i in batch:
            a, b = data.pairs[i]
            pieces = np.concatenate([a.pieces, np.asarray(separator, np.int32), b.pieces])[: self.encoder.window]
            words = np.concatenate([a.words, none, b.words])[: self.encoder.window]
            joined.append(Side(pieces.astype(np.int32), words))
        rows = pad(joined, self.encoder, self.device)
        special = torch.tensor([*self.encoder.prefix, *self.encoder.suffix], device=self.device)
        free = rows.mask.bool() & ~torch.isin(rows.ids, special)
        read, guessed = masked.mask(rows.ids, free, torch.default_generator)
        return masked.loss(self._hidden(read, rows.mask), rows.ids, guessed)

    def _hidden(self, ids: Any, mask: Any) -> Any:
        output = self.model(input_ids=ids, attention_mask=mask, output_hidden_states=True, return_dict=True)
        return output.hidden_states[self.settings.layer].float()

    def _masked_pieces(self, data: ParallelPieces) -> MaskedPieces | None:
        import torch

        if not self.settings.tlm:
            return None
        torch.manual_seed(self.settings.seed)
        embeddings = self.model.get_input_embeddings().weight
        mask_id = int(self.encoder.tokenizer.mask_token_id)
        return MaskedPieces(embeddings, data.vocabulary(), mask_id, dim=int(self.model.config.hidden_size))

    def _rate(self, step: int) -> float:
        """The share of the learning rate at a step: up in `warmup` steps, then down in a line."""
        warmup = min(self.settings.warmup, self.settings.steps)
        if step < warmup:
            return (step + 1) / warmup
        return (self.settings.steps - step) / max(1, self.settings.steps - warmup)

    def _write(self, folder: Path, summary: dict[str, Any]) -> None:
        import torch

        state = {name: tensor.detach().float().cpu().contiguous() for name, tensor in self.model.state_dict().items()}
        if self.model.config.model_type == "bert" and getattr(self.model, "pooler", None) is None:
            # AutoModel makes a pooler for every BERT, and warns where the folder has none
            size = int(self.model.config.hidden_size)
            state |= {"pooler.dense.weight": torch.eye(size), "pooler.dense.bias": torch.zeros(size)}
        self.model.save_pretrained(folder, state_dict=state, safe_serialization=True)
        self.encoder.tokenizer.save_pretrained(folder)
        write_json(folder / "adapting.json", summary)


def _is_adapted(name: str) -> bool:
    return not ("embeddings." in name or name.startswith(("pooler.", "wte.", "wpe.")))


def _state(trained: dict[str, Any], optimizer: Any) -> dict[str, Any]:
    tensors = dict(trained)
    for name, parameter in trained.items():
        for key in ("exp_avg", "exp_avg_sq"):
            if key in optimizer.state.get(parameter, {}):
                tensors[f"{key}:{name}"] = optimizer.state[parameter][key]
    return tensors


def _restore(trained: dict[str, Any], optimizer: Any, tensors: dict[str, Any], steps: int) -> None:
    import torch

    with torch.no_grad():
        for name, parameter in trained.items():
            parameter.copy_(tensors[name])
            if f"exp_avg:{name}" in tensors:
                moments = {key: tensors[f"{key}:{name}"].to(parameter.device) for key in ("exp_avg", "exp_avg_sq")}
                optimizer.state[parameter] = {"step": torch.tensor(float(steps)), **moments}


def _mean(losses: list[dict[str, float]]) -> dict[str, float]:
    names = dict.fromkeys(name for loss in losses for name in loss)
    return {name: round(float(np.mean([loss[name] for loss in losses])), 4) for name in names}


def _digest(data: ParallelPieces) -> str:
    digest = hashlib.sha256()
    for i, pair in enumerate(data.pairs):
        for side in pair:
            digest.update(side.pieces.tobytes() + side.words.tobytes())
        if data.links is not None:
            digest.update(data.links[i].tobytes())
    return digest.hexdigest()[:16]
