"""Hugging Face models by name: short names, the local cache, and what to say where a model is not there."""

from __future__ import annotations

import os
import re
from pathlib import Path

from .errors import error

_NLLB = {
    "600M": "facebook/nllb-200-distilled-600M",
    "1.3B": "facebook/nllb-200-distilled-1.3B",
    "3.3B": "facebook/nllb-200-3.3B",
}
_REPOSITORY = re.compile(r"(?:[\w.-]+/)?[\w.-]+")
# Seconds until the hub counts as out of reach. Left to itself its client tries for 23 seconds, for each file
_PATIENCE = 5.0


def full_name(model: str) -> str:
    """The Hugging Face name that a short one stands for; any other name or path as it is.

    >>> full_name("opus:en-de"), full_name("nllb:600M")
    ('Helsinki-NLP/opus-mt-en-de', 'facebook/nllb-200-distilled-600M')

    Raises:
        XltError: E510 for a size of NLLB-200 that there is not.
    """
    kind, _, rest = model.partition(":")
    if kind == "hf" and rest:
        return rest
    if kind == "opus" and rest:
        return f"Helsinki-NLP/opus-mt-{rest}"
    if kind == "nllb":
        if (rest or "600M") not in _NLLB:
            raise error(
                "E510", setting="The model", value=model, expected=" or ".join(f"nllb:{size}" for size in _NLLB)
            )
        return _NLLB[rest or "600M"]
    return model


def name_in_signature(model: str) -> str:
    """A model as a signature names it: of a folder the name alone, so that it may lie elsewhere."""
    folder = Path(model)
    return folder.name if folder.is_dir() else model


def cache_folder() -> Path:
    """Where Hugging Face keeps what it has downloaded."""
    from huggingface_hub.constants import HF_HUB_CACHE

    return Path(HF_HUB_CACHE)


def cached(name: str) -> Path | None:
    """The folder of a model in the local cache; None where it is not there with its weights and its tokenizer."""
    repository = cache_folder() / f"models--{name.replace('/', '--')}"
    try:
        commit = (repository / "refs" / "main").read_text(encoding="utf8").strip()
    except (OSError, ValueError):
        return None
    snapshot = repository / "snapshots" / commit
    names = [path.name for path in snapshot.glob("*")]
    has_weights = any(name.endswith((".safetensors", ".bin")) for name in names)
    has_tokenizer = any(name.startswith("tokenizer") for name in names)
    return snapshot if has_weights and has_tokenizer and "config.json" in names else None


def located(name: str, code: str, **values: str) -> str:
    """Where to load a model from: the folder that is named, that of the local cache, or the name for a download.

    A model in the cache is read from there, without asking the hub for a newer one.

    Args:
        name: A folder or a Hugging Face name.
        code: The code of the error where it can be had from nowhere; its message has `reason`, `model` and **values.

    Raises:
        XltError: With that code.
    """
    if os.path.isdir(name):
        return name
    if folder := cached(name):
        return str(folder)
    if reason := _out_of_reach(name):
        raise error(code, model=name, reason=reason, **values)
    return name


def _out_of_reach(name: str) -> str | None:
    """Why a model that is neither a folder nor in the cache cannot be downloaded; None where it can."""
    if not _REPOSITORY.fullmatch(name) or name.startswith("."):
        return "there is no such folder"
    absent = f"there is no such folder, it is not in the local cache {cache_folder()}"
    fetch = f"Fetch it where there is a network: {download_command(name)}"
    from huggingface_hub import HfApi
    from huggingface_hub.constants import HF_HUB_OFFLINE
    from huggingface_hub.errors import HfHubHTTPError, RepositoryNotFoundError

    if HF_HUB_OFFLINE:
        return f"{absent}, and HF_HUB_OFFLINE forbids to download it. {fetch}"
    try:
        HfApi().model_info(name, timeout=_PATIENCE)
    except RepositoryNotFoundError:
        return f"{absent}, and huggingface.co has no public model of this name"
    except HfHubHTTPError as err:
        return f"{absent}, and huggingface.co answered: {' '.join(str(err).split())[:160]}"
    except OSError:  # of requests, all that is about the connection
        return f"{absent}, and huggingface.co cannot be reached. {fetch}"
    return None


def download_command(name: str) -> str:
    """The command that puts a model into the local cache."""
    return f"huggingface-cli download {name}"
