"""A translator with all that guards its output: strings that must stay, given terms, and quality gates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ..errors import warn
from ..protocols import Term, Translation
from .cached import CachedTranslator
from .placeholders import find_protected
from .quality.base import Judged
from .quality.gates import QualityGates
from .standins import STYLES, TERM, Attempt, Fixed, attempt, missing, repair, untranslated
from .terms import MISSING

LOST = "placeholder_lost"


@dataclass(frozen=True)
class Request:
    """A text to translate.

    terms (tuple[Fixed, ...]): Words in it whose translation is given. Of those that overlap, the longest counts.
    """

    text: str
    terms: tuple[Fixed, ...] = ()


@dataclass
class _Job:
    """A text with something in it that must stay, on its way."""

    request: int
    text: str
    fixed: tuple[Fixed, ...]
    best: Translation | None = None
    lost: tuple[Fixed, ...] = ()

    def take(self, translation: Translation, *, target: str) -> None:
        """Keep a translation if it lacks less than those before."""
        lost = tuple(missing(translation.text, self.text, self.fixed, target_lang=target))
        if self.best is None or len(lost) < len(self.lost):
            self.best, self.lost = translation, lost

    @property
    def open(self) -> bool:
        return self.best is None or bool(self.lost)


class GuardedTranslator:
    """Translates texts so that what must stay stays, and flags what went wrong.

    translator (CachedTranslator): What translates.
    protect (tuple[str, ...]): Kinds of strings that must not be translated; see `placeholders.KINDS`.
    gates (QualityGates | None): What judges the translations.
    """

    def __init__(
        self, translator: CachedTranslator, *, protect: tuple[str, ...] = (), gates: QualityGates | None = None
    ):
        self.translator = translator
        self.protect = protect
        self.gates = gates
        self._takes_terms = bool(getattr(translator.engine, "takes_terms", False))
        self._warned = False

    def translate(self, requests: Sequence[Request], *, source: str, target: str) -> list[Translation]:
        """One translation for each request.

        Placeholders go through the translator as stand-ins, one kind of them after the other until all come back; terms
        do so where the translator cannot be told of them, or did not do as told, and the plain translation lacks them.
        What is still lost is written where the translator looked at it, where that is known; else it is flagged
        "placeholder_lost" or "term_missing".

        RETURNS (list[Translation]): As many as the engine gave, where that is another number.
        """
        jobs: list[_Job] = []
        plain: list[int] = []
        for i, request in enumerate(requests):
            fixed = self._fixed(request)
            if fixed:
                jobs.append(_Job(i, request.text, fixed))
            else:
                plain.append(i)
        first = [attempt(job.text, job.fixed, style=STYLES[0], with_terms=False) for job in jobs]
        whole = [one.sent.strip() == "" for one in first]
        for job, is_whole in zip(jobs, whole, strict=True):
            if is_whole:
                job.best = untranslated(job.text, job.fixed)
        asked = [(job, one) for job, one, is_whole in zip(jobs, first, whole, strict=True) if not is_whole]
        texts = [requests[i].text for i in plain] + [one.sent for _, one in asked]
        terms: list[list[Term]] = [[] for _ in plain] + [self._terms(job) for job, _ in asked]
        answers = self.translator.translate(
            texts, source=source, target=target, terms=terms if self._takes_terms else None
        )
        if len(answers) != len(texts):
            return answers
        out: list[Translation] = [Translation("")] * len(requests)
        for i, answer in zip(plain, answers, strict=False):
            out[i] = answer
        self._take(asked, answers[len(plain) :], target)
        for style in STYLES:
            # Without terms, the first stand-ins have been tried by now
            todo = [job for job in jobs if job.open and (style != STYLES[0] or self._terms(job))]
            self._retry(todo, style, source, target)
        self._retry([job for job in jobs if job.open], None, source, target)
        for job in jobs:
            out[job.request] = _flagged(job)
        return self._judged(out, requests, {job.request: job.fixed for job in jobs}, source, target)

    def _fixed(self, request: Request) -> tuple[Fixed, ...]:
        """What is given in a text, in order and without overlaps: placeholders before terms, then the longest."""
        found = [
            Fixed(start, end, request.text[start:end], kind)
            for start, end, kind in find_protected(request.text, kinds=self.protect)
        ]
        for term in sorted(request.terms, key=lambda term: (term.start - term.end, term.start)):
            if all(term.end <= item.start or item.end <= term.start for item in found):
                found.append(term)
        return tuple(sorted(found))

    @staticmethod
    def _terms(job: _Job) -> list[Term]:
        return [Term(item.form, job.text[item.start : item.end]) for item in job.fixed if item.kind == TERM]

    @staticmethod
    def _take(asked: Sequence[tuple[_Job, Attempt]], answers: Sequence[Translation], target: str) -> None:
        for (job, one), answer in zip(asked, answers, strict=True):
            done = one.finish(answer)
            if done is not None:
                job.take(done, target=target)

    def _retry(self, jobs: list[_Job], style: str | None, source: str, target: str) -> None:
        """Translate again those that lack something: with stand-ins for all that is given, or plainly and repaired."""
        asked = [(job, attempt(job.text, job.fixed, style=style, with_terms=True)) for job in jobs]
        if not asked:
            return
        terms = [self._terms(job) for job in jobs] if self._takes_terms and style is None else None
        answers = self.translator.translate([one.sent for _, one in asked], source=source, target=target, terms=terms)
        self._take(asked, answers, target)
        if style is None:
            for job, answer in zip(jobs, answers, strict=True):
                lost = missing(answer.text, job.text, job.fixed, target_lang=target)
                job.take(repair(answer, lost), target=target)

    def _judged(
        self,
        translations: list[Translation],
        requests: Sequence[Request],
        fixed: dict[int, tuple[Fixed, ...]],
        source: str,
        target: str,
    ) -> list[Translation]:
        if self.gates is None or not self.gates.filters:
            return translations
        pairs = []
        for i, (request, translation) in enumerate(zip(requests, translations, strict=True)):
            text, made = request.text, translation.text
            for item in reversed(fixed.get(i, ())):
                if item.kind != TERM:
                    text = text[: item.start] + text[item.end :]
                    made = made.replace(item.form, "", 1)
            pairs.append(Judged(text, made, source, target, translation.score))
        flags = self.gates.flags(pairs, engine=self.translator)
        self._warn_of_language(pairs, flags)
        return [
            replace(one, flags=tuple(dict.fromkeys([*one.flags, *more]))) if more else one
            for one, more in zip(translations, flags, strict=True)
        ]

    def _warn_of_language(self, pairs: Sequence[Judged], flags: Sequence[tuple[str, ...]]) -> None:
        for pair, found in zip(pairs, flags, strict=True):
            if "source_language" in found and not self._warned:
                self._warned = True
                warn("W251", lang=pair.source_lang, text=pair.source[:60])


def _flagged(job: _Job) -> Translation:
    assert job.best is not None
    flags = [flag for flag in job.best.flags if flag != MISSING]
    flags += [MISSING if item.kind == TERM else LOST for item in job.lost]
    return replace(job.best, flags=tuple(dict.fromkeys(flags)))
