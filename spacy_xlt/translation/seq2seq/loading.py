"""Load a sequence-to-sequence model with its tokenizer and the languages it knows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ...device import first_line, quiet
from ...errors import XltError, error
from .codes import END, FAMILIES, LanguageCodes, Tags, detect_family, marian_pair
from .text import Side, sides

ENGINE = "Seq2SeqTranslator"
# In 16-bit floats with few bits for the exponent T5's sums grow beyond what they hold
_NEEDS_RANGE = {"t5", "mt5", "umt5", "longt5", "switch_transformers"}
_UNBOUNDED = 1 << 20


@dataclass(frozen=True)
class Markers:
    """What a direction adds, as ids.

    before, after (list[int]): Around the pieces of the source.
    start (int): What the decoder starts with.
    first (list[int]): What a translation begins with before its text.
    """

    before: list[int]
    after: list[int]
    start: int
    first: list[int]


@dataclass(frozen=True)
class Loaded:
    """A model ready to run.

    model: A transformers model with an encoder and a decoder, in evaluation mode, on its device.
    source, target (Side): Its tokenizer.
    codes (LanguageCodes): Its languages.
    ends (tuple[int, ...]): Its end marks; the first one is the one that is written to a given target.
    banned (tuple[int, ...]): Pieces that it must not write.
    pad (int): Its padding.
    limit (int): The most pieces of either side.
    length_penalty (float): As in the model's settings for generation.
    """

    model: Any
    tokenizer: Any
    source: Side
    target: Side
    codes: LanguageCodes
    ends: tuple[int, ...]
    banned: tuple[int, ...]
    pad: int
    limit: int
    length_penalty: float

    def markers(self, source: str, target: str) -> Markers:
        """What the direction adds to a text.

        RAISES (XltError): E201 for a direction that the model does not know.
        """
        tags = self.codes.tags(source, target)
        before = self._ids(tags.before)
        if tags.text_before:
            before += self.tokenizer(tags.text_before.strip(), add_special_tokens=False).input_ids
        return Markers(before, self._ids(tags.after), self._start(tags), self._first(tags))

    def _ids(self, tokens: Sequence[str]) -> list[int]:
        return [self.ends[0] if t == END else int(self.tokenizer.convert_tokens_to_ids(t)) for t in tokens]

    def _start(self, tags: Tags) -> int:
        if tags.start is not None:
            return int(self.tokenizer.convert_tokens_to_ids(tags.start))
        return int(_setting(self.model, "decoder_start_token_id", self.pad))

    def _first(self, tags: Tags) -> list[int]:
        forced = _setting(self.model, "forced_bos_token_id", None)
        if self.codes.family == "prefix" and forced is not None:
            return [int(forced)]
        return self._ids(tags.first)


def load(
    name: str,
    *,
    family: str | None,
    prefix: str | None,
    directions: Sequence[Sequence[str]] | None,
    precision: str,
    device: Any,
) -> Loaded:
    """Load a model, from safetensors or else as weights only, and never run code that comes with it.

    name (str): A folder, or a name on the Hugging Face hub.
    family, prefix, directions, precision: As the engine's settings.
    device (torch.device): Where the model will be.
    RAISES (XltError): E221 where it cannot be loaded whole, E222 for an unknown family, and as `LanguageCodes`.
    """
    import torch
    from transformers import AutoConfig
    from transformers.models.auto.tokenization_auto import get_tokenizer_config

    try:
        with quiet():
            config = AutoConfig.from_pretrained(name, trust_remote_code=False)
            if not config.is_encoder_decoder:
                raise error("E221", engine=ENGINE, model=name, reason="it has no decoder beside an encoder")
            settings = get_tokenizer_config(name)
            tokenizer = load_tokenizer(name, config, settings)
            dtype = getattr(torch, dtype_name(precision, config.model_type, device))
            model = load_weights(name, config, dtype)
    except XltError:
        raise
    # Each library below names a broken folder in its own way: OSError, ValueError, SafetensorError, KeyError …
    except Exception as err:
        raise error("E221", engine=ENGINE, model=name, reason=first_line(err)) from err
    codes = find_codes(
        name,
        config,
        settings,
        tokenizer,
        n_pieces=int(model.get_input_embeddings().num_embeddings),
        family=family,
        prefix=prefix,
        directions=directions,
    )
    source, target = sides(tokenizer)
    ends = _setting(model, "eos_token_id", tokenizer.eos_token_id)
    return Loaded(
        model.to(device).eval(),
        tokenizer,
        source,
        target,
        codes,
        tuple(ends) if isinstance(ends, (list, tuple)) else (int(ends),),
        tuple(sorted(_banned(model))),
        int(_setting(model, "pad_token_id", tokenizer.pad_token_id or 0)),
        _limit(config),
        float(_setting(model, "length_penalty", 1.0)),
    )


def find_codes(
    name: str,
    config: Any,
    settings: dict[str, Any],
    tokenizer: Any,
    *,
    n_pieces: int,
    family: str | None,
    prefix: str | None,
    directions: Sequence[Sequence[str]] | None,
    engine: str = ENGINE,
) -> LanguageCodes:
    """The languages of a model, from its files.

    config (PretrainedConfig), settings (dict): The model's settings and its tokenizer's.
    n_pieces (int): How many pieces the model has embeddings for.
    family, prefix, directions: As the engine's settings.
    engine (str): Named in errors.
    RAISES (XltError): E222 for an unknown family, and as `LanguageCodes`.
    """
    vocabulary = {**tokenizer.get_vocab(), **getattr(tokenizer, "lang_token_to_id", {})}
    tokens = [token for token, i in vocabulary.items() if i < n_pieces]
    family = family or detect_family(config.to_dict(), settings, name=name, vocabulary=tokens)
    if family is None:
        known = ", ".join(FAMILIES)
        raise error("E222", engine=engine, model=name, model_type=config.model_type, known=known)
    return LanguageCodes(
        family,
        tokens,
        engine=engine,
        model=name,
        pair=marian_pair(settings, name=name) if family == "marian" else (None, None),
        prefix=prefix,
        directions=directions,
        tasks=getattr(config, "task_specific_params", None),
        legacy=bool(getattr(tokenizer, "legacy_behaviour", False)),
    )


def dtype_name(precision: str, model_type: str, device: Any) -> str:
    """The type of floats to compute in: what `precision` says, or for "auto" half precision on a GPU."""
    import torch

    if precision != "auto":
        return precision
    if device.type != "cuda":
        return "float32"
    if model_type not in _NEEDS_RANGE:
        return "float16"
    return "bfloat16" if torch.cuda.is_bf16_supported() else "float32"


def load_tokenizer(name: str, config: Any, settings: dict[str, Any]) -> Any:
    """The tokenizer of a model, without running code that comes with it."""
    from transformers import AutoTokenizer, M2M100Tokenizer

    if detect_family(config.to_dict(), settings, name=name) == "small100":
        # Its own class is code that comes with the model; M2M100's cuts text in the same way
        return M2M100Tokenizer.from_pretrained(name)
    try:
        return AutoTokenizer.from_pretrained(name, trust_remote_code=False)
    except (ValueError, ImportError):
        # Making a fast tokenizer from a SentencePiece file needs one more package
        return AutoTokenizer.from_pretrained(name, trust_remote_code=False, use_fast=False)


def load_weights(name: str, config: Any, dtype: Any) -> Any:
    """The model itself, on the CPU.

    RAISES (XltError): E221 where weights are missing; whatever transformers raises for a broken file.
    """
    from transformers import AutoModelForSeq2SeqLM

    model, info = AutoModelForSeq2SeqLM.from_pretrained(
        name,
        config=config,
        torch_dtype=dtype,
        trust_remote_code=False,
        weights_only=True,
        output_loading_info=True,
    )
    if info["missing_keys"]:
        missing = ", ".join(sorted(info["missing_keys"])[:3])
        raise error("E221", engine=ENGINE, model=name, reason=f"it lacks the weights {missing}")
    return model


def _setting(model: Any, name: str, default: Any) -> Any:
    """What the model's settings for generation say, or its config."""
    for settings in (getattr(model, "generation_config", None), model.config):
        value = getattr(settings, name, None)
        if value is not None:
            return value
    return default


def _banned(model: Any) -> set[int]:
    single = {words[0] for words in _setting(model, "bad_words_ids", []) if len(words) == 1}
    return single | set(_setting(model, "suppress_tokens", []))


def _limit(config: Any) -> int:
    """The most pieces of either side: T5's places are relative, and M2M100 makes as many as it needs."""
    if config.model_type in _NEEDS_RANGE or config.model_type in {"m2m_100", "nllb-moe"}:
        return _UNBOUNDED
    return int(getattr(config, "max_position_embeddings", None) or _UNBOUNDED)
