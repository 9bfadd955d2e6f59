"""SQuAD's JSON: paragraphs, questions, and answers by their place in the paragraph (Rajpurkar et al. 2016, 2018)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from spacy.tokens import Doc

from ..docs import META
from ..errors import error
from ..languages import blank
from ..textfiles import read_text
from .places import CODE_POINTS, CR_LF, UTF8, UTF16, CharSpan, Ruler, same_text, write_group
from .settings import ReadNotes, ReadSettings

ANSWERS, ANSWER = "answers", "answer"
_UNITS = (CODE_POINTS, UTF16, UTF8, CR_LF)


def read_squad(path: Path, settings: ReadSettings, notes: ReadNotes) -> Iterator[Doc]:
    """Read paragraphs and questions, each a document, the questions behind their paragraph.

    The answers are spans of a group "answers" with the question's id as `span.id_`, one for each place. A question is
    a document of its own, so that it is translated as well; `doc.user_data["meta"]` says of what paragraph it is, and
    whether it can be answered. Entities are missing.

    Raises:
        XltError: E503 without a paragraph, E574 for what is no such file and for offsets that count something else than
            code points.
    """
    try:
        data = json.loads(read_text(path, settings.encoding).lstrip("\ufeff"))
        articles = data["data"]
        paragraphs = [(article, paragraph) for article in articles for paragraph in article["paragraphs"]]
    except ValueError as err:
        raise error(
            "E574", format="squad", path=path, line=getattr(err, "lineno", 1), reason=f"no JSON: {err}"
        ) from err
    except (KeyError, TypeError) as err:
        raise error(
            "E574", format="squad", path=path, line=1, reason=f"it has no {err}, as SQuAD's files have"
        ) from err
    if not paragraphs:
        raise error("E503", path=path)
    _check_unit(path, paragraphs)
    for number, (article, paragraph) in enumerate(paragraphs):
        try:
            yield from _docs(article, paragraph, number, settings, notes)
        except (KeyError, TypeError) as err:
            raise error(
                "E574", format="squad", path=path, line=f"paragraph {number + 1}", reason=f"it lacks {err}"
            ) from err


def _answers(paragraph: dict[str, Any]) -> Iterator[tuple[str, int, str]]:
    """Question, place and text of the answers of a paragraph, each once."""
    for question in paragraph["qas"]:
        for start, text in dict.fromkeys((one["answer_start"], one["text"]) for one in question.get("answers") or ()):
            yield str(question["id"]), start, text


def _check_unit(path: Path, paragraphs: list[tuple[Any, dict[str, Any]]]) -> None:
    """Make sure that offsets are code points, where they can be told from other units at all."""
    fitting = dict.fromkeys(_UNITS, 0)
    for _, paragraph in paragraphs:
        context = paragraph.get("context", "")
        if not isinstance(context, str) or (context.isascii() and "\r" not in context):
            continue
        rulers = [Ruler(context, unit) for unit in _UNITS]
        for _, start, text in _answers(paragraph):
            for ruler in rulers:
                place = ruler.characters(start, start + len(Ruler(text, ruler.unit)))
                fitting[ruler.unit] += place is not None and same_text(context[slice(*place)], text)
    best = max(fitting, key=fitting.__getitem__)
    if fitting[best] > 2 * fitting[CODE_POINTS]:
        reason = f"its offsets are {best}; write them in code points, as Python counts a string"
        raise error("E574", format="squad", path=path, line=1, reason=reason)


def _docs(
    article: dict[str, Any], paragraph: dict[str, Any], number: int, settings: ReadSettings, notes: ReadNotes
) -> Iterator[Doc]:
    context = paragraph["context"]
    doc = blank(settings.lang).tokenizer(context)
    spans = []
    for id, start, text in _answers(paragraph):
        found = context[start : start + len(text)]
        if not same_text(found, text):
            notes.leave_out(f"paragraph {number + 1}", "an answer", f"{text!r} where the text has {found!r}")
        else:
            spans.append(CharSpan(start, start + len(text), ANSWER, id))
    write_group(doc, ANSWERS, spans, notes)
    doc.user_data[META] = {"paragraph": number, "title": str(article.get("title", ""))}
    yield doc
    for question in paragraph["qas"]:
        asked = blank(settings.lang).tokenizer(question["question"])
        possible = not question.get("is_impossible", False) and bool(question.get("answers"))
        asked.user_data[META] = {"paragraph": number, "question": str(question["id"]), "possible": possible}
        yield asked
