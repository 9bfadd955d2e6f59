"""Adapters in the layers of an encoder: where they go, and the weights of the encoder with them added."""

from __future__ import annotations

import copy
import sys
from collections.abc import Iterator, Sequence
from typing import Any

from ...errors import error
from ..freezing import encoder_layers
from .settings import PeftSettings

# The projections of the attention, as the architectures of transformers call them. Where one matrix makes all three,
# it stands in both lists.
_FUSED = frozenset({"in_proj", "c_attn", "query_key_value", "Wqkv", "qkv_proj"})
_VALUES = frozenset({"value", "value_proj", "v_proj", "v_lin", "v"}) | _FUSED
_QUERIES = frozenset({"query", "query_proj", "q_proj", "q_lin", "q"}) | _FUSED
_KEYS = frozenset({"key", "key_proj", "k_proj", "k_lin", "k"}) | _FUSED
# The second matrix of a feed-forward block, whose input IA3 scales. In BERT's family it is called as that of the
# attention's output is; what tells it apart is that it narrows.
_FEED_FORWARD = frozenset({"dense", "lin2", "fc2", "wo", "Wo", "c_proj", "ffn_output"})


def add_adapters(encoder: Any, settings: PeftSettings, *, name: str) -> None:
    """Put adapters into an encoder, in place, and freeze everything else.

    They are Hu et al.'s (2021, LoRA) and those of peft that can be merged as it can.

    encoder (transformers.PreTrainedModel): The encoder.
    settings (PeftSettings): The method, its size and where it goes.
    name (str): The encoder's name, for the errors.
    RAISES (XltError): E632 for a name that is no module, E633 where there is no default.
    """
    from peft import inject_adapter_in_model

    modules = _candidates(encoder, frozen=settings.freeze_layers)
    targets = _targets(encoder, modules, settings, name=name)
    inject_adapter_in_model(_peft_config(modules, targets, settings), encoder)


def _candidates(encoder: Any, *, frozen: int) -> dict[str, Any]:
    """The modules that an adapter can be put into, by name: linear ones, outside the layers that stay as they are."""
    from torch.nn import Linear
    from transformers.pytorch_utils import Conv1D

    stay = {id(module) for layer in encoder_layers(encoder)[:frozen] for module in layer.modules()}
    return {
        name: module
        for name, module in encoder.named_modules()
        if isinstance(module, (Linear, Conv1D)) and id(module) not in stay
    }


def _targets(encoder: Any, modules: dict[str, Any], settings: PeftSettings, *, name: str) -> list[str]:
    """Names of the modules that get an adapter."""
    if settings.target_modules is not None:
        unknown = [end for end in settings.target_modules if not any(_ends(module, end) for module in modules)]
        if unknown:
            raise error("E632", unknown=", ".join(unknown), encoder=name, known=_known(modules))
        return [module for module in modules if any(_ends(module, end) for end in settings.target_modules)]
    inside = {id(module) for layer in encoder_layers(encoder) for module in layer.modules()}
    if settings.method == "ia3":
        wanted = _KEYS | _VALUES
        found = [n for n, module in modules.items() if _leaf(n) in wanted or _narrows(n, module)]
    else:
        wanted = _QUERIES | _VALUES
        found = [n for n in modules if _leaf(n) in wanted] or [n for n, m in modules.items() if id(m) in inside]
    if not found:
        raise error("E633", method=settings.method, encoder=name, known=_known(modules))
    return found


def _peft_config(modules: dict[str, Any], targets: Sequence[str], settings: PeftSettings) -> Any:
    import peft

    where: dict[str, Any] = {"target_modules": list(targets)}
    if settings.method == "ia3":
        scaled = [name for name in targets if _narrows(name, modules[name])]
        return peft.IA3Config(**where, feedforward_modules=scaled)
    size: dict[str, Any] = {"r": settings.rank}
    if settings.method in ("lora", "dora"):
        size |= {"lora_alpha": settings.scale, "lora_dropout": settings.dropout}
        return peft.LoraConfig(**where, **size, use_dora=settings.method == "dora")
    size |= {"alpha": settings.scale, "module_dropout": settings.dropout}
    return (peft.LoHaConfig if settings.method == "loha" else peft.LoKrConfig)(**where, **size)


def merged_state(encoder: Any) -> dict[str, Any]:
    """The encoder's weights with its adapters added, under the names they have without adapters.

    The encoder is not changed: adding and subtracting would leave rounding errors in what is trained on.

    encoder (transformers.PreTrainedModel): The encoder.
    RETURNS (dict[str, torch.Tensor]): What `state_dict` of the plain encoder would be.
    """
    layers = dict(_adapter_layers(encoder))
    prefixes = tuple(f"{name}." for name in layers)
    state = {key: value for key, value in encoder.state_dict().items() if not key.startswith(prefixes)}
    for name, layer in layers.items():
        # One at a time: the copy is what takes memory.
        merged = copy.deepcopy(layer)
        merged.merge()
        state |= {f"{name}.{key}": value for key, value in merged.get_base_layer().state_dict().items()}
    return state


def _adapter_layers(encoder: Any) -> Iterator[tuple[str, Any]]:
    # Not imported, so none was put in.
    if "peft" not in sys.modules:
        return
    from peft.tuners.tuners_utils import BaseTunerLayer

    for name, module in encoder.named_modules():
        if isinstance(module, BaseTunerLayer):
            yield name, module


def _narrows(name: str, module: Any) -> bool:
    """Whether a module is the second matrix of a feed-forward block."""
    n_out, n_in = module.weight.shape
    if not hasattr(module, "in_features"):
        # Conv1D keeps its weights the other way round.
        n_out, n_in = n_in, n_out
    return _leaf(name) in _FEED_FORWARD and n_in > n_out


def _leaf(name: str) -> str:
    return name.rpartition(".")[2]


def _ends(name: str, end: str) -> bool:
    return name == end or name.endswith(f".{end}")


def _known(modules: dict[str, Any]) -> str:
    return ", ".join(sorted({_leaf(name) for name in modules})) or "none"
