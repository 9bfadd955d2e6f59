"""Callbacks of a training config: what to do before a pipeline is trained. The trained one keeps nothing of it."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from spacy.language import Language
from spacy.util import resolve_dot_names
from thinc.optimizers import Optimizer

from ..device import disable_cudnn_attention
from ..engine import Engine, setting
from ..errors import error


@dataclass(kw_only=True, eq=False)
class ChainedCallbacks(Engine):
    """Registered callback `spacy_xlt.chain_callbacks.v1`: several in a place of the config that takes one.

    For `[initialize.before_init]`, `[initialize.after_init]` and other places whose callbacks take the pipeline.

    Args:
        callbacks: By a name of their own, so that a part of a config can add one, or set one to null that it does not
            want.
    """

    callbacks: Mapping[str, Any]

    def __call__(self, nlp: Language) -> Language:
        """Call one after the other, in the order of the config."""
        for callback in self.callbacks.values():
            if callback is not None:
                # Those of `before_init` return nothing.
                nlp = callback(nlp) or nlp
        return nlp


@dataclass(kw_only=True, eq=False)
class DisableCudnnAttention(Engine):
    """Registered callback `spacy_xlt.ready_kernels.v1`, for `[initialize.before_init]`.

    Training on a GPU is faster without cuDNN's kernels for attention; see `spacy_xlt.device`.
    """

    def __call__(self, nlp: Language) -> Language:
        """Disable them for the whole process, which is the training's."""
        disable_cudnn_attention()
        return nlp


@dataclass(kw_only=True, eq=False)
class HeadSeed(Engine):
    """Registered callback `spacy_xlt.head_seed.v1`, for `[initialize.before_init]`: what is initialized at random has a
    seed of its own, and so has the sample of the corpus that gives the labels their order.

    Weights can be averaged over runs only where their new layers started from the same values (Schmidt et al. 2023,
    "Free Lunch"). `[training] seed` still decides the order of the data and the dropout: spaCy sets it once more
    before the first update.

    Args:
        seed: The seed, the same in all runs.

    Raises:
        XltError: E150 for an invalid seed.
    """

    seed: int = setting(0, ge=0, lt=2**32)

    def __call__(self, nlp: Language) -> Language:
        """Set the seed."""
        from thinc.api import fix_random_seed

        fix_random_seed(self.seed)
        return nlp


@dataclass(kw_only=True, eq=False)
class Calibrate(Engine):
    """Registered callback `spacy_xlt.calibrate.v1`, for `[training.before_to_disk]`.

    A checkpoint of `xlt_ner` is saved with the temperature that makes its probabilities right on the development set;
    see its method `calibrate`.
    """

    def __call__(self, nlp: Language) -> Language:
        """Calibrate the components that can be."""
        components = [pipe for _, pipe in nlp.pipeline if hasattr(pipe, "calibrate")]
        if components:
            config = nlp.config.interpolate()
            (corpus,) = resolve_dot_names(config, [config["training"]["dev_corpus"]])
            examples = list(corpus(nlp))
            for component in components:
                component.calibrate(examples)
        return nlp


def make_settle_optimizer() -> Callable[[Language], Language]:
    """Registered callback `spacy_xlt.settle_optimizer.v1`, for `[training.before_to_disk]`.

    `[training.optimizer]` of the pipeline that is saved has values in the place of references to other sections, which
    `nlp.resume_training` does not follow.
    """
    return settle_optimizer


def settle_optimizer(nlp: Language) -> Language:
    """Replace the references in `[training.optimizer]`."""
    nlp.config["training"]["optimizer"] = nlp.config.interpolate()["training"]["optimizer"]
    return nlp


@dataclass(kw_only=True, eq=False)
class FreezeEncoder(Engine):
    """Registered callback `spacy_xlt.freeze_encoder.v1`, for `[initialize.after_init]`.

    Weights of the encoder that are not trained cost no gradient and no optimizer step. The embeddings of a
    multilingual encoder are most of its weights, and a corpus in one language moves only that language's.

    Args:
        embeddings: Whether the embeddings stay as they are, with those of positions and types where the architecture
            keeps them together.
        layers: How many layers, from the bottom, stay as they are.
        component: Name of the component with the encoder, or names where several have one.

    Raises:
        XltError: E150 for an invalid setting; when called, E603 and E604 where the pipeline has no such component or
            layer.
    """

    embeddings: bool = True
    layers: int = setting(0, ge=0)
    component: str | list[str] = "transformer"

    def __call__(self, nlp: Language) -> Language:
        """Freeze the weights."""
        for name in [self.component] if isinstance(self.component, str) else self.component:
            self._freeze(model_of(nlp, name).transformer)
        return nlp

    def _freeze(self, encoder: Any) -> None:
        if self.embeddings:
            getattr(encoder, "embeddings", encoder.get_input_embeddings()).requires_grad_(False)
            # Of a text-to-text model, which has as many at its end
            if (output := encoder.get_output_embeddings()) is not None:
                output.requires_grad_(False)
        layers = encoder_layers(encoder)
        if self.layers > len(layers):
            raise error("E604", setting="layers", layers=self.layers, known=len(layers))
        for layer in layers[: self.layers]:
            layer.requires_grad_(False)


def model_of(nlp: Language, component: str) -> Any:
    """The thinc model of a component; E603 where the pipeline has no such component."""
    if component not in nlp.component_names:
        raise error("E603", component=component, known=", ".join(nlp.component_names) or "none")
    return nlp.get_pipe(component).model  # type: ignore[attr-defined]


def encoder_layers(encoder: Any) -> list[Any]:
    """The layers of a transformers.PreTrainedModel, from the bottom; none where they cannot be told from others."""
    from torch.nn import ModuleList

    expected = getattr(encoder.config, "num_hidden_layers", 0)
    for module in encoder.modules():
        if isinstance(module, ModuleList) and len(module) == expected:
            return list(module)
    return []


@dataclass(kw_only=True, eq=False)
class FusedOptimizer(Engine):
    """Registered callback `spacy_xlt.fused_optimizer.v1`, for `[initialize.before_init]`: one step of PyTorch for all
    weights of an encoder, not one of thinc for each.

    Raises:
        XltError: E603 when called, where the pipeline has no such component.
    """

    component: str = "transformer"

    def __call__(self, nlp: Language) -> Language:
        """Update the component's PyTorch modules by one step of PyTorch."""
        for node in model_of(nlp, self.component).walk():
            for shim in node.shims:
                # Of PyTorch: it has a module, and a scale of half precision.
                if hasattr(shim, "_grad_scaler"):
                    shim.finish_update = FusedStep(shim)
        return nlp


class FusedStep:
    """Updates the weights of one PyTorch module with the settings of a thinc optimizer.

    thinc updates one weight matrix after the other, each on one core, or on a GPU in a dozen small kernels. This is
    AdamW as PyTorch does it (https://pytorch.org/docs/stable/generated/torch.optim.AdamW.html, `fused`), with the
    learning rate, betas, eps, weight decay and clipping that the thinc optimizer has at that moment: what
    `[training.optimizer]` says stays true, and the weights come out as thinc's, up to rounding. As in thinc, each
    matrix's gradient is clipped alone.

    Args:
        shim: The PyTorchShim that connects thinc to the module.
    """

    def __init__(self, shim: Any):
        self.shim = shim
        # Of the class: the shim's own is this object.
        self.stock = type(shim).finish_update
        self._settings: Optimizer | None = None
        self._optimizer: Any = None
        self._updates = 0

    def __getstate__(self) -> dict[str, Any]:
        return {"shim": self.shim, "stock": self.stock, "_settings": None, "_optimizer": None, "_updates": 0}

    def __call__(self, optimizer: Optimizer) -> None:
        """In place of `shim.finish_update`. What PyTorch's AdamW cannot do (RAdam, averages) is left to thinc."""
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


def make_batched_pooling() -> Callable[[Language], Language]:
    """Registered callback `spacy_xlt.batched_pooling.v1`: does nothing, and goes in the next release."""
    return _removed("spacy_xlt.batched_pooling.v1")


def make_heads_on_cpu(components: list[str] | None = None) -> Callable[[Language], Language]:
    """Registered callback `spacy_xlt.heads_on_cpu.v1`: does nothing, and goes in the next release."""
    return _removed("spacy_xlt.heads_on_cpu.v1")


def _removed(name: str) -> Callable[[Language], Language]:
    text = f"The callback {name} does nothing any more and goes in the next release. Take it out of the config."
    warnings.warn(text, DeprecationWarning, stacklevel=3)
    return lambda nlp: nlp
