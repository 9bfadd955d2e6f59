"""Tags around spans of a text, as a language model writes them: `<PER>Maria</PER> lives in <LOC>Lisbon</LOC>.`"""

from __future__ import annotations

import html
import re
from collections import defaultdict
from collections.abc import Sequence
from functools import lru_cache
from itertools import count
from typing import NamedTuple

# A range of characters `[start, end)`
Range = tuple[int, int]


class Tagged(NamedTuple):
    """A text without its tags.

    Attributes:
        spans: Characters of the text that stood in a pair of tags, and their label.
        broken: Characters from a tag that lacks its partner to the next tag, or for a closing one from the one before.
        unknown: How many tags had another label.
    """

    text: str
    spans: list[tuple[int, int, str]]
    broken: list[Range]
    unknown: int


class _Tag(NamedTuple):
    """A tag, and the place of it in the text without tags."""

    place: int
    closes: bool
    label: str


class TagSet:
    """The tags of some labels.

    Args:
        labels: Without "<", ">" and "/".
    """

    def __init__(self, labels: Sequence[str]):
        self._labels = {**{label.casefold(): label for label in labels}, **{label: label for label in labels}}

    def brackets(self, text: str) -> int:
        """How many brackets a tag has: one, or more where the text itself has such tags."""
        return next(n for n in count(1) if not _pattern(tuple(self._labels), n).search(text))

    def pair(self, label: str, brackets: int) -> tuple[str, str]:
        """What stands before and behind a span."""
        opening, closing = "<" * brackets, ">" * brackets
        return f"{opening}{label}{closing}", f"{opening}/{label}{closing}"

    def with_brackets(self, marked: str, brackets: int) -> str:
        """A text whose tags have one bracket, with more of them."""

        def replace(match: re.Match[str]) -> str:
            return self.pair(self._label(match), brackets)[bool(match["closes"])]

        return _pattern(tuple(self._labels), 1).sub(replace, marked)

    def read(self, marked: str, text: str) -> Tagged:
        """Take the tags out of a text.

        Case, attributes, white space inside and full-width forms of tags do not matter. Tags of other labels are taken
        out, unless the text has them itself, and so are characters escaped as in XML.

        Args:
            marked: What a model has written.
            text: What it was to put tags into.
        """
        if html.unescape(text) == text:
            marked = html.unescape(marked)
        brackets = self.brackets(text)
        pieces: list[str] = []
        tags: list[_Tag] = []
        length = last = unknown = 0
        for match in _pattern((*self._labels, _NAME), brackets).finditer(marked):
            label = self._label(match)
            if not label and match[0] in text:
                continue
            pieces.append(marked[last : match.start()])
            length += len(pieces[-1])
            last = match.end()
            if label:
                tags.append(_Tag(length, bool(match["closes"]), label))
            elif not match["closes"]:
                unknown += 1
        clean = "".join([*pieces, marked[last:]])
        return Tagged(clean, *_pairs(tags, len(clean)), unknown)

    def _label(self, match: re.Match[str]) -> str:
        """The label of a tag; "" where it has none of ours."""
        return self._labels.get(match["name"]) or self._labels.get(match["name"].casefold(), "")


# Not escaped: the name of any tag
_NAME = ""


@lru_cache(maxsize=64)
def _pattern(names: tuple[str, ...], brackets: int) -> re.Pattern[str]:
    """What finds tags with these names, the longest name first; "" stands for any."""
    ordered = sorted(names, key=len, reverse=True)
    name = "|".join(re.escape(name) if name else r"[^\W\d][\w.:-]*" for name in ordered)
    opening, closing = f"[<＜]{{{brackets}}}", f"[>＞]{{{brackets}}}"
    return re.compile(rf"{opening}\s*(?:(?P<closes>[/／])\s*)?(?P<name>{name})(?:\s[^<>＜＞]*)?{closing}", re.I)


def _pairs(tags: Sequence[_Tag], length: int) -> tuple[list[tuple[int, int, str]], list[Range]]:
    """The spans between tags that belong together, and what is beside the others. A tag closes the last open one."""
    spans, broken = [], []
    opened: defaultdict[str, list[int]] = defaultdict(list)
    for i, tag in enumerate(tags):
        if not tag.closes:
            opened[tag.label].append(i)
        elif opened[tag.label]:
            spans.append((tags[opened[tag.label].pop()].place, tag.place, tag.label))
        else:
            broken.append((tags[i - 1].place if i else 0, tag.place))
    left = sorted(i for of_label in opened.values() for i in of_label)
    broken += [(tags[i].place, tags[i + 1].place if i + 1 < len(tags) else length) for i in left]
    return spans, broken
