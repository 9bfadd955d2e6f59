"""Projection by markers: spans are marked in the source, and found where the translation has the marks."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import ClassVar

from ..engine import invalid_setting
from .by_translation import FallbackProjector
from .links.evidence import Stretch
from .links.scorer import score_places
from .marking import STYLES, Half, Marked, Reading, Style, layers, mark, read
from .queries import Range, SpanQuery
from .sentences import MARKERS_FLAG

# How similar texts must be to be taken for the same, from 0 to 1
MIN_SIMILARITY = 0.5
# What being the n-th marked text counts for the n-th span, beside the similarity of the texts
ORDER = 0.1
# What being near the expected place counts, beside the similarity of the texts
NEAR = 0.3
# From so many words on a text is found by the words that it shares with the target and not as a whole
LONG = 12
# Places kept for each span
KEPT = 8
# What the score of a place is multiplied with where its marker was damaged
REPAIRED = 0.9
_WORD = re.compile(r"\w+|[^\w\s]")


@dataclass
class _Text:
    """A sentence, or several that a span crosses, with the spans that are to be marked in it: characters of each."""

    text: str
    queries: list[SpanQuery]
    ranges: list[Range]


@dataclass(kw_only=True, eq=False)
class MarkerProjector(FallbackProjector):
    """Marks the spans of each sentence, translates it, and looks for what the markers hold in the given target.

    The target itself is never changed. Where it is another translation than the marked one, the text between the
    markers is found in it by the similarity of the letters, near the place that word links or the order of the words
    give. Markers that come out doubled, spaced or as another kind of bracket are understood, one without a partner is
    completed, texts of uncertain owner go to the span whose own translation they are most like (EasyProject, Chen et
    al. 2023, https://arxiv.org/abs/2211.15613). What is lost even so is marked alone, then in the next style, and
    goes to the fallback in the end; the sentence is flagged "markers_lost" then and `attrs["by"]` has the fallback.

    Attributes:
        markers: Kinds of markers, "numbered" ([1: …]), "brackets" ([…]) or "tags" (<a>…</a>, for language models); of
            several the later ones for what the earlier ones lost.
    """

    left_over: ClassVar[str] = MARKERS_FLAG
    flag: ClassVar[str] = MARKERS_FLAG

    markers: str | Sequence[str] = ("numbered", "brackets")

    def __post_init__(self) -> None:
        super().__post_init__()
        self._styles = [self.markers] if isinstance(self.markers, str) else list(self.markers)
        if not self._styles or any(style not in STYLES for style in self._styles):
            raise invalid_setting(type(self).__name__, "markers", self.markers, f"one or more of {', '.join(STYLES)}")

    def search(self, queries: Sequence[SpanQuery], source: str, target: str) -> None:
        """Find the spans' places: style after style, those of a sentence together and what is lost one by one."""

        def translate(texts: list[str]) -> list[str]:
            return [t.text for t in self.used_translator.translate(texts, source=source, target=target)]

        remaining = list(queries)
        alone: dict[int, str] = {}
        for name in self._styles:
            for together in (True, False):
                if remaining:
                    _try(remaining, STYLES[name], translate, alone, together=together)
                    remaining = [query for query in remaining if not query.choices]
        for query in remaining:
            query.reason = MARKERS_FLAG


def _try(
    queries: Sequence[SpanQuery],
    style: Style,
    translate: Callable[[list[str]], list[str]],
    alone: dict[int, str],
    *,
    together: bool,
) -> None:
    """Mark and translate once. `alone`: translations of the spans by themselves, which grows."""
    texts = [text for text in _texts(queries, together=together) if style.is_usable(text.text)]
    marked = translate([mark(text.text, text.ranges, style) for text in texts])
    readings = [read(translation, text.text, style) for translation, text in zip(marked, texts, strict=True)]
    # What a span is by itself is asked only where the markers alone don't tell
    unclear = [
        query
        for text, reading in zip(texts, readings, strict=True)
        if not _is_clear(reading, text, style)
        for query in text.queries
        if id(query) not in alone
    ]
    translations = translate([query.text for query in unclear])
    alone.update((id(query), translation) for query, translation in zip(unclear, translations, strict=True))
    for text, reading in zip(texts, readings, strict=True):
        own = [alone.get(id(query), "") for query in text.queries]
        matches = identify(reading, own, numbered=style.numbered)
        for query, (item, was_repaired) in zip(text.queries, matches, strict=True):
            if item is None:
                continue
            places = locate(query, reading, item)
            query.choices = [stretch for stretch, _ in places]
            factor = REPAIRED if was_repaired else 1.0
            query.confidence = {(s.start, s.end): sure * factor for s, sure in places}


def _is_clear(reading: Reading, text: _Text, style: Style) -> bool:
    """Whether the markers alone say which text belongs to which span."""
    if reading.halves or len(reading.marked) != len(text.queries):
        return False
    numbers = sorted(item.number or 0 for item in reading.marked)
    return len(text.queries) == 1 or (style.numbered and numbers == list(range(1, len(numbers) + 1)))


def _texts(queries: Iterable[SpanQuery], *, together: bool) -> list[_Text]:
    """Source texts to be marked: those of the spans' sentences, as many times as it takes."""
    by_sentence: dict[tuple[int, int, int], list[SpanQuery]] = {}
    for n, query in enumerate(queries):
        key = id(query.index), query.source_low, query.source_high if together else -n - 1
        by_sentence.setdefault(key, []).append(query)
    texts = []
    for group in by_sentence.values():
        whole = group[0].source[group[0].source_low : group[0].source_high]
        text = whole.text.strip()
        offset = whole.start_char + len(whole.text) - len(whole.text.lstrip())
        ranges = [_characters(query, offset) for query in group]
        texts += [_Text(text, [group[n] for n in layer], [ranges[n] for n in layer]) for layer in layers(ranges)]
    return texts


def _characters(query: SpanQuery, offset: int) -> Range:
    """Where the words of a span stand in its sentence's text."""
    span = query.source[query.start : query.end]
    start = span.start_char + len(span.text) - len(span.text.lstrip()) - offset
    return start, start + len(query.text)


def identify(reading: Reading, alone: Sequence[str], *, numbered: bool) -> list[tuple[Marked | None, bool]]:
    """Which marked text belongs to which span.

    Numbers decide where each is there once. The others are matched with the spans' own translations, so that the
    similarities sum up to most; of what is left, a single text goes to a single span (EasyProject, Chen et al. 2023,
    https://arxiv.org/abs/2211.15613), and a marker without partner is completed to the words most like the span.

    Args:
        reading: The translation and what stood between markers.
        alone: The translation of each span by itself.
        numbered: Whether the markers have numbers.

    Returns:
        For each span its text, and whether it had to be repaired.
    """
    result: list[tuple[Marked | None, bool]] = [(None, False)] * len(alone)
    counts = Counter(m.number for m in reading.marked)
    remaining = []
    for item in reading.marked:
        n = (item.number or 0) - 1
        if numbered and 0 <= n < len(alone) and counts[item.number] == 1:
            result[n] = (item, False)
        else:
            remaining.append(item)
    spans = [n for n, (item, _) in enumerate(result) if item is None]
    is_complete = not numbered and len(remaining) == len(spans) and not reading.halves
    pairs = [bigrams(letters(text)) for text in alone]
    for n, m, likeness in _matches(reading.text, spans, remaining, pairs):
        # Without numbers the only texts there are belong to the spans, however they were translated
        if likeness >= MIN_SIMILARITY or is_complete:
            result[n] = (remaining[m], not is_complete)
    used = {item for item, _ in result if item is not None}
    remaining = [item for item in remaining if item not in used]
    spans = [n for n, (item, _) in enumerate(result) if item is None]
    if len(remaining) == 1 and len(spans) == 1:
        result[spans[0]] = (remaining[0], True)
        return result
    for half in reading.halves:
        for n in spans:
            completed = None
            if half.number in {None, n + 1}:
                completed = _completed(reading.text, half, pairs[n])
            if completed is not None:
                result[n] = (completed, True)
                spans.remove(n)
                break
    return result


def _matches(
    text: str, spans: Sequence[int], marked: Sequence[Marked], alone: Sequence[Counter[str]]
) -> list[tuple[int, int, float]]:
    """The one-to-one assignment of marked texts to spans with the greatest sum of similarities."""
    if not spans or not marked:
        return []
    import numpy as np
    from scipy.optimize import linear_sum_assignment

    texts = [bigrams(letters(text[m.start : m.end])) for m in marked]
    likeness = np.asarray([[similarity(alone[n], other) for other in texts] for n in spans])
    order = np.abs(np.linspace(0, 1, len(spans))[:, None] - np.linspace(0, 1, len(marked))[None])
    rows, columns = linear_sum_assignment(likeness - ORDER * order, maximize=True)
    return [(spans[r], int(c), float(likeness[r, c])) for r, c in zip(rows, columns, strict=True)]


def _completed(text: str, half: Half, alone: Counter[str]) -> Marked | None:
    """The words beside a marker without partner that are most like a span's own translation."""
    words = [m.span() for m in _WORD.finditer(text)]
    if half.opens:
        beside = [(half.place, end) for start, end in words if start >= half.place]
    else:
        beside = [(start, half.place) for start, end in reversed(words) if end <= half.place]
    best, best_range = MIN_SIMILARITY, None
    for start, end in beside[: alone.total() + 2]:
        likeness = similarity(alone, bigrams(letters(text[start:end])))
        if likeness > best:
            best, best_range = likeness, (start, end)
    return None if best_range is None else Marked(*best_range, half.number)


def locate(query: SpanQuery, reading: Reading, item: Marked) -> list[tuple[Stretch, float]]:
    """Where a marked text stands in the given target: the places most like it, and near where it is expected.

    Returns:
        Places with totals, best first, and how sure each is.
    """
    text = reading.text[item.start : item.end]
    if len(_WORD.findall(text)) >= LONG:
        return _shared_words(query, reading, item)
    wanted = letters(text)
    if not wanted:
        return []
    pairs = bigrams(wanted)
    words = [letters(word) for word in query.index.target_words[query.low : query.high]]
    expected = _expected(query, reading, item)
    places = []
    for first in range(len(words)):
        if not words[first]:
            continue
        joined = ""
        for last in range(first, len(words)):
            joined += words[last]
            if len(joined) > 2 * len(wanted) + 2:
                break
            if not words[last] or 2 * len(joined) + 2 < len(wanted):
                continue
            likeness = 1.0 if joined == wanted else similarity(pairs, bigrams(joined))
            if likeness >= MIN_SIMILARITY:
                start, end = query.low + first, query.low + last + 1
                near = _nearness(start, end, expected, query)
                score = round(likeness * (1 - NEAR + NEAR * near), 4)
                places.append((Stretch(start, end, likeness + NEAR * near), score))
    return sorted(places, key=lambda place: (-place[0].total, place[0].start, place[0].end))[:KEPT]


def _expected(query: SpanQuery, reading: Reading, item: Marked) -> tuple[float, float]:
    """Where the links of a span lead, or the same part of the sentence: target tokens, not whole numbers."""
    places = score_places([query.index], [[(query.start, query.end)]])[0][0]
    if places is not None:
        start, end, _ = places.best
        if query.low <= start and end <= query.high:
            return start, end
    scale = (query.high - query.low) / max(1, len(reading.text))
    return query.low + item.start * scale, query.low + item.end * scale


def _nearness(start: int, end: int, expected: tuple[float, float], query: SpanQuery) -> float:
    """How near a place is to the expected one: 1 for the same, 0 for the other end of the sentence."""
    distance = (abs(start - expected[0]) + abs(end - expected[1])) / 2
    return max(0.0, 1 - 2 * distance / max(1, query.high - query.low))


def _shared_words(query: SpanQuery, reading: Reading, item: Marked) -> list[tuple[Stretch, float]]:
    """The place of a long text: from the first to the last of its words in the target, in the same order."""
    words = list(_WORD.finditer(reading.text))
    target = [letters(word) or word for word in query.index.target_words[query.low : query.high]]
    own = [i for i, m in enumerate(words) if item.start <= m.start() and m.end() <= item.end]
    matcher = SequenceMatcher(None, [letters(m.group()) or m.group() for m in words], target, autojunk=False)
    matched = {a + i: b + i for a, b, size in matcher.get_matching_blocks() for i in range(size)}
    shared = [i for i in own if i in matched]
    share = len(shared) / max(1, len(own))
    if not shared or share < MIN_SIMILARITY:
        return []
    # Words at the ends that differ are as many on both sides
    start = max(0, matched[shared[0]] - (shared[0] - own[0]))
    end = min(len(target), matched[shared[-1]] + 1 + (own[-1] - shared[-1]))
    return [(Stretch(query.low + start, query.low + end, share), round(share, 4))] if start < end else []


def letters(text: str) -> str:
    """Letters and digits only, in lower case, without accents."""
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    return "".join(c for c in decomposed if c.isalnum())


def bigrams(text: str) -> Counter[str]:
    """The pairs of neighbouring characters of a text, with its ends marked."""
    padded = f"^{text}$"
    return Counter(padded[i : i + 2] for i in range(len(padded) - 1)) if text else Counter()


def similarity(a: Counter[str], b: Counter[str]) -> float:
    """Dice's coefficient of two texts in character pairs, from 0 to 1."""
    total = a.total() + b.total()
    return 2 * (a & b).total() / total if total else 0.0
