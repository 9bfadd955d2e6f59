"""The projectors of a combination, and a number for each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ...errors import error
from ...protocols import Projector


def check_members(owner: str, projectors: Any, order: Sequence[str] | None) -> dict[str, Projector]:
    """The projectors by name, in order.

    projectors (dict[str, Projector] | list[Projector]): Those of a list are named by their numbers.
    order (list[str] | None): Names; in alphabetical order where left out, a list in its own.
    RAISES (XltError): E412 for something that is no projector, E414 where there is none, or `order` names others.
    """
    if isinstance(projectors, Mapping):
        named = {str(name): projectors[name] for name in sorted(projectors)}
    else:
        named = {f"{n:02d}": projector for n, projector in enumerate(projectors or (), 1)}
    if not named:
        raise error("E414", projector=owner, setting="projectors", value=projectors, expected="at least one projector")
    for name, projector in named.items():
        if not isinstance(projector, Projector):
            raise error("E412", projector=owner, setting=f"projectors.{name}", value=type(projector).__name__)
    if order is None:
        return named
    if isinstance(order, str) or sorted(order) != sorted(named):
        expected = f"each of {', '.join(named)} once"
        raise error("E414", projector=owner, setting="order", value=order, expected=expected)
    return {name: named[name] for name in order}


def numbers_for(
    owner: str, projectors: Mapping[str, Projector], setting: str, values: Any, *, default: float
) -> dict[str, float]:
    """A number for each projector, from one for all or one for some.

    default (float): For those that are not named.
    RAISES (XltError): E414 where a name is not one of the projectors', or a value is no number.
    """
    if not isinstance(values, Mapping):
        values = dict.fromkeys(projectors, values)
    unknown = sorted(set(values) - set(projectors))
    if unknown:
        expected = f"names among {', '.join(projectors)}"
        raise error("E414", projector=owner, setting=setting, value=", ".join(unknown), expected=expected)
    for value in values.values():
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not value >= 0:
            raise error("E414", projector=owner, setting=setting, value=value, expected="numbers from 0")
    return {name: float(values.get(name, default)) for name in projectors}
