"""Projectors that ask a model in this process, and what they made of a bitext."""

from __future__ import annotations

from helpers.scripted_model import ScriptedModel
from spacy_xlt.projection.llm import LlmProjector

NO_LINKS = ""


def llm(*answers, **settings):
    """A projector whose model gives these answers, the n-th to sample n."""
    return LlmProjector(model=ScriptedModel(lambda request: answers[request.sample]), **settings)


def score_of(bitext, key="xlt_ents"):
    (score,) = bitext.target.spans[key].attrs["scores"]
    return score


def reasons(bitext):
    return [lost.reason for lost in bitext.lost]
