"""Getting a text through a translator so that what must stay stays: placeholders, terms, words that it cannot spell."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from ..errors import warn
from ..languages import UNSEGMENTED, to_spacy
from ..protocols import Speller, Translation
from .cache import CachedTranslator
from .capitals import sentence_case
from .constraints import REFERENCE, TERM, WORD, Constraint, find_placeholders, squeezed
from .plain_forms import Plain
from .quality import QualityGates, TranslationPair
from .spelling import APART, UNKNOWN, joined, spelling
from .standins import RETRY, STANDIN, MaskedText, flagged, mask, unmask

LOST = "placeholder_lost"
MISSING = "term_missing"


@dataclass(frozen=True)
class Request:
    """A text to translate.

    Attributes:
        terms: Words in it whose translation is given. Of those that overlap, the longest counts.
        names: Where annotated spans stand in it, in characters.
    """

    text: str
    terms: tuple[Constraint, ...] = ()
    names: tuple[tuple[int, int], ...] = ()


def missing(text: str, source: str, constraints: Sequence[Constraint], *, target_lang: str) -> list[Constraint]:
    """What a translation lacks.

    Args:
        text: The translation.
        source: The text that was translated.
        constraints: What is given. Placeholders must be there exactly as often as in the source; terms letter by letter
            and as often as they are asked for, in languages with spaces as whole words.
        target_lang: spaCy's code.
    """
    spaced = target_lang not in UNSEGMENTED
    asked = Counter(squeezed(item.target) for item in constraints if item.kind == TERM)
    squeezed_text = squeezed(text)
    lost: dict[str, bool] = {}

    def is_missing(item: Constraint) -> bool:
        if item.kind != TERM:
            if item.target not in lost:
                lost[item.target] = _occurrences(item, text) != max(1, _occurrences(item, source))
            return lost[item.target]
        words = squeezed(item.target)
        return bool(words) and _count_words(squeezed_text, words, spaced) < asked[words]

    return [item for item in constraints if is_missing(item)]


@dataclass
class _Job:
    """A text on its way.

    Attributes:
        cased: The text without capitals that models don't know.
        is_whole: Whether the engine is known to translate it as it is.
    """

    text: str
    constraints: tuple[Constraint, ...]
    cased: str
    in_capitals: bool = False
    plain: Sequence[Plain] = ()
    is_whole: bool = False
    tried: list[str] = field(default_factory=list)
    best: Translation | None = None
    lost: Sequence[Constraint] = ()

    @property
    def is_open(self) -> bool:
        return self.best is None or bool(self.lost)

    def take(self, translation: Translation | None, *, target: str) -> None:
        """Keep a translation if it lacks less than the one before."""
        if translation is None:
            return
        lost = missing(translation.text, self.text, self.constraints, target_lang=target) if self.constraints else ()
        if self.best is None or len(lost) < len(self.lost):
            self.best, self.lost = translation, lost

    def masked(self, constraints: Sequence[Constraint], standin: str) -> MaskedText:
        """What is given to the translator where these strings get stand-ins."""
        masked = mask(self.cased, constraints, standin=standin, plain=self.plain)
        if not self.in_capitals:
            return masked
        before, after = self.text[: len(masked.before)], self.text[len(self.text) - len(masked.after) :]
        return replace(masked, before=before, after=after, in_capitals=True)

    @property
    def result(self) -> Translation:
        """The best translation, flagged. A text whose unknown words are lost stays as it is."""
        if self.best is None or any(item.kind == UNKNOWN for item in self.lost):
            return Translation(self.text, flags=(UNKNOWN,))
        return flagged(self.best, [MISSING if item.kind == TERM else LOST for item in self.lost])


class MaskingTranslator:
    """Translates texts so that what must stay stays, and flags what went wrong.

    Args:
        translator: What translates.
        protect: Kinds of strings that must not be translated; see `constraints.KINDS`.
        gates: What judges the translations.
    """

    def __init__(self, translator: CachedTranslator, *, protect: Sequence[str] = (), gates: QualityGates | None = None):
        self.translator = translator
        self.protect = tuple(protect)
        self.gates = gates
        self._warned = False

    def translate(self, requests: Sequence[Request], *, source: str, target: str) -> list[Translation]:
        """Translate texts.

        Placeholders go through the translator as stand-ins, and terms do so where the translation lacks one. Where one
        is still lost, the text is translated once more with other stand-ins, and where that fails as it is. What the
        best of these translations lacks is flagged "placeholder_lost" or "term_missing".
        """
        jobs = self._jobs(requests, source, target)
        attempts: tuple[Callable[[_Job], MaskedText | None], ...] = (
            # Terms often come by themselves, and translations without stand-ins are better
            lambda job: job.masked([item for item in job.constraints if item.kind != TERM], STANDIN),
            lambda job: job.masked(job.constraints, STANDIN),
            lambda job: job.masked(job.constraints, RETRY),
            # The text as it is, unless there are words that would become others
            lambda job: None if UNKNOWN in (item.kind for item in job.constraints) else job.masked((), STANDIN),
        )
        self._run([(job, MaskedText(job.text)) for job in jobs if job.is_whole], source, target)
        for attempt in attempts:
            self._run([(job, masked) for job in jobs if job.is_open and (masked := attempt(job))], source, target)
        return self._judged(jobs, to_spacy(source), to_spacy(target))

    def _jobs(self, requests: Sequence[Request], source: str, target: str) -> list[_Job]:
        """What is to be done for each text, by what the engine says of its characters."""
        jobs, language = [], to_spacy(source)
        for request in requests:
            cased, in_capitals = sentence_case(request.text, request.names, lang=language)
            jobs.append(_Job(request.text, self._constraints(request), cased, in_capitals))
        unknown = self._unknown([job.cased for job in jobs], source, target)
        for job, characters in zip(jobs, unknown, strict=True):
            job.is_whole = characters is None
            if characters or (characters is not None and any(item.kind == REFERENCE for item in job.constraints)):
                self._spell(job, characters, source, target)
        return jobs

    def _spell(self, job: _Job, unknown: frozenset[str], source: str, target: str) -> None:
        """Find how a text with unknown characters is sent, and whether it is sent at all."""

        def lacks(text: str) -> frozenset[str]:
            return self._unknown([text], source, target)[0] or frozenset()

        found = spelling(job.cased, unknown, job.constraints, lacks=lacks)
        if found.is_hopeless:
            job.best = Translation(job.text, flags=(UNKNOWN,))
            return
        kept = [item._replace(target=job.text[item.start : item.end]) for item in found.kept]
        job.constraints = joined(job.text, [*kept, *(item for item in job.constraints if item.kind != REFERENCE)])
        job.plain = found.plain

    def _unknown(self, texts: Sequence[str], source: str, target: str) -> list[frozenset[str] | None]:
        engine = self.translator.engine
        if not isinstance(engine, Speller):
            return [frozenset()] * len(texts)
        return engine.unknown(texts, source=source, target=target)

    def _run(self, work: Sequence[tuple[_Job, MaskedText]], source: str, target: str) -> None:
        """Translate what was not yet tried, in one call."""
        asked, language = [], to_spacy(target)
        for job, masked in work:
            if not masked.sent.strip():
                job.take(Translation(job.text), target=language)
            elif masked.sent not in job.tried:
                job.tried.append(masked.sent)
                asked.append((job, masked))
        answers = self.translator.translate([masked.sent for _, masked in asked], source=source, target=target)
        for (job, masked), answer in zip(asked, answers, strict=True):
            job.take(unmask(masked, answer, target=language), target=language)

    def _constraints(self, request: Request) -> tuple[Constraint, ...]:
        """What is given in a text, in order and without overlaps: placeholders before terms, then the longest."""
        result = find_placeholders(request.text, kinds=self.protect)
        for term in sorted(request.terms, key=lambda term: (term.start - term.end, term.start)):
            if all(term.end <= item.start or item.end <= term.start for item in result):
                result.append(term)
        return joined(request.text, result)

    def _judged(self, jobs: Sequence[_Job], source: str, target: str) -> list[Translation]:
        """The translations with the flags of the gates, which do not see placeholders."""
        translations = [job.result for job in jobs]
        if self.gates is None:
            return translations
        judged = []
        for job, translation in zip(jobs, translations, strict=True):
            text, made = job.text, translation.text
            for item in reversed(job.constraints):
                if item.kind != TERM:
                    text = text[: item.start] + text[item.end :]
                    made = made.replace(item.target, "", 1)
            flags = self.gates.flags(TranslationPair(text, made, source, target, translation.score))
            if "source_language" in flags and not self._warned:
                self._warned = True
                warn("W251", lang=source, text=text[:60])
            judged.append(flagged(translation, flags))
        return judged


def _occurrences(item: Constraint, text: str) -> int:
    placeholder = item.target
    if item.kind in APART or placeholder not in text:
        return text.count(placeholder)
    before = f"(?<!{WORD})" if placeholder[0].isalnum() else ""
    after = f"(?!{WORD})" if placeholder[-1].isalnum() else ""
    return len(re.findall(f"{before}{re.escape(placeholder)}{after}", text))


def _count_words(text: str, words: str, spaced: bool) -> int:
    before = r"(?<!\w)" if spaced and re.match(r"\w", words) else ""
    after = r"(?!\w)" if spaced and re.search(r"\w\Z", words) else ""
    return len(re.findall(before + re.escape(words) + after, text))
