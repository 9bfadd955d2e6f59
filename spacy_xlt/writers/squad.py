"""SQuAD's JSON."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

from spacy.tokens import Doc

from ..readers.squad import ANSWERS
from .spans import meta_of


def squad_entries(docs: Iterable[Doc], left_out: Counter[str]) -> Iterator[str]:
    """An article for each paragraph, with the questions that follow it.

    A question that could be answered and whose answers were lost is left out: it would teach that there is none.
    """
    article: dict[str, Any] | None = None
    number: Any = None
    answers: dict[str, list[dict[str, Any]]] = {}
    for doc in docs:
        meta = meta_of(doc)
        if "paragraph" not in meta:
            left_out["documents that are neither paragraph nor question"] += 1
        elif "question" not in meta:
            if article is not None:
                yield json.dumps(article, ensure_ascii=False)
            number, answers = meta["paragraph"], _answers(doc)
            article = {"title": meta.get("title", ""), "paragraphs": [{"context": doc.text, "qas": []}]}
        elif article is None or meta["paragraph"] != number:
            left_out["questions without their paragraph"] += 1
        elif meta.get("possible", True) and meta["question"] not in answers:
            left_out["questions whose answers were lost"] += 1
        else:
            question = {"id": meta["question"], "question": doc.text, "is_impossible": not meta.get("possible", True)}
            article["paragraphs"][0]["qas"].append({**question, "answers": answers.get(meta["question"], [])})
    if article is not None:
        yield json.dumps(article, ensure_ascii=False)


def _answers(doc: Doc) -> dict[str, list[dict[str, Any]]]:
    answers: dict[str, list[dict[str, Any]]] = {}
    for span in doc.spans.get(ANSWERS, ()):
        answers.setdefault(span.id_, []).append({"text": span.text, "answer_start": span.start_char})
    return answers
