"""Loading a pretrained encoder up to the layer that is needed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..bundled import PREFIX
from ..device import first_line, quiet
from ..errors import XltError, error
from ..hub import located

# The position limit of a model that states none, and the most that one window has of any model, in pieces.
_DEFAULT_WINDOW, _LONGEST_WINDOW = 512, 1024
# Here a layer's output is already normalised, so the layers above it can be left out. Elsewhere a model puts one more
# normalisation behind its last layer, and one layer more is kept to get the output before it.
_POST_NORM = {"bert", "camembert", "distilbert", "electra", "mpnet", "roberta", "xlm-roberta"}


def load(model: str, layer: int) -> tuple[Any, Any]:
    """Load an encoder without the layers above the one needed.

    Args:
        model: A model folder, a Hugging Face name, or "bundled:NAME". Of an encoder-decoder, the encoder.
        layer: The layer needed; its output is `hidden_states[layer]`, as in the whole model.

    Returns:
        A transformers model in evaluation mode, on the CPU, and its tokenizer.

    Raises:
        XltError: E302 where there is no such layer, E303 where the model cannot be loaded, 7xx for a bundled one.
    """
    return _load_bundled(model, layer) if model.startswith(PREFIX) else _load_pretrained(model, layer)


def _check_layer(model: str, layer: int, known: int) -> None:
    if not 0 <= layer <= known:
        raise error("E302", model=model, layer=layer, known=known)


def _load_bundled(model: str, layer: int) -> tuple[Any, Any]:
    from ..bundled import encoder

    name = model[len(PREFIX) :]
    _check_layer(model, layer, encoder.count_layers(name))
    return encoder.load(name, layers=max(1, layer))


def count_layers(model: str) -> int:
    """The layers of an encoder, without reading its weights; of an encoder-decoder, those of the encoder.

    Raises:
        XltError: E303 where it cannot be loaded, 7xx for a bundled one.
    """
    if model.startswith(PREFIX):
        from ..bundled import encoder

        return encoder.count_layers(model[len(PREFIX) :])
    from transformers import AutoConfig

    place = located(model, "E303", setting="model")
    try:
        with quiet():
            return _count_layers(AutoConfig.from_pretrained(place, trust_remote_code=False))
    # As in `_load_pretrained`
    except Exception as err:
        raise error("E303", model=model, setting="model", reason=first_line(err)) from err


def _load_pretrained(name: str, layer: int) -> tuple[Any, Any]:
    from transformers import AutoConfig, AutoModel, AutoTokenizer

    place = located(name, "E303", setting="model")
    try:
        with quiet():
            config = AutoConfig.from_pretrained(place, trust_remote_code=False)
            _check_layer(name, layer, _count_layers(config))
            _keep_layers(config, layer)
            model, info = AutoModel.from_pretrained(
                place, config=config, output_loading_info=True, trust_remote_code=False
            )
            tokenizer = AutoTokenizer.from_pretrained(place, trust_remote_code=False)
    except XltError:
        raise
    # A tokenizer without its files opens None
    except TypeError as err:
        reason = f"it has no tokenizer, or one that lacks files ({first_line(err)})"
        raise error("E303", model=name, setting="model", reason=reason) from err
    # Each library below names a broken folder in its own way: OSError, ValueError, SafetensorError, KeyError …
    except Exception as err:
        raise error("E303", model=name, setting="model", reason=first_line(err)) from err
    unused = ("pooler", "decoder.") if config.is_encoder_decoder else ("pooler",)
    missing = [key for key in info["missing_keys"] if not any(part in key for part in unused)]
    if missing:
        raise error("E303", model=name, setting="model", reason=f"it lacks the weights {', '.join(missing[:3])}")
    _separate_words(tokenizer)
    encoder = model.get_encoder() if config.is_encoder_decoder else model
    return encoder.eval(), tokenizer


def _count_layers(config: Any) -> int:
    if config.is_encoder_decoder and hasattr(config, "encoder_layers"):
        return int(config.encoder_layers)
    return int(config.num_hidden_layers)


def _keep_layers(config: Any, layer: int) -> None:
    """Leave the layers above the one wanted out of the model, and with it their weights unread."""
    keep = max(1, min(_count_layers(config), layer if config.model_type in _POST_NORM else layer + 1))
    config.num_hidden_layers = keep
    if not config.is_encoder_decoder:
        return
    for setting, value in (("encoder_layers", keep), ("decoder_layers", 1), ("num_decoder_layers", 1)):
        if hasattr(config, setting):
            setattr(config, setting, value)


def _separate_words(tokenizer: Any) -> None:
    """Have byte-level tokenizers (RoBERTa) treat each word as if a space were before it."""
    if tokenizer.is_fast:
        pre_tokenizer = tokenizer.backend_tokenizer.pre_tokenizer
        if getattr(pre_tokenizer, "add_prefix_space", True) is False:
            pre_tokenizer.add_prefix_space = True


def special_pieces(tokenizer: Any) -> tuple[list[int], list[int]]:
    """The ids that the tokenizer puts before and behind a text."""
    if tokenizer.is_fast:
        encoding = tokenizer.backend_tokenizer.encode("a")
        ids, special = encoding.ids, encoding.special_tokens_mask
    else:
        encoded = tokenizer("a", return_special_tokens_mask=True)
        ids, special = encoded["input_ids"], encoded["special_tokens_mask"]
    inner = [i for i, flag in enumerate(special) if not flag]
    return ids[: inner[0]], ids[inner[-1] + 1 :]


def position_limit(model: Any, tokenizer: Any) -> int:
    """The most pieces that the model reads at once, special ones included."""
    limit = getattr(model.config, "max_position_embeddings", None) or _DEFAULT_WINDOW
    for name, module in model.named_modules():
        if not name.endswith("position_embeddings"):
            continue
        limit = min(limit, getattr(module, "num_embeddings", limit))
        # RoBERTa's positions start behind the index of the padding
        if getattr(module, "padding_idx", None) is not None:
            limit -= int(module.padding_idx) + 1
    return int(min(limit, tokenizer.model_max_length, _LONGEST_WINDOW))


def probe(model: Any, ids: Sequence[int], layer: int, *, name: str) -> int:
    """The length of a model's vectors, from running it once on nothing but special pieces.

    Raises:
        XltError: E341 where it cannot be run or does not have a vector of each piece from this layer.
    """
    import torch

    text = torch.tensor([(list(ids) * 8)[:8]])
    try:
        with torch.inference_mode():
            output = model(
                input_ids=text, attention_mask=torch.ones_like(text), output_hidden_states=True, return_dict=True
            )
    # The models of transformers fail in as many ways as there are kinds of input that they want instead
    except Exception as err:
        raise error("E341", model=name, reason=first_line(err)) from err
    hidden = getattr(output, "hidden_states", None) or ()
    by_pieces = hasattr(model.config, "vocab_size") and len(hidden) > layer
    if not by_pieces or hidden[layer].shape[:2] != text.shape:
        reason = f"it is a {type(model).__name__}, which gives none for each piece from layer {layer}"
        raise error("E341", model=name, reason=reason)
    return int(hidden[layer].shape[-1])
