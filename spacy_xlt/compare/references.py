"""`{NAME}` in the settings of a strategy: what another strategy made, which has to be there first."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from ..errors import error
from .plan import AVERAGE, RESERVED, TRAIN, Plan, Strategy

_REFERENCE = re.compile(r"\{([A-Za-z0-9][A-Za-z0-9_.-]*)(:\*)?\}")


class Reference(NamedTuple):
    """A strategy that another one needs.

    name (str): Its name.
    all_seeds (bool): Whether it is needed with all seeds, not with the same seed alone.
    """

    name: str
    all_seeds: bool


def references(strategy: Strategy) -> list[Reference]:
    """The strategies that one names in its settings, each once."""
    found: dict[Reference, None] = {}
    for text in (*_texts(strategy.overrides), *strategy.models):
        for name, star in _REFERENCE.findall(text):
            if name not in RESERVED:
                found[Reference(name, bool(star))] = None
    return list(found)


def fill_in(value: Any, replace: Callable[[str, bool, str], str]) -> Any:
    """A value with its references replaced.

    value (Any): Text, or a list or mapping with text in it; anything else stays as it is.
    replace (Callable[[str, bool, str], str]): Gets name, whether all seeds are meant, and what follows in the text.
    """
    if isinstance(value, str):
        return _REFERENCE.sub(lambda found: replace(found[1], bool(found[2]), value[found.end() :]), value)
    if isinstance(value, Mapping):
        return {key: fill_in(inner, replace) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [fill_in(inner, replace) for inner in value]
    return value


def in_order(plan: Plan) -> list[Strategy]:
    """The strategies, each after those that it needs.

    RAISES (XltError): E661 for a name that is no strategy, E662 for strategies that need each other, E663 for all seeds
        where one model is needed, or one seed where there is none.
    """
    for strategy in plan.strategies.values():
        for reference in references(strategy):
            if reference.name not in plan.strategies:
                known = ", ".join(plan.strategies)
                raise error("E661", strategy=strategy.name, name=reference.name, known=known)
            if reference.all_seeds and strategy.type != AVERAGE:
                raise error("E663", strategy=strategy.name, name=reference.name)
    ordered: dict[str, Strategy] = {}
    open_: list[str] = []

    def visit(name: str) -> None:
        """Take what a strategy needs, and then itself."""
        if name in ordered:
            return
        if name in open_:
            raise error("E662", names=" → ".join([*open_[open_.index(name) :], name]))
        open_.append(name)
        for reference in references(plan.strategies[name]):
            visit(reference.name)
        open_.pop()
        ordered[name] = plan.strategies[name]

    for name in plan.strategies:
        visit(name)
    return list(ordered.values())


def seeded(strategy: Strategy, plan: Plan) -> bool:
    """Whether a strategy has a result for each seed: it is trained, or needs one that has."""
    return strategy.type == TRAIN or any(
        not reference.all_seeds and seeded(plan.strategies[reference.name], plan) for reference in references(strategy)
    )


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from _texts(inner)
    elif isinstance(value, (list, tuple)):
        for inner in value:
            yield from _texts(inner)
