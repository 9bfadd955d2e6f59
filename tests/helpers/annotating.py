"""Language models that annotate text as a function says, and what documents have then."""

from __future__ import annotations

import re

import spacy

from helpers.language_server import chat
from spacy_xlt.annotate.llm import LlmAnnotator
from spacy_xlt.llm.api import Answer

LABELS = {"PER": "people", "LOC": "places"}
# What an honest model knows
NAMES = {"Maria": "PER", "MARIA": "PER", "Pedro": "PER", "Lisboa": "LOC", "Porto": "LOC"}


class Saying:
    """A language model that says what a function makes of the text in a prompt and the number of the sample."""

    signature = "saying"

    def __init__(self, say):
        self.say = say
        self.requests = []

    def complete(self, requests, *, progress=None):
        self.requests += requests
        made = [self.say(request.text.rpartition("\n\n")[2], request.sample) for request in requests]
        return [answer if isinstance(answer, Answer) else Answer(answer) for answer in made]


def tagged(text):
    """The text with the names in it tagged."""
    return re.sub(r"\w+", lambda m: f"<{NAMES[m[0]]}>{m[0]}</{NAMES[m[0]]}>" if m[0] in NAMES else m[0], text)


def honest(body, n):
    return chat(tagged(body["messages"][-1]["content"].rpartition("\n\n")[2]))


def annotator(say, **changes):
    return LlmAnnotator(model=Saying(say), **{"labels": LABELS, **changes})


def annotate(text, *answers, lang="pt", **changes):
    """A text as one sentence, annotated with an answer for each vote."""
    doc = spacy.blank(lang)(text)
    for token in doc:
        token.is_sent_start = token.i == 0
    return annotator(lambda _, sample: answers[sample], votes=len(answers), **changes).annotate([doc])[0]


def ents(doc):
    return [(ent.text, ent.label_) for ent in doc.ents]


def missing(doc):
    return [token.text for token in doc if token.ent_iob == 0]
