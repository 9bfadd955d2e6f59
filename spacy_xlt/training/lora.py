"""`spacy_xlt.PeftTransformerModel.v1`: an encoder trained by LoRA, in half precision or with gradient checkpointing.

It is saved as an ordinary transformer by `spacy_xlt.merge_lora.v1`. Imports torch.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, cast

import torch
from spacy.language import Language
from spacy.util import load_model_from_config
from spacy_transformers.data_classes import HFObjects
from spacy_transformers.layers.hf_shim import HFShim
from spacy_transformers.layers.transformer_model import (
    TransformerModel,
    _convert_transformer_outputs,
    init,
    set_pytorch_transformer,
)
from thinc.api import Config, Model, get_torch_default_device

from ..device import refuse_model_code
from ..engine import check_settings, setting
from ..errors import XltError, error, missing_package, warn
from ..hub import located

ARCHITECTURE = "spacy_xlt.PeftTransformerModel.v1"
PLAIN_ARCHITECTURE = "spacy-transformers.TransformerModel.v3"
_KEPT = ("name", "get_spans", "tokenizer_config", "transformer_config", "mixed_precision", "grad_scaler_config")


@dataclass(kw_only=True)
class LoraSettings:
    """How an encoder is trained; see make_peft_transformer."""

    peft: str | None = setting(None, choices=("lora",))
    rank: int = setting(8, ge=1)
    alpha: float | None = setting(None, gt=0)
    dropout: float = setting(0.0, ge=0, lt=1)
    target_modules: Sequence[str] | None = None
    gradient_checkpointing: bool = False
    mixed_precision: bool | str = setting(True, choices=(True, False, "float16", "bfloat16"))

    def __post_init__(self) -> None:
        check_settings(self)
        if self.peft is not None and find_spec("peft") is None:
            raise missing_package(f"`peft` = {self.peft!r}", "peft", "peft", otherwise=", or set `peft` to null")


def make_peft_transformer(
    name: str | Path,
    get_spans: Callable,
    tokenizer_config: dict[str, Any] = {},  # noqa: B006 - read only; spaCy shows it in configs
    transformer_config: dict[str, Any] = {},  # noqa: B006
    mixed_precision: bool | str = True,
    grad_scaler_config: dict[str, Any] = {},  # noqa: B006
    peft: str | None = None,
    rank: int = 8,
    alpha: float | None = None,
    dropout: float = 0.0,
    target_modules: list[str] | None = None,
    gradient_checkpointing: bool = False,
) -> Model:
    """Registered architecture `spacy_xlt.PeftTransformerModel.v1`, for the factory `transformer`.

    With its defaults it is `spacy-transformers.TransformerModel.v3` with half precision on a GPU. A training that has
    it needs `spacy_xlt.merge_lora.v1` in `[training.before_to_disk]`: then what is saved is a TransformerModel.v3, and
    the pipeline needs neither spacy_xlt nor peft.

    Args:
        name: As in TransformerModel.v3, as are `get_spans` and the three configs.
        get_spans: Makes the windows of a document.
        tokenizer_config: Settings of the tokenizer.
        transformer_config: Settings of the encoder; {"num_hidden_layers": 6} uses its six lowest layers.
        mixed_precision: True for float16 on a GPU and float32 on a CPU, as in TransformerModel.v3. "bfloat16" on a GPU
            needs no scaling of gradients, and on a CPU that has instructions for it saves time. The saved pipeline
            predicts in half precision where this one does: trained on a GPU, and not in bfloat16.
        grad_scaler_config: Settings of the scaling of gradients.
        peft: "lora" to train small matrices beside the encoder's own weights (Hu et al. 2021, "LoRA"), which stay as
            they are; null to train those. Needs the extra `peft`.
        rank: Rank of the trained matrices.
        alpha: The trained matrices are multiplied with alpha / rank. Null for twice the rank.
        dropout: Share of their inputs that are dropped in training.
        target_modules: Modules that get trained matrices, by the ends of their names ("query",
            "attention.output.dense"). Null for those that peft has for the architecture, else all linear ones.
        gradient_checkpointing: Whether to keep only what is between layers and compute the inside of each again: less
            memory, more time.

    Returns:
        The model, `list[Doc]` → `FullTransformerBatch`. The encoder is loaded when it is initialized.

    Raises:
        XltError: E150 for an invalid setting, E106 where peft is missing. When initialized, E630, E632, E303 and E635
            for an encoder that is not there or does not have what is asked of it.
    """
    settings = LoraSettings(
        peft=peft,
        rank=rank,
        alpha=alpha,
        dropout=dropout,
        target_modules=target_modules,
        gradient_checkpointing=gradient_checkpointing,
        mixed_precision=mixed_precision,
    )
    model = TransformerModel(str(name), get_spans, dict(tokenizer_config), dict(transformer_config))
    wrapper = model.layers[0]
    hf_model = cast(HFShim, wrapper.shims[0])._hfmodel
    wrapper.shims[0] = LoraShim(settings, hf_model, name=str(name), scaling=grad_scaler_config)
    wrapper.attrs["convert_outputs"] = _convert_outputs
    model.init = _initialize
    model.attrs["set_transformer"] = _set_transformer
    return model


class LoraShim(HFShim):
    """Trains an encoder with LoRA; what it writes is the encoder without, its weights merged."""

    def __init__(self, settings: LoraSettings, hf_model: HFObjects, *, name: str, scaling: Mapping[str, Any]):
        self.settings = settings
        self.name = name
        self.tuner: Any = None
        self.autocast = autocast_dtype(settings.mixed_precision, device=get_torch_default_device().type)
        # Only float16 needs its gradients scaled. And what is saved predicts in no other half precision, so that this
        # predicts in no other, either: the scores that choose a checkpoint are those of the saved pipeline.
        self._predicts_in_half = self.autocast == torch.float16
        scaling = {"enabled": self._predicts_in_half, **scaling}
        super().__init__(hf_model, mixed_precision=self._predicts_in_half, grad_scaler_config=scaling)

    def prepare(self, encoder: Any) -> None:
        """Put trained matrices into an encoder, in place, and freeze everything else.

        Raises:
            XltError: E632 for modules that the encoder does not have, E635 for what it cannot do.
        """
        if self.settings.gradient_checkpointing:
            try:
                # The other way needs inputs with gradients, which frozen embeddings do not give.
                encoder.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
            except (ValueError, NotImplementedError) as err:
                values = {"value": True, "architecture": type(encoder).__name__, "reason": err}
                raise error("E635", encoder=self.name, setting="gradient_checkpointing", **values) from err
        if self.settings.peft is not None:
            self._add_lora(encoder)

    def _add_lora(self, encoder: Any) -> None:
        from peft import LoraConfig
        from peft.tuners.lora import LoraModel
        from peft.utils.constants import TRANSFORMERS_MODELS_TO_LORA_TARGET_MODULES_MAPPING as DEFAULTS

        settings = self.settings
        targets: Any = settings.target_modules or DEFAULTS.get(encoder.config.model_type, "all-linear")
        names = {name for name, module in encoder.named_modules() if isinstance(module, torch.nn.Linear)}
        unknown = [
            end for end in settings.target_modules or () if not any(f".{name}".endswith(f".{end}") for name in names)
        ]
        if unknown:
            known = ", ".join(sorted({name.rpartition(".")[2] for name in names}))
            raise error("E632", unknown=", ".join(unknown), encoder=self.name, known=known)
        alpha: Any = 2 * settings.rank if settings.alpha is None else settings.alpha
        config = LoraConfig(r=settings.rank, lora_alpha=alpha, lora_dropout=settings.dropout, target_modules=targets)
        self.tuner = LoraModel(encoder, config, "default")

    def begin_update(self, inputs: Any) -> tuple[Any, Callable[[Any], Any]]:
        """Run the encoder in training; the callback computes the gradients of what is trained."""
        with self._half_precision():
            return super().begin_update(inputs)

    @contextmanager
    def _half_precision(self) -> Iterator[None]:
        if self.autocast is None:
            yield
            return
        device = self.device.type
        # For PyTorchShim, which asks for half precision on a GPU alone, in the type that is set around it.
        self._mixed_precision = device == "cuda"
        try:
            with torch.autocast(device_type=device, dtype=self.autocast):
                yield
        finally:
            self._mixed_precision = self._predicts_in_half

    def to_bytes(self) -> bytes:
        """Write the plain encoder, with what was trained added to a copy of its weights."""
        if self.tuner is None:
            return super().to_bytes()
        hf_model = self._hfmodel
        merged = copy.deepcopy(self.tuner).merge_and_unload()
        return HFShim(HFObjects(hf_model.tokenizer, merged, hf_model.vocab_file_contents)).to_bytes()

    def from_bytes(self, bytes_data: bytes) -> LoraShim:
        """Read a plain encoder and prepare it to be trained further, with new matrices."""
        super().from_bytes(bytes_data)
        if self._hfmodel.transformer is not None:
            self.prepare(self._hfmodel.transformer)
        return self


def _initialize(model: TransformerModel, X: Any = None, Y: Any = None) -> None:
    """Load the encoder; E303 where that fails."""
    if model.attrs["has_transformer"]:
        return
    try:
        refuse_model_code(located(model.attrs["name"], "E303", setting="name"))
        init(model, X=X, Y=Y)
    except XltError:
        raise
    except (OSError, ValueError) as err:
        raise error("E303", model=model.attrs["name"], setting="name", reason=" ".join(str(err).split())[:300]) from err


def _set_transformer(model: TransformerModel, hf_model: HFObjects) -> None:
    """Take over a loaded encoder and prepare it for training."""
    if not hf_model.tokenizer.is_fast:
        values = {"encoder": model.attrs["name"], "found": type(hf_model.tokenizer).__name__}
        raise error("E630", setting="name", **values)
    cast(LoraShim, model.layers[0].shims[0]).prepare(hf_model.transformer)
    set_pytorch_transformer(model, hf_model)


def _convert_outputs(model: Any, inputs_outputs: Any, is_train: bool) -> Any:
    """As spacy-transformers, with everything in the type that numpy and thinc know."""
    inputs, outputs = inputs_outputs
    single = type(outputs)(**{name: _to_float32(value) for name, value in outputs.items()})
    return _convert_transformer_outputs(model, (inputs, single), is_train)


def _to_float32(value: Any) -> Any:
    if isinstance(value, (tuple, list)):
        return tuple(_to_float32(item) for item in value)
    return value.float() if value is not None and value.is_floating_point() else value


def autocast_dtype(mixed_precision: bool | str, *, device: str) -> torch.dtype | None:
    """The type that matrix products are computed in; weights stay float32.

    Args:
        mixed_precision: True for float16 on a GPU and nothing elsewhere; "float16" and "bfloat16" by name, the latter
            on a CPU, too, where it has instructions for it.
        device: Type of the device, such as "cuda" or "cpu".

    Returns:
        None for float32, with a warning (W620) where a named type cannot be had.
    """
    if not mixed_precision:
        return None
    if device == "cuda" and mixed_precision in (True, "float16"):
        return torch.float16
    if mixed_precision == "bfloat16" and (torch.cuda.is_bf16_supported() if device == "cuda" else _cpu_has_bfloat16()):
        return torch.bfloat16
    if mixed_precision is not True:
        warn("W620", value=mixed_precision, device="GPU" if device == "cuda" else "CPU")
    return None


def _cpu_has_bfloat16() -> bool:
    """Whether the CPU multiplies bfloat16 by itself; without, it is far slower than float32."""
    # torch 2.10 and later say what the CPU has.
    capabilities = getattr(torch.cpu, "get_capabilities", None)
    if capabilities is not None:
        return any(has and "bf16" in name for name, has in capabilities().items())
    asked = (getattr(torch.cpu, name, None) for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"))
    return any(ask is not None and ask() for ask in asked)


def make_merge_lora() -> Callable[[Language], Language]:
    """Registered callback `spacy_xlt.merge_lora.v1`, for `[training.before_to_disk]`. See merge_lora."""
    return merge_lora


def merge_lora(nlp: Language) -> Language:
    """A pipeline to save, with the same weights and without PeftTransformerModel: it needs spacy-transformers alone.

    The pipeline itself is not changed, and returned as it is where it has no such model.
    """
    config = plain_config(nlp.config)
    if config == nlp.config:
        return nlp
    plain = load_model_from_config(config, meta=nlp.meta, vocab=nlp.vocab)
    exclude = ["vocab", "config"]
    return plain.from_bytes(nlp.to_bytes(exclude=exclude), exclude=exclude)


def plain_config(config: Config) -> Config:
    """A copy of a config with `spacy-transformers.TransformerModel.v3` in the place of PeftTransformerModel."""
    plain = config.copy()
    for component in plain.get("components", {}).values():
        model = component.get("model")
        if isinstance(model, dict) and model.get("@architectures") == ARCHITECTURE:
            kept = {key: model[key] for key in _KEPT if key in model}
            kept["mixed_precision"] = _predicts_in_half(model)
            component["model"] = {"@architectures": PLAIN_ARCHITECTURE, **kept}
    return plain


def _predicts_in_half(model: Mapping[str, Any]) -> bool:
    """Whether the saved pipeline uses half precision, which is float16 there: not where training was in bfloat16, for
    which float16 may be too small, nor on a CPU, where it would warn at every batch."""
    return model.get("mixed_precision", True) in (True, "float16") and get_torch_default_device().type == "cuda"
