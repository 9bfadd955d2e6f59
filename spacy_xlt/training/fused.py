"""`spacy_xlt.fused_optimizer.v1`: one step of PyTorch for all weights of an encoder, not one of thinc for each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from spacy.language import Language
from thinc.optimizers import Optimizer

from .freezing import model_of


class FusedStep:
    """Updates the weights of one PyTorch module with the settings of a thinc optimizer.

    thinc updates one weight matrix after the other, each on one core, or on a GPU in a dozen small kernels. This is
    AdamW as PyTorch does it (https://pytorch.org/docs/stable/generated/torch.optim.AdamW.html, `fused`), with the
    learning rate, betas, eps, weight decay and clipping that the thinc optimizer has at that moment: what
    `[training.optimizer]` says stays true, and the weights come out as thinc's, up to rounding. As in thinc, each
    matrix's gradient is clipped alone.

    shim (PyTorchShim): What connects thinc to the module.
    """

    def __init__(self, shim: Any):
        self.shim = shim
        # A bound method: a call of it must not come back here.
        self.stock = type(shim).finish_update
        self._settings: Optimizer | None = None
        self._optimizer: Any = None
        self._updates = 0

    def __getstate__(self) -> dict[str, Any]:
        return {"shim": self.shim, "stock": self.stock, "_settings": None, "_optimizer": None, "_updates": 0}

    def __call__(self, optimizer: Optimizer) -> None:
        """In place of `shim.finish_update`. What PyTorch's AdamW cannot do (RAdam, averages) is left to thinc.

        optimizer (Optimizer): Carries the settings.
        """
        if not _is_adamw(optimizer):
            self.stock(self.shim, optimizer)
            return
        weights = [weight for weight in self.shim._model.parameters() if weight.grad is not None]
        # An overflow of half precision: this update is left out, and the scale goes down.
        if weights and not self.shim._grad_scaler.found_inf:
            if optimizer.grad_clip:
                _clip([weight.grad for weight in weights], optimizer.grad_clip)
            self._step(optimizer)
        for weight in weights:
            weight.grad = None
        self.shim._grad_scaler.update()

    def _step(self, settings: Optimizer) -> None:
        import torch

        if self._settings is not settings:
            self._settings, self._updates = settings, 0
            # All of them: a weight without gradient is passed over, and it may be thawed later.
            self._optimizer = torch.optim.AdamW(self.shim._model.parameters(), fused=True)
        self._updates += 1
        for group in self._optimizer.param_groups:
            group["lr"] = float(settings.learn_rate)
            group["betas"] = (float(settings.b1), float(settings.b2))
            # thinc adds it to a second moment that isn't corrected for its start at zero.
            group["eps"] = float(settings.eps) / (1 - settings.b2**self._updates) ** 0.5
            group["weight_decay"] = float(settings.L2)
        self._optimizer.step()


def _is_adamw(optimizer: Optimizer) -> bool:
    decays = optimizer.L2_is_weight_decay or not optimizer.L2
    return optimizer.averages is None and not optimizer.use_radam and decays and optimizer.b1 > 0 and optimizer.b2 > 0


def _clip(gradients: list[Any], limit: float) -> None:
    """Scale down each gradient whose norm is above the limit, without waiting for the device."""
    import torch

    norms = torch._foreach_norm(gradients)
    torch._foreach_mul_(gradients, [(limit / (norm + 1e-12)).clamp(max=1.0) for norm in norms])


def create_fused_optimizer(component: str = "transformer") -> Callable[[Language], Language]:
    """Registered callback `spacy_xlt.fused_optimizer.v1`, for `[initialize.before_init]`.

    The trained pipeline keeps nothing of it.

    component (str): Name of the transformer component.
    RAISES (XltError): E603 when called, where the pipeline has no such component.
    """

    def fuse(nlp: Language) -> Language:
        """Update the component's PyTorch modules by one step of PyTorch."""
        for node in model_of(nlp, component).walk():
            for shim in node.shims:
                # Of PyTorch: it has a module, and a scale of half precision.
                if hasattr(shim, "_grad_scaler"):
                    shim.finish_update = FusedStep(shim)
        return nlp

    return fuse
