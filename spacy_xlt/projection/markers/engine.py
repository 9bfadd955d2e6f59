"""Projection by markers: spans are marked in the source, and found where the translation has the marks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ...bitext import Bitext
from ...errors import XltError, error
from ...protocols import Projector
from ..combining.runs import Run, rescue
from ..spanwise import Search, SpanwiseProjector, check_number, not_knowing, text_of
from .marking import STYLES, Range, Reading, Style, layers, mark, read
from .matching import identify, locate

# Flag of sentence pairs with a span whose markers were lost.
FLAG = "markers_lost"
_LOST = "markers_lost"
_DEFAULT_STYLES = ("numbered", "brackets")


def make_marker_projector(
    *,
    translator: Any = None,
    markers: str | Sequence[str] = _DEFAULT_STYLES,
    fallback: Any = "links",
    min_similarity: float = 0.5,
    source: str = "en",
    target: str = "pt",
    ents: bool = True,
    spans_keys: list[str] | None = None,
    min_score: float = 0.0,
) -> MarkerProjector:
    """Make the projector from a config.

    translator (Translator | None): What translates the marked text; the bundled one where left out.
    markers (str | list[str]): Kinds of markers, "numbered" ([1: …]), "brackets" ([…]), "quotes" ("…") or "tags"
        (<a>…</a>); of several the later ones for what the earlier ones lost.
    fallback (Projector | str | None): What places the spans whose markers were lost: a projector, or "links" for
        LinkProjector; null to have them lost.
    min_similarity (float): How similar texts must be to be taken for the same, from 0 to 1.
    source, target (str): The languages, where nothing is known of a bitext.
    ents, spans_keys, min_score: As LinkProjector's.
    RAISES (XltError): E401 and E412 for a setting that cannot be, E411 for a translator that cannot translate.
    """
    return MarkerProjector(
        translator=translator,
        markers=markers,
        fallback=fallback,
        min_similarity=min_similarity,
        source=source,
        target=target,
        ents=ents,
        spans_keys=spans_keys,
        min_score=min_score,
    )


@dataclass
class _Text:
    """A sentence, or several that a span crosses, with the spans that are to be marked in it.

    ranges (list[Range]): Characters of each span in the text.
    """

    text: str
    searches: list[Search]
    ranges: list[Range]
    languages: tuple[str, str]


class MarkerProjector(SpanwiseProjector):
    """Marks the spans of each sentence, translates it, and looks for what the markers hold in the given target.

    The target itself is never changed. Where it is another translation than the marked one, the text between the
    markers is found in it by the similarity of the letters, near the place that word links or the order of the words
    give. Markers that come out doubled, spaced or as another kind of bracket are understood, one without a partner is
    completed, texts of uncertain owner go to the span whose own translation they are most like (EasyProject, Chen et
    al. 2023, https://arxiv.org/abs/2211.15613). What is lost even so is marked alone, then in the next style, and
    goes to the fallback in the end; the sentence is flagged "markers_lost" then and `attrs["by"]` has the fallback.

    See `make_marker_projector` for the settings.
    """

    needs = ("translate",)

    def __init__(
        self,
        *,
        translator: Any = None,
        markers: str | Sequence[str] = _DEFAULT_STYLES,
        fallback: Any = "links",
        min_similarity: float = 0.5,
        source: str = "en",
        target: str = "pt",
        ents: bool = True,
        spans_keys: Sequence[str] | None = None,
        min_score: float = 0.0,
    ):
        super().__init__(
            translator=translator, source=source, target=target, ents=ents, spans_keys=spans_keys, min_score=min_score
        )
        styles = [markers] if isinstance(markers, str) else list(markers)
        if not styles or any(style not in STYLES for style in styles):
            raise error("E401", setting="markers", value=markers, expected=f"one or more of {', '.join(STYLES)}")
        check_number("min_similarity", min_similarity, 0, 1)
        if fallback == "links":
            from ..links import LinkProjector

            fallback = LinkProjector(ents=ents, spans_keys=spans_keys)
        if fallback is not None and not isinstance(fallback, Projector):
            raise error("E412", projector=self.name, setting="fallback", value=type(fallback).__name__)
        self.markers = styles
        self.fallback = fallback
        self.min_similarity = float(min_similarity)

    @property
    def own_signature(self) -> str:
        fallback = "none" if self.fallback is None else f"({self.fallback.signature})"
        return f"markers:{','.join(self.markers)}|min_similarity:{self.min_similarity:g}|fallback:{fallback}"

    def project_batch(self, batch: Sequence[Bitext]) -> list[Run]:
        """As other projectors, then the fallback for what is lost."""
        runs = super().project_batch(batch)
        if self.fallback is not None:
            rescue(self.fallback, runs, unsure=lambda outcome: outcome == _LOST, min_score=self.min_score)
        for run in runs:
            _flag(run, self.name)
        return runs

    def search(self, searches: Sequence[Search]) -> None:
        """Find the spans' places: style after style, those of a sentence together and what is lost one by one."""
        left = list(searches)
        own: dict[int, str] = {}
        for name in self.markers:
            for together in (True, False):
                if left:
                    self._try(left, STYLES[name], own, together=together)
                    left = [search for search in left if not search.choices]
        for search in left:
            search.reason = _LOST

    def _try(self, searches: Sequence[Search], style: Style, own: dict[int, str], *, together: bool) -> None:
        texts = [text for text in _texts(searches, style, together=together) if style.usable(text.text)]
        marked = self._translate([mark(text.text, text.ranges, style) for text in texts], texts)
        readings = [read(found, text.text, style) for found, text in zip(marked, texts, strict=True)]
        # What a span is by itself is asked only where the markers alone don't tell
        unclear = [
            search
            for text, reading in zip(texts, readings, strict=True)
            if not _clear(reading, text, style)
            for search in text.searches
            if id(search) not in own
        ]
        alone = [_Text(search.text, [search], [], search.languages) for search in unclear]
        own.update(
            (id(search), found)
            for search, found in zip(unclear, self._translate([t.text for t in alone], alone), strict=True)
        )
        for text, reading in zip(texts, readings, strict=True):
            known = [own.get(id(search), "") for search in text.searches]
            found = identify(reading, known, numbered=style.numbered, min_similarity=self.min_similarity)
            for search, (item, repaired) in zip(text.searches, found, strict=True):
                if item is None:
                    continue
                places = locate(search, reading, item, min_similarity=self.min_similarity)
                search.choices = [stretch for stretch, _ in places]
                search.sure = {(s.start, s.end): sure * (0.9 if repaired else 1.0) for s, sure in places}

    def _translate(self, marked: Sequence[str], texts: Sequence[_Text]) -> list[str]:
        """Translations of marked texts, language by language."""
        result = [""] * len(marked)
        for languages in sorted({text.languages for text in texts}):
            rows = [i for i, text in enumerate(texts) if text.languages == languages]
            source, target = languages
            try:
                found = self.translator.translate([marked[i] for i in rows], source=source, target=target)
            except XltError as err:
                raise not_knowing(err, projector=self.name, source=source, target=target) from err
            for i, translation in zip(rows, found, strict=True):
                result[i] = translation.text
        return result


def _clear(reading: Reading, text: _Text, style: Style) -> bool:
    """Whether the markers alone say which text belongs to which span."""
    if reading.halves or len(reading.marked) != len(text.searches):
        return False
    numbers = sorted(item.number or 0 for item in reading.marked)
    return len(text.searches) == 1 or (style.numbered and numbers == list(range(1, len(numbers) + 1)))


def _texts(searches: Iterable[Search], style: Style, *, together: bool) -> list[_Text]:
    """Source texts to be marked: those of the spans' sentences, as many times as it takes."""
    of_sentence: dict[tuple[int, int, int], list[Search]] = {}
    for n, search in enumerate(searches):
        key = id(search.work), search.source_low, search.source_high if together else -n - 1
        of_sentence.setdefault(key, []).append(search)
    texts = []
    for group in of_sentence.values():
        first = group[0]
        doc = first.work.bitext.source
        whole = doc[first.source_low : first.source_high].text
        lead, start = len(whole) - len(whole.lstrip()), doc[first.source_low].idx
        ranges = [_characters(search, start + lead) for search in group]
        for layer in layers(ranges, style):
            texts.append(_Text(whole.strip(), [group[n] for n in layer], [ranges[n] for n in layer], first.languages))
    return texts


def _characters(search: Search, offset: int) -> Range:
    doc = search.work.bitext.source
    start = doc[search.start].idx
    full = doc[search.start : search.end].text
    lead = len(full) - len(full.lstrip())
    text = text_of(doc, search.start, search.end)
    return start + lead - offset, start + lead + len(text) - offset


def _flag(run: Run, name: str) -> None:
    """Say in the sentence pairs' flags where markers were lost."""
    bitext = run.bitext
    touched: set[int] = set()
    for key, spans in run.groups.items():
        for span, outcome, way in zip(spans, run.outcomes[key], run.ways[key], strict=True):
            if outcome == _LOST or way != name:
                touched.update(n for n, p in enumerate(bitext.sentences) if _meets(p.source, span.start, span.end))
    for n in touched:
        pair = bitext.sentences[n]
        bitext.sentences[n] = replace(pair, flags=tuple(dict.fromkeys([*pair.flags, FLAG])))


def _meets(sentence: tuple[int, int], start: int, end: int) -> bool:
    return sentence[0] < end and start < sentence[1]
