"""Trained pipelines as teachers: how probable the entities of a document are, and the tags of its tokens."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray
from spacy.language import Language
from spacy.tokens import Doc
from spacy.vocab import Vocab

from ..docs import with_vocab
from ..ensemble.component import EnsemblePipe
from ..errors import XltError, error
from ..io import path_digest
from ..ner.xlt_ner import XltNer
from ..probabilities import MIN_SCORE, Scores, assigned, span_keys


class Found(NamedTuple):
    """What a teacher finds in a document.

    Attributes:
        scores: All spans of `MIN_SCORE` and more, which may overlap.
        silent: Tokens that it says nothing of.
        soft: Probabilities of its tags, float16 `(n_tokens, n_tags)`; zeros for a token that it says nothing of.
    """

    scores: Scores
    silent: frozenset[int]
    soft: NDArray[np.float16]


class Teacher(Protocol):
    """What annotates raw text.

    Attributes:
        tags: Of the soft labels, as `XltNer.tags`.
        lang: Of the first pipeline.
        digests: Of the pipelines' files.
    """

    tags: list[str]
    lang: str
    digests: list[str]

    def find(self, docs: list[Doc]) -> list[Found]:
        """What it finds in each document; the documents are not changed."""

    def memory_zone(self) -> AbstractContextManager[Any]:
        """Inside it, what the pipelines read is forgotten at its end."""


class AveragedTagger:
    """One or several `xlt_ner` with the same tags: for each token the mean of their distributions, as calibrated.

    The mean of several teachers is what Wu et al. (2020, "Single-/Multi-Source Cross-Lingual NER via Teacher-Student
    Learning on Unlabeled Data in Target Language") teach with.
    """

    def __init__(self, members: Sequence[XltNer], *, lang: str, digests: list[str]):
        self.members = list(members)
        self.tags = self.members[0].tags
        self.lang = lang
        self.digests = digests

    def find(self, docs: list[Doc]) -> list[Found]:
        """See Teacher."""
        import torch

        by_member = [member.log_probabilities(docs) for member in self.members]
        mean = [torch.stack(parts).exp().mean(dim=0) for parts in zip(*by_member, strict=True)]
        log_mean = [probabilities.clamp(min=1e-9).log() for probabilities in mean]
        spans = self.members[0].span_probabilities(docs, least=MIN_SCORE, log_probabilities=log_mean)
        soft = [probabilities.flatten(1).half().cpu().numpy() for probabilities in mean]
        return [Found(span_keys(found), frozenset(), probs) for found, probs in zip(spans, soft, strict=True)]

    def memory_zone(self) -> AbstractContextManager[Any]:
        """See Teacher; `xlt_ner` keeps nothing in a vocabulary."""
        return nullcontext()


class VotingTeacher:
    """Pipelines of any kind, whose probabilities of spans are averaged as in `xlt_ensemble`.

    Args:
        ensemble: Combines them.
        nlp: The pipeline around it, of which the components before it are run; None for an ensemble by itself.
    """

    def __init__(self, ensemble: EnsemblePipe, *, nlp: Language | None, lang: str, digests: list[str]):
        self.ensemble = ensemble
        self.nlp = nlp
        self.lang = lang
        self.digests = digests
        self.labels = list(ensemble.found_labels or ())
        self.tags = ["O", *(f"{tag}-{label}" for tag in "BI" for label in self.labels)]

    def find(self, docs: list[Doc]) -> list[Found]:
        """See Teacher."""
        if self.nlp is not None:
            before = self.nlp.pipe_names.index(self.ensemble.name)
            copies = [with_vocab(doc, self.nlp.vocab) for doc in docs]
            docs = list(self.nlp.pipe(copies, disable=self.nlp.pipe_names[before:]))
        scored = self.ensemble.span_scores(docs, least=MIN_SCORE)
        return [
            Found(scores, silent, self._soft_labels(doc, scores, silent))
            for doc, (scores, silent) in zip(docs, scored, strict=True)
        ]

    def memory_zone(self) -> AbstractContextManager[Any]:
        """See Teacher."""
        stack = ExitStack()
        for nlp in [*([self.nlp] if self.nlp is not None else []), *self.ensemble.inner_pipelines()]:
            stack.enter_context(nlp.memory_zone())
        return stack

    def _soft_labels(self, doc: Doc, scores: Scores, silent: frozenset[int]) -> NDArray[np.float16]:
        """A token is inside a span with the sum of the probabilities of the spans that have it inside."""
        soft = np.zeros((len(doc), len(self.tags)))
        for (start, end, label), probability in scores.items():
            if label in self.labels:
                place = 1 + self.labels.index(label)
                soft[start, place] += probability
                soft[start + 1 : end, place + len(self.labels)] += probability
        # Members that vote for spans which exclude one another may exceed 1 together
        soft /= soft.sum(axis=1, keepdims=True).clip(min=1)
        soft[:, 0] = 1 - soft.sum(axis=1)
        soft[sorted(silent)] = 0
        return soft.astype(np.float16)


def load_teacher(pipelines: Sequence[str]) -> Teacher:
    """Load pipelines to annotate with, by name or path.

    Those whose entities are all from an `xlt_ner` with the same tags are averaged token by token. Of others the
    probabilities of spans are averaged, as `xlt_ensemble` does it; a pipeline with an `xlt_ensemble` of its own is
    taken as it combines.

    Raises:
        XltError: E104 for one that cannot be loaded or does not annotate, E161 for one without a component that finds
            entities.
    """
    members: dict[str, str | None] = {f"pipeline_{i}": pipeline for i, pipeline in enumerate(pipelines, start=1)}
    ensemble = _ensemble(members)
    nlps = ensemble.inner_pipelines()
    which: Any = {"lang": nlps[0].lang, "digests": [path_digest(Path(nlp.path)) for nlp in nlps]}
    by_pipeline = [_finders(nlp) for nlp in nlps]
    for pipeline, nlp, finders in zip(pipelines, nlps, by_pipeline, strict=True):
        if not finders:
            known = ", ".join(nlp.pipe_names) or "none"
            values = {"name": "label", "setting": "PIPELINE", "pipeline": pipeline, "what": "doc.ents", "known": known}
            raise error("E161", **values)
    taggers = [finders[0] for finders in by_pipeline if len(finders) == 1 and hasattr(finders[0], "log_probabilities")]
    teacher: Teacher
    if len(taggers) == len(nlps) and len({tuple(tagger.tags) for tagger in taggers}) == 1:
        teacher = AveragedTagger(taggers, **which)
    elif len(nlps) == 1 and isinstance(by_pipeline[0][-1], EnsemblePipe):
        teacher = VotingTeacher(by_pipeline[0][-1], nlp=nlps[0], **which)
    else:
        # Warns where the labels differ
        ensemble.initialize(lambda: [])
        teacher = VotingTeacher(ensemble, nlp=None, **which)
    _try(teacher, pipelines)
    return teacher


def _try(teacher: Teacher, pipelines: Sequence[str]) -> None:
    """Annotate a word, before anything is written. What models load at first use is loaded then, outside of zones."""
    try:
        teacher.find([Doc(Vocab(), words=["a"])])
    except XltError:
        raise
    # A pipeline without weights may fail with anything
    except Exception as err:
        reason = f"it does not annotate ({type(err).__name__}: {err})"
        values = {"name": "label", "setting": "PIPELINE", "pipeline": ", ".join(pipelines), "reason": reason}
        raise error("E104", **values) from err


def _ensemble(members: dict[str, str | None]) -> EnsemblePipe:
    settings: Any = {**(Language.get_factory_meta("xlt_ensemble").default_config or {}), "members": members}
    return EnsemblePipe("label", **settings)


def _finders(nlp: Language) -> list[Any]:
    """The components of a pipeline that find entities."""
    pipes = [pipe for name, pipe in nlp.pipeline if "doc.ents" in assigned(nlp, name)]
    # An `xlt_ner` or ensemble with a key finds spans of a group
    return [pipe for pipe in pipes if getattr(pipe, "key", None) is None and getattr(pipe, "spans_key", None) is None]
