"""What the engines of Hugging Face's translation models share: settings, tokenizer, languages, loading."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any, ClassVar

from ..engine import invalid_setting, setting
from ..errors import error
from ..hub import full_name, name_in_signature
from .language_codes import FAMILIES, T5_TYPES, LanguageCodes, detect_family, marian_pair
from .neural import NeuralTranslator
from .subwords import TokenizerCodec

_UNBOUNDED = 1 << 20
_A_MODEL = (
    "the name or folder of a model: none is taken unasked, as each has a licence of its own. 'opus:en-de' is OPUS-MT "
    "for a pair of languages (its page has the licence), 'nllb:600M' knows 200 (CC BY-NC 4.0: not for commercial use)"
)


@dataclass(frozen=True)
class Marks:
    """What a direction adds to a text in pieces, besides the end mark behind it.

    Attributes:
        before: Ids before the pieces of the source.
        first: What a translation begins with before its text; None for nothing.
    """

    before: list[int]
    first: int | None


@dataclass(frozen=True)
class ModelText:
    """How the texts of a model are written: its PretrainedConfig, tokenizer, languages, and a codec for each side."""

    config: Any
    tokenizer: Any
    codes: LanguageCodes
    source: TokenizerCodec
    target: TokenizerCodec

    @property
    def longest(self) -> int:
        """The most pieces of either side, marks counted, that the model was made for: T5's places are relative."""
        if self.config.model_type in T5_TYPES:
            return _UNBOUNDED
        return int(getattr(self.config, "max_position_embeddings", None) or _UNBOUNDED)

    def marks(self, source: str, target: str) -> Marks:
        """What the direction adds to a text.

        Raises:
            XltError: E201 for a direction that the model does not know.
        """
        tags = self.codes.tags(source, target)
        before = [] if tags.before is None else [int(self.tokenizer.convert_tokens_to_ids(tags.before))]
        if tags.text_before:
            before += self.tokenizer(tags.text_before.strip(), add_special_tokens=False).input_ids
        return Marks(before, None if tags.first is None else int(self.tokenizer.convert_tokens_to_ids(tags.first)))

    def room(self, marks: Marks) -> int:
        """The most pieces of a text itself on either side: its marks, the start and the end mark take places, too."""
        return max(2, self.longest - len(marks.before) - 3)


@dataclass(kw_only=True, eq=False)
class HuggingFaceTranslator(NeuralTranslator):
    """Base class of engines for NLLB-200, M2M100, MADLAD-400, mBART-50, Marian (OPUS-MT) and T5.

    Args:
        model: A Hugging Face name or folder, or a short name such as "opus:en-de" or "nllb:600M". It has to be named,
            as some may not be used commercially. No code that comes with a model is ever run.
        family: How the model is told the languages: "nllb", "m2m100", "madlad", "mbart50", "marian" or "prefix"; found
            out from the model's files where left out.
        prefix: The words before a text for models of the family "prefix", for example
            "translate {source} to {target}: "; `{source_code}` and `{target_code}` stand for spaCy's codes. T5's own
            are known.
        directions: The pairs of languages to allow, for models that do not say which they know.
        beam_size: 1 for greedy search.
    """

    # The package that runs the model: what comes out may change with its version
    runtime: ClassVar[str] = "transformers"

    model: str = ""
    family: str | None = setting(None, choices=FAMILIES)
    prefix: str | None = None
    directions: list[list[str]] | None = None
    beam_size: int = setting(4, ge=1)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.model.strip():
            raise invalid_setting(type(self).__name__, "model", self.model, _A_MODEL)
        self.model = full_name(self.model)
        if self.directions is not None and not all(len(pair) == 2 for pair in self.directions):
            raise invalid_setting(type(self).__name__, "directions", self.directions, "pairs such as ['en', 'pt']")

    def details(self) -> dict[str, Any]:
        """The name of a folder alone, and the version of what runs the model."""
        try:
            runtime = version(self.runtime)
        except PackageNotFoundError:
            runtime = "none"
        return {"model": name_in_signature(self.model), self.runtime: runtime}

    def model_text(self, name: str, files: tuple[Any, dict[str, Any], Any], *, n_pieces: int) -> ModelText:
        """How a model's texts are written.

        Args:
            name: The model's name, which may tell its family and languages.
            files: As `read_files` gives them.
            n_pieces: How many pieces the model has embeddings for.

        Raises:
            XltError: E222 for an unknown family, and as `LanguageCodes`.
        """
        config, settings, tokenizer = files
        vocabulary = {**tokenizer.get_vocab(), **getattr(tokenizer, "lang_token_to_id", {})}
        tokens = [token for token, i in vocabulary.items() if i < n_pieces]
        engine = type(self).__name__
        family = self.family or detect_family(config.to_dict(), settings, name=name, vocabulary=tokens)
        if family is None:
            known = ", ".join(FAMILIES)
            raise error("E222", engine=engine, model=name, model_type=config.model_type, known=known)
        codes = LanguageCodes(
            family,
            tokens,
            engine=engine,
            model=name,
            pair=marian_pair(settings, name=name) if family == "marian" else (None, None),
            prefix=self.prefix,
            directions=self.directions,
            tasks=getattr(config, "task_specific_params", None),
        )
        return ModelText(config, tokenizer, codes, *TokenizerCodec.both_sides(tokenizer))


def read_files(name: str) -> tuple[Any, dict[str, Any], Any]:
    """A model's settings, its tokenizer's settings, and the tokenizer, without running code that comes with it.

    Raises:
        Exception: Whatever transformers raises for a broken file; see `device.loading`.
    """
    from transformers import AutoConfig, AutoTokenizer
    from transformers.models.auto.tokenization_auto import get_tokenizer_config

    config = AutoConfig.from_pretrained(name, trust_remote_code=False)
    settings = get_tokenizer_config(name)
    try:
        tokenizer = AutoTokenizer.from_pretrained(name, trust_remote_code=False)
    except (ValueError, ImportError):
        # Making a fast tokenizer from a SentencePiece file needs one more package
        tokenizer = AutoTokenizer.from_pretrained(name, trust_remote_code=False, use_fast=False)
    return config, settings, tokenizer


def load_weights(engine: str, name: str, config: Any, dtype: Any) -> Any:
    """The model itself, on the CPU, from safetensors or else as weights only.

    Args:
        engine: Named in errors.
        name: A Hugging Face name or folder.
        dtype: A `torch.dtype`, or "auto" for that of the file.

    Raises:
        XltError: E221 where it has no decoder or weights are missing.
        Exception: Whatever transformers raises for a broken file; see `device.loading`.
    """
    from transformers import AutoModelForSeq2SeqLM

    if not config.is_encoder_decoder:
        raise error("E221", engine=engine, model=name, reason="it has no decoder beside an encoder")
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
        raise error("E221", engine=engine, model=name, reason=f"it lacks the weights {missing}")
    return model


def half_precision(model_type: str) -> str:
    """The half precision that a model stands: T5's sums grow beyond what 16-bit floats with a short exponent hold."""
    return "bfloat16" if model_type in T5_TYPES else "float16"
