"""Training a part of a model instead of all of it: low-rank matrices, or few of the weights. Imports torch."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, ClassVar

import torch
from torch.nn.utils import parametrize

from ..engine import Engine, setting
from ..errors import missing_package

# The losses of so many batches
Losses = Callable[[int], Iterator[torch.Tensor]]


@dataclass(kw_only=True, eq=False)
class Part(Engine):
    """Base class of parts. What it trains is of the encoder, without the heads."""

    def choose(self, body: torch.nn.Module, losses: Losses) -> Any:
        """What the data decides, once for all processes: tensors on the CPU, or None."""
        return None

    def put_in(self, body: torch.nn.Module, chosen: Any) -> None:
        """Freeze what is not trained, in place, and put parameters that are into a model."""
        raise NotImplementedError

    def merge(self, body: torch.nn.Module) -> None:
        """Make the model an ordinary one again, with what was trained in its weights."""
        raise NotImplementedError


@dataclass(kw_only=True, eq=False)
class LoraPart(Part):
    """Registered part `spacy_xlt.LoraPart.v1`: small matrices beside those of the attention (Hu et al. 2021, "LoRA").

    At the end they are added to these, and the model has no trace of them. With `embeddings` of the adaptation, the
    vectors of pieces and positions are trained, too, whole.

    Args:
        rank: Of the trained matrices.
        alpha: They are multiplied with alpha / rank. Null for twice the rank.
        dropout: Share of their inputs that are dropped in training.

    Raises:
        XltError: E150 for an invalid setting, E106 where peft is missing.
    """

    rank: int = setting(8, ge=1)
    alpha: float | None = setting(None, gt=0)
    dropout: float = setting(0.0, ge=0, lt=1)
    extra: ClassVar[str | None] = "peft"

    def __post_init__(self) -> None:
        super().__post_init__()
        if find_spec("peft") is None:
            raise missing_package("spacy_xlt.LoraPart.v1", "peft", "peft", otherwise=", or set `part` to null")

    def put_in(self, body: torch.nn.Module, chosen: Any) -> None:
        """Put matrices beside those that peft has for the architecture, else beside all of linear layers."""
        from peft import LoraConfig
        from peft.tuners.lora import LoraModel
        from peft.utils.constants import TRANSFORMERS_MODELS_TO_LORA_TARGET_MODULES_MAPPING as DEFAULTS

        tables = [table.weight for table in body.modules() if isinstance(table, torch.nn.Embedding)]
        whole = [weight for weight in tables if weight.requires_grad]
        config: Any = body.config
        alpha: Any = 2 * self.rank if self.alpha is None else self.alpha
        targets: Any = DEFAULTS.get(config.model_type, "all-linear")
        lora = LoraConfig(r=self.rank, lora_alpha=alpha, lora_dropout=self.dropout, target_modules=targets)
        self._tuner = LoraModel(body, lora, "default")
        for weight in whole:
            weight.requires_grad_(True)

    def merge(self, body: torch.nn.Module) -> None:
        """Add them to the weights."""
        self._tuner.merge_and_unload()


@dataclass(kw_only=True, eq=False)
class SparsePart(Part):
    """Registered part `spacy_xlt.SparsePart.v1`: few of the weights, all others stay exactly as they are.

    Those with the greatest sum of squared gradients over the first batches, an estimate of their Fisher information
    (Sung et al. 2021, "FISH Mask"). Ansell et al. 2022 ("LT-SFT") train such weights for a language or a task.

    Args:
        share: Of the weights that would be trained without it.
        batches: To choose them by.

    Raises:
        XltError: E150 for an invalid setting.
    """

    share: float = setting(0.05, gt=0, le=1)
    batches: int = setting(32, ge=1)

    def choose(self, body: torch.nn.Module, losses: Losses) -> dict[str, torch.Tensor]:
        """The places of the chosen weights in each flat tensor, by its name: int64, (n,)."""
        weights = {name: weight for name, weight in body.named_parameters() if weight.requires_grad}
        sums = [torch.zeros_like(weight) for weight in weights.values()]
        for loss in losses(self.batches):
            for total, grad in zip(
                sums, torch.autograd.grad(loss, [*weights.values()], allow_unused=True), strict=True
            ):
                if grad is not None:
                    total += grad.square()
        flat = torch.cat([total.flatten() for total in sums])
        mask = torch.zeros(len(flat), dtype=torch.bool)
        mask[flat.topk(max(1, round(self.share * len(flat)))).indices.cpu()] = True
        parts = mask.split([total.numel() for total in sums])
        return {name: part.nonzero().flatten() for name, part in zip(weights, parts, strict=True)}

    def put_in(self, body: torch.nn.Module, chosen: dict[str, torch.Tensor]) -> None:
        """Replace the weights by themselves with parameters at the chosen places."""
        named = dict(body.named_parameters())
        body.requires_grad_(False)
        placed = {id(named[name]): _Placed(named[name], places) for name, places in chosen.items() if len(places)}
        for module in [*body.modules()]:
            for name, weight in [*module.named_parameters(recurse=False)]:
                # A tied one has several modules
                if id(weight) in placed:
                    parametrize.register_parametrization(module, name, placed[id(weight)])

    def merge(self, body: torch.nn.Module) -> None:
        """Write them to their places."""
        for module in [*body.modules()]:
            if parametrize.is_parametrized(module):
                parametrizations: Any = module.parametrizations
                for name in [*parametrizations]:
                    parametrize.remove_parametrizations(module, name)


class _Placed(torch.nn.Module):
    """Parameters at some places of a weight. Only for these the optimizer has something to remember."""

    def __init__(self, weight: torch.Tensor, places: torch.Tensor):
        super().__init__()
        self.places: torch.Tensor
        self.register_buffer("places", places.to(weight.device))
        self.values = torch.nn.Parameter(weight.detach().flatten()[self.places])

    def forward(self, weight: torch.Tensor) -> torch.Tensor:
        return weight.flatten().index_copy(0, self.places, self.values).view_as(weight)
