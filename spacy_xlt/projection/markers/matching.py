"""Which marked text is which span, and where in the target it stands: by how similar the letters are."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from difflib import SequenceMatcher

from ..evidence import Stretch
from ..spanwise import Search
from .marking import Half, Marked, Reading

# What being the n-th marked text counts for the n-th span, beside the similarity of the texts.
ORDER = 0.1
# What being near the expected place counts, beside the similarity of the texts.
NEAR = 0.3
# From so many words on a text is found by the words that it shares with the target and not as a whole.
LONG = 12
# Places kept for each span.
KEPT = 8
_WORD = re.compile(r"\w+|[^\w\s]")


def plain(text: str) -> str:
    """Letters and digits only, in lower case, without accents."""
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    return "".join(c for c in decomposed if c.isalnum())


def bigrams(text: str) -> Counter[str]:
    """The pairs of neighbouring characters of a plain text, with its ends marked."""
    padded = f"^{text}$"
    return Counter(padded[i : i + 2] for i in range(len(padded) - 1)) if text else Counter()


def similarity(a: Counter[str], b: Counter[str]) -> float:
    """Dice's coefficient of two texts in character pairs, from 0 to 1."""
    total = a.total() + b.total()
    return 2 * (a & b).total() / total if total else 0.0


def identify(
    reading: Reading, own: Sequence[str], *, numbered: bool, min_similarity: float
) -> list[tuple[Marked | None, bool]]:
    """Which marked text belongs to which span.

    Numbers decide where each is there once. The others are matched with the spans' own translations, so that the
    similarities sum up to most; of what is left, a single text goes to a single span (EasyProject, Chen et al. 2023,
    https://arxiv.org/abs/2211.15613), and a marker without partner is completed to the words most like the span.

    own (Sequence[str]): The translation of each span by itself.
    RETURNS (list[tuple[Marked | None, bool]]): For each span its text, and whether it had to be repaired.
    """
    result: list[tuple[Marked | None, bool]] = [(None, False)] * len(own)
    counts = Counter(m.number for m in reading.marked)
    left = []
    for item in reading.marked:
        n = (item.number or 0) - 1
        if numbered and 0 <= n < len(own) and counts[item.number] == 1:
            result[n] = (item, False)
        else:
            left.append(item)
    spans = [n for n, (item, _) in enumerate(result) if item is None]
    whole = not numbered and len(left) == len(spans) and not reading.halves
    own_pairs = [bigrams(plain(text)) for text in own]
    for n, m, alike in _pairs(reading.text, spans, left, own_pairs):
        # Without numbers the only texts there are belong to the spans, however they were translated
        if alike >= min_similarity or whole:
            result[n] = (left[m], not whole)
    used = {item for item, _ in result if item is not None}
    left = [item for item in left if item not in used]
    spans = [n for n, (item, _) in enumerate(result) if item is None]
    if len(left) == 1 and len(spans) == 1:
        return [(left[0], True) if n == spans[0] else found for n, found in enumerate(result)]
    for half in reading.halves:
        for n in spans:
            completed = None
            if half.number in {None, n + 1}:
                completed = _completed(reading.text, half, own_pairs[n], min_similarity)
            if completed is not None:
                result[n] = (completed, True)
                spans.remove(n)
                break
    return result


def _pairs(
    text: str, spans: Sequence[int], marked: Sequence[Marked], own: Sequence[Counter[str]]
) -> list[tuple[int, int, float]]:
    """The one-to-one assignment of marked texts to spans with the greatest sum of similarities."""
    if not spans or not marked:
        return []
    import numpy as np
    from scipy.optimize import linear_sum_assignment

    texts = [bigrams(plain(text[m.start : m.end])) for m in marked]
    alike = np.asarray([[similarity(own[n], other) for other in texts] for n in spans])
    order = np.abs(np.linspace(0, 1, len(spans))[:, None] - np.linspace(0, 1, len(marked))[None])
    rows, columns = linear_sum_assignment(alike - ORDER * order, maximize=True)
    return [(spans[r], int(c), float(alike[r, c])) for r, c in zip(rows, columns, strict=True)]


def _completed(text: str, half: Half, own: Counter[str], min_similarity: float) -> Marked | None:
    """The words beside a marker without partner that are most like a span's own translation."""
    words = [m.span() for m in _WORD.finditer(text)]
    if half.opens:
        beside = [(half.place, end) for start, end in words if start >= half.place]
    else:
        beside = [(start, half.place) for start, end in reversed(words) if end <= half.place]
    best, best_range = min_similarity, None
    for start, end in beside[: own.total() + 2]:
        alike = similarity(own, bigrams(plain(text[start:end])))
        if alike > best:
            best, best_range = alike, (start, end)
    if best_range is None:
        return None
    start, end = best_range
    return Marked(start, end, half.number)


def locate(search: Search, reading: Reading, item: Marked, *, min_similarity: float) -> list[tuple[Stretch, float]]:
    """Where a marked text stands in the given target: the places most like it, and near where it is expected.

    RETURNS (list[tuple[Stretch, float]]): Places with totals, best first, and how sure each is.
    """
    text = reading.text[item.start : item.end]
    if len(_WORD.findall(text)) >= LONG:
        return _shared_words(search, reading, item, min_similarity)
    wanted = plain(text)
    if not wanted:
        return []
    pairs = bigrams(wanted)
    words = [plain(token.text) for token in search.work.bitext.target[search.low : search.high]]
    expected = _expected(search, reading, item)
    found = []
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
            alike = 1.0 if joined == wanted else similarity(pairs, bigrams(joined))
            if alike >= min_similarity:
                start, end = search.low + first, search.low + last + 1
                near = _near(start, end, expected, search)
                found.append((Stretch(start, end, alike + NEAR * near), round(alike * (1 - NEAR + NEAR * near), 4)))
    return sorted(found, key=lambda place: (-place[0].total, place[0].start, place[0].end))[:KEPT]


def _expected(search: Search, reading: Reading, item: Marked) -> tuple[float, float]:
    """Where the links of a span lead, or the same part of the sentence: target tokens, not whole numbers."""
    claim = search.work.evidence.claim(search.start, search.end)
    if claim is not None:
        stretch = claim.best()
        if search.low <= stretch.start and stretch.end <= search.high:
            return stretch.start, stretch.end
    scale = (search.high - search.low) / max(1, len(reading.text))
    return search.low + item.start * scale, search.low + item.end * scale


def _near(start: int, end: int, expected: tuple[float, float], search: Search) -> float:
    """How near a place is to the expected one: 1 for the same, 0 for the other end of the sentence."""
    distance = (abs(start - expected[0]) + abs(end - expected[1])) / 2
    return max(0.0, 1 - 2 * distance / max(1, search.high - search.low))


def _shared_words(search: Search, reading: Reading, item: Marked, min_similarity: float) -> list[tuple[Stretch, float]]:
    """The place of a long text: from the first to the last of its words in the target, in the same order."""
    words = list(_WORD.finditer(reading.text))
    target = [plain(token.text) or token.text for token in search.work.bitext.target[search.low : search.high]]
    own = [i for i, m in enumerate(words) if item.start <= m.start() and m.end() <= item.end]
    blocks = SequenceMatcher(
        None, [plain(m.group()) or m.group() for m in words], target, autojunk=False
    ).get_matching_blocks()
    matched = {a + i: b + i for a, b, size in blocks for i in range(size)}
    shared = [i for i in own if i in matched]
    share = len(shared) / max(1, len(own))
    if not shared or share < min_similarity:
        return []
    # Words at the ends that differ are as many on both sides
    start = max(0, matched[shared[0]] - (shared[0] - own[0]))
    end = min(len(target), matched[shared[-1]] + 1 + (own[-1] - shared[-1]))
    if start >= end:
        return []
    return [(Stretch(search.low + start, search.low + end, share), round(share, 4))]
