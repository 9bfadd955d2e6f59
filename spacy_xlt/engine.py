"""What engines and filters share: settings as dataclass fields, checked, pickled and put into signatures."""

from __future__ import annotations

import dataclasses
import math
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, dataclass
from pathlib import Path
from typing import Any, ClassVar

from .errors import XltError, error


def setting(
    default: Any = MISSING,
    *,
    ge: float | None = None,
    gt: float | None = None,
    le: float | None = None,
    lt: float | None = None,
    choices: Sequence[Any] | None = None,
    decides: bool = True,
) -> Any:
    """A field of an `Engine` with a range.

    Args:
        default: Its default; required where left out. Mutable defaults are not allowed: use None.
        decides: Whether it decides what comes out, and so belongs in the signature. Batch sizes and caches do not.
    """
    limits = {"ge": ge, "gt": gt, "le": le, "lt": lt, "choices": choices, "decides": decides}
    return dataclasses.field(default=default, metadata=limits)


@dataclass(kw_only=True, eq=False)
class Engine:
    """Base class of engines and filters. A subclass is a keyword-only dataclass, registered as the class itself.

    The fields are the settings. What is loaded later is an attribute set in `__post_init__`, which must call
    `super().__post_init__()` first: it is not pickled, and made anew where the engine is unpickled.
    """

    # Raised when the same settings give another output
    output_version: ClassVar[int] = 1
    # The extra of this package that the engine needs
    extra: ClassVar[str | None] = None

    def __post_init__(self) -> None:
        check_settings(self)

    @property
    def signature(self) -> str:
        """Name, deciding settings and output version in one line, enough to make the same output again."""
        parts = [type(self).__name__]
        parts += [f"{name}:{_shown(value)}" for name, value in {**deciding_settings(self), **self.details()}.items()]
        return "|".join([*parts, f"v{self.output_version}"])

    def details(self) -> dict[str, Any]:
        """What else belongs in the signature, such as the version of a model, by name."""
        return {}

    def __getstate__(self) -> dict[str, Any]:
        return {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self.__post_init__()


def deciding_settings(engine: Engine) -> dict[str, Any]:
    """The settings that decide what comes out of an engine, by name."""
    fields = dataclasses.fields(engine)
    return {field.name: getattr(engine, field.name) for field in fields if field.metadata.get("decides", True)}


def invalid_setting(owner: str, name: str, value: Any, expected: str) -> XltError:
    """The error for a setting with an invalid value."""
    return error("E150", owner=owner, setting=name, value=value, expected=expected)


def check_settings(engine: Any) -> None:
    """Check the fields of a dataclass against their types and ranges. An int for a float becomes a float.

    Raises:
        XltError: E150 with the first setting that is invalid, its value and what is expected.
    """
    kinds = typing.get_type_hints(type(engine))
    for field in dataclasses.fields(engine):
        value, kind, limits = getattr(engine, field.name), kinds[field.name], field.metadata
        if not _is_of_kind(value, kind) or not _is_in_range(value, limits):
            raise invalid_setting(type(engine).__name__, field.name, value, _expected(kind, limits))
        members = _members(kind)
        if float in members and int not in members and isinstance(value, int) and not isinstance(value, bool):
            setattr(engine, field.name, float(value))


def check_arguments(owner: str, function: Callable[..., Any], arguments: Mapping[str, Any]) -> None:
    """Check what a function or constructor was given against its type hints, where a config is not checked before.

    Args:
        owner: What to call the owner of the arguments in the error.
        function: The function; confection checks the arguments of functions, but not those of a class's constructor.
        arguments: Its arguments by name, such as `locals()` in its first line.

    Raises:
        XltError: E150 with the first argument that is of another type, its value and what is expected.
    """
    for name, kind in typing.get_type_hints(function).items():
        if name in arguments and not _is_of_kind(arguments[name], kind):
            raise invalid_setting(owner, name, arguments[name], _expected(kind, {}))


def _members(kind: Any) -> tuple[Any, ...]:
    """The members of a union, or the type itself."""
    is_union = typing.get_origin(kind) in (typing.Union, types.UnionType)
    return typing.get_args(kind) if is_union else (kind,)


def _is_of_kind(value: Any, kind: Any) -> bool:
    return any(_is_of_member(value, member) for member in _members(kind))


def _is_of_member(value: Any, kind: Any) -> bool:
    if kind is type(None):
        return value is None
    if kind in (bool, str):
        return isinstance(value, kind)
    if kind in (int, float):
        return isinstance(value, int if kind is int else (int, float)) and not isinstance(value, bool)
    origin = typing.get_origin(kind)
    if origin in (list, tuple, Sequence):
        inner = (*typing.get_args(kind), Any)[0]
        return isinstance(value, (list, tuple)) and all(_is_of_kind(item, inner) for item in value)
    if origin in (dict, Mapping):
        return isinstance(value, Mapping)
    # Other types, such as protocols, are for the engine itself to check
    return True


def _is_in_range(value: Any, limits: Mapping[str, Any]) -> bool:
    if limits.get("choices") is not None and value is not None:
        return value in limits["choices"]
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return True
    ge, gt, le, lt = (limits.get(name) for name in ("ge", "gt", "le", "lt"))
    return (
        (isinstance(value, int) or math.isfinite(value))
        and (ge is None or value >= ge)
        and (gt is None or value > gt)
        and (le is None or value <= le)
        and (lt is None or value < lt)
    )


def _expected(kind: Any, limits: Mapping[str, Any]) -> str:
    """What a setting may be, in words."""
    kinds = _members(kind)
    origins = [typing.get_origin(member) for member in kinds]
    if limits.get("choices") is not None:
        words = " or ".join(str(choice) for choice in limits["choices"])
    elif float in kinds or int in kinds:
        words = "a number" if float in kinds else "a whole number"
        names = {"ge": "from", "gt": "above", "le": "to", "lt": "below"}
        words += "".join(f" {word} {limits[name]:g}" for name, word in names.items() if limits.get(name) is not None)
    elif bool in kinds:
        words = "true or false"
    elif any(origin in (list, tuple, Sequence) for origin in origins):
        words = "a list"
    elif any(origin in (dict, Mapping) for origin in origins):
        words = "a mapping"
    else:
        words = "a text" if str in kinds else "another value"
    return f"{words}, or null" if type(None) in kinds else words


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, Mapping):
        return "{" + ",".join(f"{key}={_shown(item)}" for key, item in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ",".join(map(_shown, value)) + "]"
    if isinstance(value, Path):
        return value.name
    nested = getattr(value, "signature", None)
    return f"({nested})" if isinstance(nested, str) else str(value)
