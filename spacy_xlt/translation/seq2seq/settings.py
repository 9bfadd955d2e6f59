"""Settings that the engines of Hugging Face's translation models share, whatever runs the model."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ...errors import error
from .codes import FAMILIES


def check_settings(engine: Any, *, name: str, precisions: Sequence[str]) -> None:
    """Refuse settings that cannot be.

    engine (Any): Has `beam_size`, `batch_tokens`, `max_pieces`, `max_length_factor`, `precision`, `family` and
        `directions`.
    name (str): What to call it in errors.
    precisions (Sequence[str]): What `precision` may be.
    RAISES (XltError): E220 for the first setting that cannot be.
    """

    def refuse(setting: str, expected: str) -> None:
        raise error("E220", engine=name, setting=setting, value=getattr(engine, setting), expected=expected)

    for setting, lowest in (("beam_size", 1), ("batch_tokens", 1), ("max_pieces", 2), ("max_length_factor", 1)):
        value = getattr(engine, setting)
        if isinstance(value, bool) or not isinstance(value, (int, float)) or value < lowest:
            refuse(setting, f"at least {lowest}")
    if engine.precision not in precisions:
        refuse("precision", " or ".join(precisions))
    if engine.family is not None and engine.family not in FAMILIES:
        refuse("family", " or ".join(FAMILIES))
    if engine.directions is not None and not all(len(pair) == 2 for pair in engine.directions):
        refuse("directions", "pairs such as ['en', 'pt']")


def settings_line(engine: Any) -> str:
    """Model and settings that change the output, for a signature; see `check_settings`."""
    told = "".join(
        f"|{name}:{getattr(engine, name)}"
        for name in ("family", "prefix", "directions")
        if getattr(engine, name) is not None
    )
    return (
        f"model:{Path(engine.model).name if Path(engine.model).is_dir() else engine.model}{told}"
        f"|beam:{engine.beam_size}|max_pieces:{engine.max_pieces}|factor:{engine.max_length_factor:g}"
        f"|precision:{engine.precision}"
    )
