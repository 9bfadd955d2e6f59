"""Getting strings and given words through a translator: stand-ins that models copy, put back in the translation.

Models lose or change what they have no pieces for, such as "@" or backticks. A short web address in its place nearly
always goes through: of 1,568 sentences with such a string, most at random places, the bundled English-Portuguese
model kept it in 1,554 with the first stand-in, and in 12 of the others with the second.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import NamedTuple

from ..errors import warn
from ..languages import UNSEGMENTED, to_spacy
from ..protocols import Speller, Translation
from .cache import CachedTranslator
from .capitals import sentence_case, upper
from .constraints import REFERENCE, TERM, WORD, Constraint, find_placeholders, squeezed
from .quality import QualityGates, TranslationPair
from .spelling import APART, UNKNOWN, Plain, around, joined, put_back, spelling

LOST = "placeholder_lost"
MISSING = "term_missing"
# What stands in at first, and where the model loses or doubles that; `{}` becomes a letter or a letter with a number
STANDIN, RETRY = "http://{}.com", "http://www.{}.com/"
_LETTERS = "xyzkqvwj"
# What a translator can do without at the ends of a text: a string after or before one of these stands for itself.
_BEFORE_TRAILING = frozenset(".!?:;…—–-|>»。！？：")
_AFTER_LEADING = frozenset(":|—–-»：")


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


class Standin(NamedTuple):
    """What stands for a string, and whether a space was put before and behind it, which goes again."""

    name: str
    target: str
    before: bool = False
    after: bool = False


@dataclass(frozen=True)
class MaskedText:
    """What is given to the translator for a text, and how to get from its answer to the translation.

    Attributes:
        sent: What the translator gets.
        before: What of the text is taken over before the translation.
        after: What of it is taken over behind the translation.
        standins: What in `sent` stands for what.
        plain: What in `sent` is in a plain form.
        in_capitals: Whether the text was in capitals, and its translation is to be so.
    """

    sent: str
    before: str = ""
    after: str = ""
    standins: tuple[Standin, ...] = ()
    plain: tuple[Plain, ...] = ()
    in_capitals: bool = False


def mask(text: str, constraints: Sequence[Constraint], *, standin: str, plain: Sequence[Plain] = ()) -> MaskedText:
    """Put stand-ins and plain forms in the places of strings, which don't overlap and are in order.

    Placeholders at the ends that stand for themselves are left out. `standin` is `STANDIN` or `RETRY`.
    """
    start, end = _core(text, constraints)
    names = _names(text, standin)
    standins: list[Standin] = []
    written: list[Plain] = []
    sent, at = "", start
    items: list[Constraint | Plain] = [*constraints, *plain]
    for item in sorted(items, key=lambda item: item.start):
        if item.start < start or end < item.end:
            continue
        sent += text[at : item.start]
        at = item.end
        if isinstance(item, Plain):
            written.append(Plain(len(sent), len(sent) + len(item.sent), item.sent, item.restored))
            sent += item.sent
            continue
        pads = _pads(text, item) if item.kind in APART else (False, False)
        standins.append(Standin(next(names), item.target, *pads))
        sent += f"{' ' * pads[0]}{standins[-1].name}{' ' * pads[1]}"
    return MaskedText(sent + text[at:end], text[:start], text[end:], tuple(standins), tuple(written))


def unmask(masked: MaskedText, translation: Translation, *, target: str = "") -> Translation | None:
    """The translation with everything put back, without attention where that moves characters.

    Args:
        target: spaCy's code of its language.

    Returns:
        None where a stand-in is not in it exactly once, or nothing is.
    """
    if masked == MaskedText(masked.sent):
        return translation
    text = translation.text
    # A translation memory knows the whole text and not its changed form
    if not text.strip():
        return None
    text = upper(text, lang=target) if masked.in_capitals else text
    text, is_sure = put_back(text, masked.sent, masked.plain)
    left = {standin.name: standin for standin in masked.standins}
    names = frozenset(left)
    form = RETRY if any(name.endswith("/") for name in names) else STANDIN
    parts, at = [], 0
    for match in _pattern(form).finditer(text) if left else ():
        name = match.group().lower()
        standin = left.pop(name, None)
        if standin is None and name in names:
            return None
        if standin is not None:
            start, end = match.span()
            start -= standin.before and text[start - 1 : start] == " "
            parts += [text[at:start], standin.target]
            at = end + (standin.after and text[end : end + 1] == " ")
    if left:
        return None
    text = "".join([*parts, text[at:]])
    made = replace(translation, text=masked.before + text + masked.after, alignment=None)
    return made if is_sure else _flagged(made, [UNKNOWN])


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
        return _flagged(self.best, [MISSING if item.kind == TERM else LOST for item in self.lost])


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
            judged.append(_flagged(translation, flags))
        return judged


def _flagged(translation: Translation, flags: Sequence[str]) -> Translation:
    return replace(translation, flags=tuple(dict.fromkeys([*translation.flags, *flags]))) if flags else translation


def _pads(text: str, item: Constraint) -> tuple[bool, bool]:
    """Whether a space is due before and behind a stand-in, which could else not be told from the words around it."""
    before, after = around(text, item.start, item.end)
    opens = not before or before.isspace() or unicodedata.category(before) in ("Ps", "Pi") or before in "\"'"
    # A point or slash with more behind it would read as a part of the address
    return not opens, after.isalnum() or (after != "" and after in "./" and text[item.end + 1 :][:1].isalnum())


@lru_cache(maxsize=2)
def _pattern(standin: str) -> re.Pattern[str]:
    """What finds all stand-ins of a form."""
    name = re.escape(standin).replace(r"\{\}", rf"[{_LETTERS}]\d*")
    return re.compile(rf"(?<!{WORD})(?<![./]){name}(?!{WORD}|[./]{WORD})", re.IGNORECASE)


def _names(text: str, standin: str) -> Iterator[str]:
    """Stand-ins that the text does not have, without end."""
    lowered, number = text.lower(), 0
    if "http" not in lowered:
        lowered = ""
    while True:
        letter, turn = _LETTERS[number % len(_LETTERS)], number // len(_LETTERS)
        name = standin.format(f"{letter}{turn or ''}")
        number += 1
        if name not in lowered:
            yield name


def _core(text: str, constraints: Sequence[Constraint]) -> tuple[int, int]:
    """The text without placeholders at its ends that stand for themselves, such as an address after a full stop."""
    start, end = 0, len(text)
    rest, at = "", 0
    for item in constraints:
        rest += text[at : item.start] + (item.target if item.kind == TERM else "")
        at = item.end
    if constraints and not any(char.isalnum() for char in rest + text[at:]):
        return end, end
    for item in reversed(constraints):
        before = text[start : item.start].rstrip()
        if item.kind == TERM or text[item.end : end].strip():
            break
        if before and before[-1] not in _BEFORE_TRAILING and not _is_symbol(item):
            break
        end = start + len(before)
    for item in constraints:
        after = text[item.end : end].lstrip()
        if item.kind == TERM or item.end > end or text[start : item.start].strip():
            break
        if after and after[0] not in _AFTER_LEADING and not _is_symbol(item):
            break
        start = end - len(after.lstrip("".join(_AFTER_LEADING) + " "))
    return start, max(start, end)


def _is_symbol(item: Constraint) -> bool:
    """Whether it is no part of a sentence at whose end it stands, such as an emoji or the mark before a list item."""
    return item.kind == UNKNOWN and not any(char.isalnum() for char in item.target)


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
