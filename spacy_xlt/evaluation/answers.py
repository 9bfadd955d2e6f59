"""Scoring answers to questions as SQuAD does (Rajpurkar et al. 2016), in any language."""

from __future__ import annotations

import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

from spacy.tokens import Doc

from ..bitext import span_scores
from ..readers.squad import ANSWERS
from ..tokens import is_unspaced

_ENGLISH_ARTICLES = frozenset(("a", "an", "the"))


def has_answers(doc: Doc) -> bool:
    """Whether a document has answers with the ids of their questions, as `read_squad` gives them."""
    return any(span.id_ for span in doc.spans.get(ANSWERS, ()))


def score_answers(predicted: Iterable[Doc], golds: Iterable[Doc]) -> dict[str, Any]:
    """Compare answers with gold ones, question by question.

    Of a question with several gold answers the best score counts; of several predicted answers the surest one. A
    question without a gold answer does not count.

    Returns:
        `answers_exact` and `answers_f`: means over questions, as fractions, of exact match and of F1 over words; see
        `answer_words`. `answers`: the number of questions. The means are None without a question.
    """
    exact, overlap, n = 0.0, 0.0, 0
    for doc, gold in zip(predicted, golds, strict=True):
        wanted: defaultdict[str, list[list[str]]] = defaultdict(list)
        for span in gold.spans.get(ANSWERS, ()):
            if span.id_:
                wanted[span.id_].append(answer_words(span.text, gold.lang_))
        found = {question: answer_words(text, gold.lang_) for question, text in _surest(doc).items()}
        n += len(wanted)
        for question, answers in wanted.items():
            if question in found:
                exact += max(found[question] == answer for answer in answers)
                overlap += max(_f1(found[question], answer) for answer in answers)
    means = (
        {"answers_exact": exact / n, "answers_f": overlap / n} if n else dict.fromkeys(("answers_exact", "answers_f"))
    )
    return {**means, "answers": n}


def answer_words(text: str, lang: str) -> list[str]:
    """The words of an answer that count: without case, punctuation and symbols, and in English without articles.

    SQuAD's own script does so with ASCII's. A character of a script that has no spaces between words is a word, as in
    the script of MLQA (Lewis et al. 2020).
    """
    folded = unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).casefold())
    plain = "".join(char for char in folded if unicodedata.category(char)[0] not in "PS")
    words = "".join(f" {char} " if is_unspaced(char) else char for char in plain).split()
    return [word for word in words if word not in _ENGLISH_ARTICLES] if lang == "en" else words


def _surest(doc: Doc) -> dict[str, str]:
    """The surest answer to each question, the first one of those that are equally sure."""
    scores = span_scores(doc, ANSWERS)
    best: dict[str, tuple[float, str]] = {}
    for span in doc.spans.get(ANSWERS, ()):
        score = scores.get((span.start, span.end, span.label_), 1.0)
        if span.id_ and (span.id_ not in best or score > best[span.id_][0]):
            best[span.id_] = score, span.text
    return {question: text for question, (_, text) in best.items()}


def _f1(found: Sequence[str], answer: Sequence[str]) -> float:
    if not found or not answer:
        return float(found == answer)
    return 2 * (Counter(found) & Counter(answer)).total() / (len(found) + len(answer))
