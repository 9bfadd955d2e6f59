"""The set of quality gates that a translator's output goes through."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ...errors import error
from .base import Judged, QualityFilter
from .copied import CopiedFilter
from .empty import EmptyFilter
from .length import LengthRatioFilter
from .looping import LoopingFilter
from .numbers import NumbersFilter

# Those that cost next to nothing and hardly ever flag a good translation (`benchmarks/quality_gates.py`)
DEFAULT = (EmptyFilter, CopiedFilter, LoopingFilter, LengthRatioFilter, NumbersFilter)


class QualityGates:
    """Quality filters together.

    filters (dict[str, QualityFilter] | None): Those to have besides the default ones, under names of your choice. One
        with the flag of a default one takes its place.
    default (bool): Have the default ones.
    RAISES (XltError): E256 for something that is no filter.
    """

    def __init__(self, *, filters: dict[str, Any] | None = None, default: bool = True):
        given = list((filters or {}).values())
        for item in given:
            if not (callable(getattr(item, "scores", None)) and callable(getattr(item, "accept", None)) and item.flag):
                raise error("E256", value=type(item).__name__)
        flags = {item.flag for item in given}
        first = [make() for make in DEFAULT if make.flag not in flags] if default else []
        self.filters: list[QualityFilter] = [*first, *given]

    @property
    def signature(self) -> str:
        """The filters with their settings."""
        return "+".join(f"{gate.flag}({gate.settings})" for gate in self.filters)

    def flags(self, pairs: Sequence[Judged], *, engine: Any = None) -> list[tuple[str, ...]]:
        """What is wrong with translations.

        pairs (Sequence[Judged]): All in the same languages.
        engine (Translator | None): What made them.
        RETURNS (list[tuple[str, ...]]): The flags of each, in the order of the filters.
        """
        found: list[list[str]] = [[] for _ in pairs]
        for gate in self.filters:
            for flags, score in zip(found, gate.scores(pairs, engine=engine), strict=True):
                if score is not None and not gate.accept(score):
                    flags.append(gate.flag)
        return [tuple(flags) for flags in found]
