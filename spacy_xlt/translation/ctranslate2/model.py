"""A converted model with its tokenizer, and what it is told of each direction."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...device import first_line, quiet
from ...errors import error
from ..seq2seq.codes import END, LanguageCodes, Tags
from ..seq2seq.loading import find_codes, load_tokenizer
from ..seq2seq.text import Side, sides
from .converting import ABOUT, ENGINE, HF_FOLDER


@dataclass(frozen=True)
class Told:
    """What a direction adds, as tokens.

    before, after (list[str]): Around the pieces of the source.
    first (list[str]): What the decoder is given before the translation's own pieces.
    """

    before: list[str]
    after: list[str]
    first: list[str]


@dataclass(frozen=True)
class Model:
    """A model ready to run.

    translator (ctranslate2.Translator): The model.
    source, target (Side): Its tokenizer.
    source_tokens, target_tokens (list[str]): The vocabularies by id.
    codes (LanguageCodes): Its languages.
    end (str): The end mark.
    start (str | None): What the decoder begins with by itself; None where it has to be told.
    usual_start (str): What the original model begins with.
    limit (int): The most pieces of either side, those that are added counted.
    """

    translator: Any
    tokenizer: Any
    source: Side
    target: Side
    source_tokens: list[str]
    target_tokens: list[str]
    codes: LanguageCodes
    end: str
    start: str | None
    usual_start: str
    limit: int

    def told(self, source: str, target: str) -> Told:
        """What the direction adds to a text.

        RAISES (XltError): E201 for a direction that the model does not know.
        """
        tags = self.codes.tags(source, target)
        before = list(tags.before)
        if tags.text_before:
            ids = self.tokenizer(tags.text_before.strip(), add_special_tokens=False).input_ids
            before += self.tokenizer.convert_ids_to_tokens(ids)
        return Told(before, [self.end if token == END else token for token in tags.after], self._first(tags))

    def _first(self, tags: Tags) -> list[str]:
        start = tags.start or self.usual_start
        return [*([start] if self.start is None else []), *tags.first]


def load_model(
    folder: Path,
    *,
    name: str,
    tokenizer: str | None,
    family: str | None,
    prefix: str | None,
    directions: Sequence[Sequence[str]] | None,
    device: str,
    device_index: int,
    compute_type: str,
    threads: int,
) -> Model:
    """Load a converted model.

    folder (Path): A model folder of CTranslate2.
    name (str): The model as the engine's setting has it, for messages.
    tokenizer (str | None): A Hugging Face name or folder with the model's tokenizer and settings; where left out, they
        are in the folder.
    RAISES (XltError): E246 for a folder that cannot be used, E244 for a `precision` that the device cannot compute in,
        E222 to E225 for a model whose languages are not known.
    """
    about = _read(folder / ABOUT)
    origin = tokenizer or (str(folder / HF_FOLDER) if (folder / HF_FOLDER).is_dir() else None)
    if origin is None:
        reason = "it has no tokenizer; set `tokenizer` to the model that it was converted from"
        raise error("E246", path=folder, reason=reason)
    translator = _open(folder, device=device, device_index=device_index, compute_type=compute_type, threads=threads)
    config, settings, loaded = _read_tokenizer(folder, origin)
    source_tokens, target_tokens = _vocabulary(folder, "source"), _vocabulary(folder, "target")
    codes = find_codes(
        about.get("model") or tokenizer or name,
        config,
        settings,
        loaded,
        n_pieces=len(source_tokens),
        family=family or about.get("family"),
        prefix=prefix,
        directions=directions,
        engine=ENGINE,
    )
    own = _read(folder / "config.json")
    source, target = sides(loaded)
    return Model(
        translator,
        loaded,
        source,
        target,
        source_tokens,
        target_tokens,
        codes,
        end=str(own.get("eos_token", END)),
        start=own.get("decoder_start_token"),
        usual_start=str(loaded.convert_ids_to_tokens(config.decoder_start_token_id or 0)),
        limit=int(getattr(config, "max_position_embeddings", None) or 1 << 20),
    )


def _open(folder: Path, *, device: str, device_index: int, compute_type: str, threads: int) -> Any:
    import ctranslate2

    supported = ctranslate2.get_supported_compute_types(device, device_index)
    if compute_type not in {"auto", "default", *supported}:
        raise error("E244", device=device, value=compute_type, expected=", ".join(sorted(supported)))
    try:
        return ctranslate2.Translator(
            str(folder),
            device=device,
            device_index=device_index,
            compute_type=compute_type,
            intra_threads=threads,
        )
    # Of a broken folder it says so by RuntimeError, ValueError and others
    except Exception as err:
        raise error("E246", path=folder, reason=first_line(err)) from err


def _read_tokenizer(folder: Path, origin: str) -> tuple[Any, dict[str, Any], Any]:
    """The original model's settings, its tokenizer's settings, and the tokenizer."""
    from transformers import AutoConfig
    from transformers.models.auto.tokenization_auto import get_tokenizer_config

    try:
        with quiet():
            config = AutoConfig.from_pretrained(origin, trust_remote_code=False)
            settings = get_tokenizer_config(origin)
            return config, settings, load_tokenizer(origin, config, settings)
    # Each library below names a broken folder in its own way
    except Exception as err:
        raise error("E246", path=folder, reason=f"its tokenizer {origin}: {first_line(err)}") from err


def _vocabulary(folder: Path, side: str) -> list[str]:
    """The tokens of a side by id, as the converter wrote them.

    RAISES (XltError): E246 where they are missing.
    """
    for name in (f"{side}_vocabulary.json", "shared_vocabulary.json"):
        if (folder / name).is_file():
            return [str(token) for token in json.loads((folder / name).read_text(encoding="utf8"))]
    for name in (f"{side}_vocabulary.txt", "shared_vocabulary.txt"):
        if (folder / name).is_file():
            return (folder / name).read_text(encoding="utf8").removesuffix("\n").split("\n")
    raise error("E246", path=folder, reason=f"it has no {side}_vocabulary.json or shared_vocabulary.json")


def _read(path: Path) -> dict[str, Any]:
    try:
        return dict(json.loads(path.read_text(encoding="utf8")))
    except (OSError, ValueError):
        return {}
