"""Colours of labels, as displaCy has them, in a light and a dark theme; every pair of colours can be read (WCAG AA)."""

from __future__ import annotations

import colorsys
import re
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ..errors import error

# What the style sheet calls the colours of the page itself. All are text or lines on `--page` or `--panel`.
THEMES: dict[str, dict[str, str]] = {
    "light": {
        "--page": "#ffffff",
        "--panel": "#f4f5f7",
        "--text": "#1b1c1f",
        "--faint": "#595d66",
        "--line": "#c9ccd3",
        "--edge": "#7d828c",
        "--accent": "#0b57d0",
        "--warning": "#9a1c10",
    },
    "dark": {
        "--page": "#16181d",
        "--panel": "#22252c",
        "--text": "#e9eaee",
        "--faint": "#a9aeb9",
        "--line": "#3b404b",
        "--edge": "#7f8695",
        "--accent": "#8ab4f8",
        "--warning": "#ffb4a8",
    },
}
# WCAG 2, success criteria 1.4.3 (text) and 1.4.11 (lines that carry meaning)
TEXT_CONTRAST = 4.5
LINE_CONTRAST = 3.0
# Labels that colours can tell apart, and how near two colours are that look alike (of 1.7 between black and white)
MOST_DISTINCT, _ALIKE = 16, 0.1
_HEX = re.compile(r"#(?:[0-9a-f]{3}|[0-9a-f]{6})", re.IGNORECASE)


@dataclass(frozen=True)
class LabelColor:
    """How a label looks in one theme: boxes of entities, and the edge below spans of span groups."""

    background: str
    foreground: str
    edge: str


def contrast(first: str, second: str) -> float:
    """The contrast of two colours as WCAG 2 defines it, from 1 to 21."""
    low, high = sorted((_luminance(first), _luminance(second)))
    return (high + 0.05) / (low + 0.05)


def label_colors(
    labels: Iterable[str], colors: Mapping[str, str] | None = None, *, distinct: bool = False
) -> dict[str, tuple[LabelColor, LabelColor]]:
    """A colour for each label: displaCy's, with those that installed packages give it; else one made from its name.

    Args:
        labels: The labels, in any case.
        colors: Colours by label (`#7aecec`) that go before all others.
        distinct: A label whose colour is that of another one, or much like it, gets another made from its name, as
            long as there are few enough labels to tell apart. What `colors` names stays as it is.

    Returns:
        For each label how it looks in the light and the dark theme.

    Raises:
        XltError: E561 for what is no colour.
    """
    own = {label.upper(): _checked(label, color) for label, color in (colors or {}).items()}
    known = {**_displacy_colors(), **own}
    labels = list(labels)
    chosen: dict[str, str] = {}
    for label in sorted(labels, key=lambda label: (label.upper() not in own, label.upper() not in known, label)):
        color = known.get(label.upper()) or _from_name(label)
        if distinct and len(labels) <= MOST_DISTINCT and label.upper() not in own:
            tried = [color, *(_from_name(label, turn) for turn in range(1, MOST_DISTINCT))]
            color = max(tried, key=lambda one: min([_ALIKE, *(_distance(one, other) for other in chosen.values())]))
        chosen[label] = color
    return {label: _both_themes(chosen[label]) for label in labels}


def _checked(label: str, color: Any) -> str:
    if not isinstance(color, str) or not _HEX.fullmatch(color.strip()):
        raise error("E561", label=label, value=color)
    return _long(color.strip())


def _displacy_colors() -> dict[str, str]:
    from spacy.displacy.render import DEFAULT_LABEL_COLORS
    from spacy.util import registry

    # displaCy knows the long name only
    known = {**DEFAULT_LABEL_COLORS, "PER": DEFAULT_LABEL_COLORS["PERSON"]}
    for given in registry.displacy_colors.get_all().values():
        found = given() if callable(given) else given
        # anything that CSS takes is allowed there, gradients for example; their contrast cannot be checked
        known.update({label.upper(): _long(color) for label, color in found.items() if _HEX.fullmatch(str(color))})
    return known


def _from_name(label: str, turn: int = 0) -> str:
    """The same light colour for the same name, today and tomorrow; others by turns of the golden angle."""
    hue = (zlib.crc32(label.upper().encode("utf8", "replace")) + turn * 137.508) % 360 / 360
    return _to_hex(*colorsys.hls_to_rgb(hue, 0.8, 0.65))


def _distance(first: str, second: str) -> float:
    return sum((a - b) ** 2 for a, b in zip(_rgb(first), _rgb(second), strict=True)) ** 0.5


def _long(color: str) -> str:
    """`#abc` as `#aabbcc`."""
    return color if len(color) == 7 else "#" + "".join(digit * 2 for digit in color[1:])


def _both_themes(color: str) -> tuple[LabelColor, LabelColor]:
    light, dark = (THEMES[name]["--page"] for name in ("light", "dark"))
    deep = _shifted(color, "#ffffff", TEXT_CONTRAST + 1, step=-0.02, saturation=0.6)
    return (
        LabelColor(color, _readable_on(color), _shifted(color, light, LINE_CONTRAST, step=-0.02)),
        LabelColor(deep, "#ffffff", _shifted(color, dark, LINE_CONTRAST, step=0.02)),
    )


def _readable_on(color: str) -> str:
    """Near black where that can be read; else black or white, one of which always can."""
    choices = ("#111111", "#ffffff", "#000000")
    return next(choice for choice in choices if contrast(choice, color) >= TEXT_CONTRAST)


def _shifted(color: str, against: str, least: float, *, step: float, saturation: float = 1.0) -> str:
    """The colour, darker or lighter by as many steps as its contrast against another one needs."""
    hue, lightness, found = colorsys.rgb_to_hls(*_rgb(color))
    while contrast(shifted := _to_hex(*colorsys.hls_to_rgb(hue, lightness, min(found, saturation))), against) < least:
        lightness = min(1.0, max(0.0, lightness + step))
    return shifted


def _luminance(color: str) -> float:
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in _rgb(color))
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _rgb(color: str) -> tuple[float, float, float]:
    red, green, blue = (int(color[i : i + 2], 16) / 255 for i in (1, 3, 5))
    return red, green, blue


def _to_hex(*rgb: float) -> str:
    return "#" + "".join(f"{round(c * 255):02x}" for c in rgb)
