"""What is checked before a training: labels that mean the same in all sources, and text in the language declared."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import langcodes
from spacy.language import Language
from spacy.util import get_lang_class

from ..bitext import ENTS
from ..errors import error, warn
from ..languages import MULTI
from .sources import CATS, SELF_LABELLED, LoadedSource

# How a table of labels calls the pipeline itself
PIPELINE = "(the pipeline)"

# A text is in another language where so many of its words are stop words of that one alone,
MIN_WORDS = 20
# stop words of that one are so large a share of its words (the larger one where the declared language has none in the
# script of the text),
MIN_SHARE, MIN_SHARE_ALONE = 0.25, 0.38
# and words of that list alone are so many times those of the declared language's alone.
MIN_RATIO = 4
# Shorter lists say little
MIN_LIST = 40


def check_labels(
    nlp: Language, loaded: Sequence[LoadedSource], *, section: str, may_differ: bool | Sequence[str]
) -> None:
    """Make sure that every source has every label, of what the pipeline learns.

    A self-labelled source may lack one: what its pipelines were not sure of is missing there, and not "no entity". So
    may one in which no document has such annotation at all. Categories that differ are a warning (W613): a document
    of another category teaches nothing wrong, but two sources may call the same category by two names.

    Args:
        section: Where the corpus stands in the config.
        may_differ: True where it is meant to be; or labels that not every source must have.

    Raises:
        XltError: E613 with each source's labels.
    """
    if may_differ is True:
        return
    taught = {each.source.block for each in loaded if each.source.kind == SELF_LABELLED}
    for key in learned_by(nlp):
        by_name = _labels_by_source(loaded, key)
        every = {label for labels in by_name.values() for label in labels} - set(may_differ or ())
        lacking = {name: sorted(every - set(labels)) for name, labels in by_name.items() if name not in taught}
        if any(lacking.values()):
            _report_difference(key, by_name, lacking, section)


def check_labels_known(
    nlp: Language, loaded: Sequence[LoadedSource], *, section: str, may_differ: bool | Sequence[str]
) -> None:
    """Make sure that a trained pipeline knows the labels that it is scored on. One without labels yet knows all.
    Categories that it does not know are a warning (W613).

    Args:
        section: Where the corpus stands in the config.
        may_differ: True to check nothing; or labels that the pipeline need not know.

    Raises:
        XltError: E613 with the labels of the pipeline and of each source.
    """
    if may_differ is True:
        return
    for key, known in learned_by(nlp).items():
        by_name = _labels_by_source(loaded, key)
        lacking = {label for labels in by_name.values() for label in labels} - known - set(may_differ or ())
        if known and lacking:
            # Only what the pipeline lacks is wrong: a small development set need not have every label
            pipeline = dict.fromkeys(sorted(known), 0)
            _report_difference(key, {PIPELINE: pipeline, **by_name}, {PIPELINE: sorted(lacking)}, section)


def learned_by(nlp: Language) -> dict[str, set[str]]:
    """What the components of a pipeline learn ("ents", "cats", keys of span groups; "ents" if it is unclear), and its
    labels so far."""
    learned: dict[str, set[str]] = {}
    for name, pipe in nlp.pipeline:
        assigns = nlp.get_pipe_meta(name).assigns
        if "doc.cats" in assigns:
            learned.setdefault(CATS, set()).update(getattr(pipe, "labels", ()))
        key = ENTS if "doc.ents" in assigns else getattr(pipe, "key", None) if "doc.spans" in assigns else None
        if isinstance(key, str):
            learned.setdefault(key, set()).update(getattr(pipe, "labels", ()))
    return learned or {ENTS: set()}


def needs_categories(nlp: Language) -> bool:
    """Whether a component would learn from a document without a category that it has none of them."""
    classifiers = [pipe for name, pipe in nlp.pipeline if "doc.cats" in nlp.get_pipe_meta(name).assigns]
    return not all(getattr(pipe, "support_missing_values", True) for pipe in classifiers)


def _labels_by_source(loaded: Sequence[LoadedSource], key: str) -> dict[str, dict[str, int]]:
    by_block: dict[str, Counter[str]] = {}
    for each in loaded:
        # Entities and categories can be missing; a span group that is not there has no span
        if key in each.counts.labels or key not in (ENTS, CATS):
            by_block.setdefault(each.source.block, Counter()).update(each.counts.labels.get(key, {}))
    return {name: dict(labels) for name, labels in by_block.items()}


def _report_difference(
    key: str, by_name: Mapping[str, Mapping[str, int]], lacking: Mapping[str, Sequence[str]], section: str
) -> None:
    table = [
        f"  {name}: {', '.join(f'{label} {n}' if n else label for label, n in sorted(labels.items())) or 'none'}"
        + (f" (lacks {', '.join(lacking[name])})" if lacking.get(name) else "")
        for name, labels in by_name.items()
    ]
    named = sorted({label for labels in lacking.values() for label in labels})
    labels = "[" + ", ".join(f'"{label}"' for label in named) + "]"
    if key == CATS:
        warn("W613", table="\n".join(table), section=section, labels=labels)
        return
    kind = "entity" if key == ENTS else f"{key!r} span"
    raise error("E613", key=kind, table="\n".join(table), section=section, labels=labels)


def warn_of_unused_labels(loaded: LoadedSource) -> None:
    """Warn of labels that a mapping names and the source does not have: most often a slip of the pen."""
    source = loaded.source
    ours = {label for labels in loaded.counts.labels.values() for label in labels}
    # A label that was renamed is no longer there under its own name, so ask for the new one
    unused = [
        label
        for label, other in source.labels.items()
        if label not in loaded.counts.labels_out and (not other or other not in ours)
    ]
    if unused:
        known = ", ".join(sorted(ours)) or "none"
        warn("W612", section=loaded.section, labels=", ".join(sorted(unused)), path=source.path, known=known)


def check_language(loaded: LoadedSource, others: Iterable[str], *, section: str) -> None:
    """Make sure that a source is not evidently in another language than declared.

    Args:
        others: spaCy's codes of languages that it may be in instead.
        section: Where the corpus stands in the config.

    Raises:
        XltError: E614 with the reason.
    """
    source = loaded.source
    if reason := wrong_language(loaded.words, source.lang, others):
        values = {"name": source.name, "path": source.path, "lang": source.lang, "reason": reason}
        raise error("E614", section=section, **values)


def wrong_language(words: Mapping[str, int], declared: str, others: Iterable[str]) -> str:
    """What speaks against a text being in the language declared, by spaCy's stop words alone.

    Args:
        words: Words of the text, in lower case, and how often each is there.
        declared: spaCy's code.
        others: Languages that it may be in instead.

    Returns:
        The reason, in words; "" where nothing evident speaks against it.
    """
    if declared == MULTI:
        return ""
    expected = stop_words(declared)
    n_words, n_expected = sum(words.values()), _n_in(words, expected)
    # Of Serbian in Latin letters a list in Cyrillic ones says nothing
    comparable = bool(expected) and _script(words) == _script(dict.fromkeys(expected, 1))
    for other in dict.fromkeys(others):
        foreign = stop_words(other)
        if other in (declared, MULTI) or len(foreign) < MIN_LIST or _related(declared, other):
            continue
        n_foreign, only_foreign = _n_in(words, foreign), _n_in(words, foreign - expected)
        least = MIN_SHARE if comparable else MIN_SHARE_ALONE
        only_expected = _n_in(words, expected - foreign)
        if only_foreign >= max(MIN_WORDS, MIN_RATIO * only_expected) and n_foreign >= least * n_words:
            return f"of {n_words} words {n_foreign} are stop words of {other!r}, {n_expected} of {declared!r}"
    return ""


def _script(words: Mapping[str, int]) -> str:
    """The script of most words, as Unicode calls it; "" of none."""
    scripts: Counter[str] = Counter()
    for word, n in words.items():
        scripts[unicodedata.name(word[0], "").partition(" ")[0]] += n
    return scripts.most_common(1)[0][0] if scripts else ""


def _n_in(words: Mapping[str, int], listed: frozenset[str]) -> int:
    return sum(n for word, n in words.items() if word in listed)


def stop_words(lang: str) -> frozenset[str]:
    """spaCy's stop words of a language, without single letters; none where spaCy has no class for it."""
    try:
        words = get_lang_class(lang).Defaults.stop_words
    except ImportError:
        return frozenset()
    return frozenset(word for word in words if len(word) > 1)


def _related(first: str, second: str) -> bool:
    """Whether the languages are close in CLDR's table of which other language a speaker reads: nn and nb, gl and es."""
    return langcodes.tag_distance(first, second) < 30 or langcodes.tag_distance(second, first) < 30
