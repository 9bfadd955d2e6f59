"""What projectors share that look for each span by itself and place the spans of a document together afterwards."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import islice
from typing import Any

from spacy.tokens import Doc, Span

from .. import __version__
from ..bitext import Bitext
from ..errors import XltError, error
from ..languages import MULTI, to_spacy
from .assign import assign_choices
from .boundaries import adjust, is_clause, sentence_of
from .carry import NAMES, Outcome, Placement
from .combining.runs import Run, start_run
from .evidence import Evidence, Stretch

# Bitexts worked on at a time.
BATCH = 256


@dataclass
class Work:
    """A bitext that is being projected, with its links read once.

    source, target (str): Language codes.
    """

    bitext: Bitext
    source: str
    target: str

    @cached_property
    def evidence(self) -> Evidence:
        return Evidence(self.bitext.alignment)


@dataclass
class Search:
    """One source span to be found: which tokens of the target it may be, and what was found.

    start, end (int): Source tokens `[start, end)`.
    low, high (int): Target tokens `[low, high)` of its sentence, or sentences.
    source_low, source_high (int): The same on the source.
    label (str): The label of the span, or of one of the spans there.
    choices (list[Stretch]): Possible places, best first; totals are above 0, and of the best places of all spans of a
        conflict the greatest sum wins.
    sure (dict[tuple[int, int], float]): How sure each place is, from 0 to 1.
    reason (str): Why there are no choices: a key of `carry.REASONS`.
    """

    work: Work
    start: int
    end: int
    low: int
    high: int
    source_low: int
    source_high: int
    label: str = ""
    choices: list[Stretch] = field(default_factory=list)
    sure: dict[tuple[int, int], float] = field(default_factory=dict)
    reason: str = "no_candidate"

    @property
    def length(self) -> int:
        """Source tokens."""
        return self.end - self.start

    @property
    def languages(self) -> tuple[str, str]:
        return self.work.source, self.work.target

    @property
    def text(self) -> str:
        """The text of the source span."""
        return text_of(self.work.bitext.source, self.start, self.end)

    def target_text(self, start: int, end: int) -> str:
        """The text of target tokens `[start, end)`."""
        return text_of(self.work.bitext.target, start, end)


def text_of(doc: Doc, start: int, end: int) -> str:
    """The text of tokens `[start, end)`, without white space at its ends."""
    return doc[start:end].text.strip()


def check_spans_settings(ents: Any, spans_keys: Any, min_score: Any) -> None:
    """RAISES (XltError): E401 where one of the settings that projectors share is of the wrong kind."""
    if not isinstance(ents, bool):
        raise error("E401", setting="ents", value=ents, expected="true or false")
    if isinstance(spans_keys, str) or not all(isinstance(key, str) for key in spans_keys or ()):
        raise error("E401", setting="spans_keys", value=spans_keys, expected="a list of span group names, or null")
    check_number("min_score", min_score, 0, 1)


def check_number(setting: str, value: Any, low: float, high: float, *, whole: bool = False) -> None:
    """RAISES (XltError): E401 where a setting is no number, or not from `low` to `high`."""
    kinds = int if whole else (int, float)
    if isinstance(value, bool) or not isinstance(value, kinds) or not low <= value <= high:
        what = "a whole number" if whole else "a number"
        limits = f"from {low:g}" if high == float("inf") else f"from {low:g} to {high:g}"
        raise error("E401", setting=setting, value=value, expected=f"{what} {limits}")


def spans_signature(projector: Any) -> str:
    """The settings that projectors share, for their signatures."""
    keys = "all" if projector.spans_keys is None else ",".join(projector.spans_keys)
    return f"ents:{'yes' if projector.ents else 'no'}|spans_keys:{keys}|min_score:{projector.min_score:g}"


def not_knowing(err: XltError, *, projector: str, source: str, target: str) -> XltError:
    """What to raise where a translator lacks a direction (its E201): E410, which names the projector and its settings.
    Other errors stay as they are."""
    if err.code != "E201":
        return err
    return error("E410", projector=projector, source=source, target=target, reason=err.message)


class SpanwiseProjector(ABC):
    """Finds places for each span, then places all spans of a group together: those that are apart in the source do
    not share words on the target.

    A subclass writes `search`. What it adds to the signature is `own_signature`.

    translator (Any): What translates or scores; the bundled translator where left out, made when needed.
    source, target (str): The languages, where nothing is known of a bitext.
    ents, spans_keys, min_score: See `make_link_projector`.
    RAISES (XltError): E401 for a setting of the wrong kind, E411 for a translator without the method that is needed.
    """

    # Methods that the translator must have
    needs: tuple[str, ...] = ()

    def __init__(
        self,
        *,
        translator: Any = None,
        source: str = "en",
        target: str = "pt",
        ents: bool = True,
        spans_keys: Sequence[str] | None = None,
        min_score: float = 0.0,
    ):
        check_spans_settings(ents, spans_keys, min_score)
        for method in self.needs:
            if translator is not None and not callable(getattr(translator, method, None)):
                raise error("E411", projector=self.name, engine=type(translator).__name__, method=method)
        self.source = to_spacy(source)
        self.target = to_spacy(target)
        self.ents = ents
        self.spans_keys = None if spans_keys is None else list(spans_keys)
        self.min_score = float(min_score)
        self._translator = translator

    @property
    def name(self) -> str:
        return type(self).__name__

    @property
    def translator(self) -> Any:
        """The translator; the bundled one is made at first use."""
        if self._translator is None:
            from ..translation.bergamot.engine import BergamotTranslator

            self._translator = BergamotTranslator()
        return self._translator

    @property
    @abstractmethod
    def own_signature(self) -> str:
        """The settings that only this projector has."""

    @property
    def signature(self) -> str:
        """All settings, versions, and the translator's signature."""
        languages = f"source:{self.source}|target:{self.target}"
        return (
            f"{self.name}|{self.own_signature}|{languages}|{spans_signature(self)}|version:{__version__}"
            f"|{self.translator.signature}"
        )

    @abstractmethod
    def search(self, searches: Sequence[Search]) -> None:
        """Fill in `choices` and `sure`, or `reason`, of each search."""

    def project(self, bitexts: Iterable[Bitext]) -> list[Bitext]:
        """Annotate the target docs in place: entities, span groups with `attrs["scores"]` and `attrs["by"]` (which
        way or engine found each span), and `bitext.lost`.

        RETURNS (list[Bitext]): The same bitexts, in order.
        RAISES (XltError): E410 where the translator lacks the direction of a bitext.
        """
        stream, done, signature = iter(bitexts), [], self.signature
        while batch := list(islice(stream, BATCH)):
            for run in self.project_batch(batch):
                run.write()
                run.bitext.projector = signature
            done += batch
        return done

    def project_batch(self, batch: Sequence[Bitext]) -> list[Run]:
        """Find the spans of some bitexts; nothing is written."""
        found: list[tuple[Run, Work, dict[tuple[int, int], Search]]] = []
        for bitext in batch:
            run = start_run(bitext, ents=self.ents, spans_keys=self.spans_keys, reason="no_candidate")
            work = Work(bitext, known(bitext.source_lang, self.source), known(bitext.target_lang, self.target))
            of_place = {(s.start, s.end): s for spans in run.groups.values() for s in spans if s.start < s.end}
            found.append((run, work, {place: _search_of(work, of_place[place]) for place in sorted(of_place)}))
        self.search([search for _, _, searches in found for search in searches.values()])
        for run, work, searches in found:
            for key, spans in run.groups.items():
                run.outcomes[key] = self._place(work, spans, searches, key)
                run.ways[key] = [self.name] * len(spans)
        return [run for run, _, _ in found]

    def _place(
        self, work: Work, spans: Sequence[Span], searches: Mapping[tuple[int, int], Search], key: str
    ) -> list[Outcome]:
        ranges = [(span.start, span.end) for span in spans]
        own = [searches.get(r) for r in ranges]
        choices = [search.choices if search else [] for search in own]
        best = [options[0] if options else None for options in choices]
        if len(spans) > 1:
            assign_choices(ranges, choices, best)
        outcomes: list[Outcome] = []
        for source, search, stretch in zip(ranges, own, best, strict=True):
            outcome: Outcome
            if search is None:
                outcome = "empty"
            elif stretch is None:
                outcome = search.reason
            else:
                score = search.sure[stretch.start, stretch.end]
                if not is_clause(work.bitext, source):
                    stretch = adjust(work.bitext, work.evidence, source, stretch, name=key in NAMES)
                outcome = "low_score" if score < self.min_score else Placement(stretch.start, stretch.end, score)
            outcomes.append(outcome)
        return outcomes


def known(language: str, default: str) -> str:
    """A bitext's language, or the default where it says nothing."""
    return default if language in {"", MULTI} else language


def _search_of(work: Work, span: Span) -> Search:
    first, last = sentence_of(work.bitext, span.start), sentence_of(work.bitext, span.end - 1)
    low, high = min(first[2], last[2]), max(first[3], last[3])
    source_low, source_high = min(first[0], last[0]), max(first[1], last[1])
    return Search(work, span.start, span.end, low, high, source_low, source_high, span.label_)
