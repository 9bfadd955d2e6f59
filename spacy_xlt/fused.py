"""`xlt_fused`: entities by a pipeline that reads the annotated translation before the text.

After TransFusion (Chen et al. 2023, "Better Low-Resource Entity Recognition Through Translation and Annotation
Fusion"): a sentence's translation with its entities in tags, a separator, then the sentence itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from spacy.language import Language
from spacy.scorer import get_ner_prf
from spacy.tokens import Doc, Span, SpanGroup
from spacy.training import Example
from spacy.vocab import Vocab

from .bitext import DROP_FLAG, ENTS_GROUP, Bitext, span_scores
from .docs import copy_groups, copy_span, links_follow, missing_ranges, slice_doc, with_vocab
from .engine import check_arguments
from .errors import error
from .languages import to_spacy
from .pipe import XltPipe
from .probabilities import finds, labels_of
from .subpipeline import SubPipeline

# Between translation and text
SEPARATOR = "|||"
# `(start, end, label, probability)`
FoundSpan = tuple[int, int, str, float]


def fuse(text: Doc, translation: Doc, vocab: Vocab) -> tuple[Doc, int]:
    """One document of an annotated translation and a text. The annotation of the translation's part is missing.

    Returns:
        The document, and the place of the text's first token in it.
    """
    first = [*_tagged(translation), SEPARATOR]
    offset = len(first)
    # One sentence, so that nothing parts the text from its translation
    starts: list[bool | int | None] = [i == 0 for i in range(offset + len(text))]
    words, spaces = [*first, *(token.text for token in text)], [bool(token.whitespace_) for token in text]
    doc = Doc(vocab, words=words, spaces=[True] * offset + spaces, sent_starts=starts)

    def move(span: Span) -> Span:
        return copy_span(span, doc, span.start + offset)

    if text.has_annotation("ENT_IOB"):
        unknown = [(0, offset), *((start + offset, end + offset) for start, end in missing_ranges(text))]
        missing = [Span(doc, start, end) for start, end in unknown]
        doc.set_ents([move(ent) for ent in text.ents], missing=missing, default="outside")
    copy_groups(text, doc, move)
    return doc, offset


def fused_sentences(bitext: Bitext, vocab: Vocab) -> Iterator[Doc]:
    """The target sentences of a bitext, each behind its annotated source: to train on, as they are projected."""
    for pair in bitext.sentences:
        if DROP_FLAG not in pair.flags and pair.target_start < pair.target_end:
            yield fuse(slice_doc(bitext.target, *pair.target), slice_doc(bitext.source, *pair.source), vocab)[0]


def _tagged(doc: Doc) -> list[str]:
    begins = {ent.start: f"<{ent.label_}>" for ent in doc.ents}
    ends = {ent.end: f"</{ent.label_}>" for ent in doc.ents}
    words: list[str] = []
    for token in doc:
        if token.i in begins:
            words.append(begins[token.i])
        words.append(token.text)
        if token.i + 1 in ends:
            words.append(ends[token.i + 1])
    return words


@Language.factory(
    "xlt_fused",
    requires=["doc._.xlt"],
    assigns=["doc.ents", "doc.spans"],
    default_config={"pipeline": None, "target": None},
)
class FusedPipe(XltPipe[list[FoundSpan]]):
    """Annotates documents by a pipeline that reads each sentence behind its annotated translation.

    `xlt_translator` and `xlt_annotator` come before it. The entities are in `doc.ents`, and with probabilities in
    `doc.spans["xlt_ents"]` where the pipeline gives them there, as `xlt_ner` does.

    Args:
        pipeline: A pipeline that was trained on what `spacy xlt shards fuse` writes: its name or a path. It is saved
            with the component. None only for a config that is to be filled in.
        target: Which bitext of `doc._.xlt`, by language code; the first one where left out.
    """

    def __init__(self, name: str, *, nlp: Language | None = None, pipeline: str | None, target: str | None):
        check_arguments(name, FusedPipe.__init__, locals())
        super().__init__(name, SubPipeline(pipeline, name=name))
        self.target = target

    def initialize(self, get_examples: Callable[[], Iterable[Example]], *, nlp: Language | None = None) -> None:
        """Load the pipeline.

        Raises:
            XltError: E160 or E104 where it cannot be loaded, E161 where it finds no entities.
        """
        super().initialize(get_examples, nlp=nlp)
        inner: Language = self.engine.nlp
        if not finds(inner, None):
            known = ", ".join(inner.pipe_names) or "none"
            values = {"setting": "pipeline", "pipeline": self.engine.pipeline, "what": "doc.ents", "known": known}
            raise error("E161", name=self.name, **values)

    def inner_pipelines(self) -> list[Language]:
        """The pipeline that reads both."""
        return [self.engine.nlp]

    @property
    def found_labels(self) -> tuple[str, ...] | None:
        """The labels that the pipeline gives; None where it does not say."""
        labels = labels_of(self.engine.nlp)
        return None if labels is None else tuple(sorted(labels))

    def predict(self, docs: list[Doc]) -> list[list[FoundSpan]]:
        """The entities of each document with their probabilities, in order."""
        fused: list[Doc] = []
        # For each of them: the number of its document, the place of its text in it, and of the sentence in the document
        places: list[tuple[int, int, int]] = []
        for number, doc in enumerate(docs):
            bitext = self._bitext_of(doc)
            for pair in bitext.sentences:
                if pair.source_start < pair.source_end:
                    text, translation = slice_doc(doc, *pair.source), slice_doc(bitext.target, *pair.target)
                    # Its words alone
                    both, offset = fuse(with_vocab(text, self.engine.nlp.vocab), translation, self.engine.nlp.vocab)
                    fused.append(both)
                    places.append((number, offset, pair.source_start))
        by_doc: list[list[FoundSpan]] = [[] for _ in docs]
        for (number, offset, start), read in zip(places, self.engine.run(fused), strict=True):
            by_doc[number] += _found(read, offset, start)
        return by_doc

    def set_annotations(self, docs: list[Doc], predictions: list[list[FoundSpan]]) -> None:
        """Write the entities with their probabilities."""
        for doc, found in zip(docs, predictions, strict=True):
            ents = [Span(doc, start, end, label=label) for start, end, label, _ in found]
            with links_follow(doc):
                doc.set_ents(ents, default="outside")
            attrs = {"scores": [probability for *_, probability in found]}
            doc.spans[ENTS_GROUP] = SpanGroup(doc, name=ENTS_GROUP, attrs=attrs, spans=ents)

    def score(self, examples: Iterable[Example], **kwargs: Any) -> dict[str, Any]:
        """The scores of the entities as for spaCy's `ner`."""
        return get_ner_prf(examples)

    def _bitext_of(self, doc: Doc) -> Bitext:
        store = doc._.xlt
        if not len(store):
            raise error("E102", name=self.name)
        lang = next(iter(store)) if self.target is None else to_spacy(self.target)
        if lang not in store:
            raise error("E005", lang=lang, known=", ".join(store))
        bitext: Bitext = store[lang]
        return bitext


def _found(read: Doc, offset: int, start: int) -> list[FoundSpan]:
    """The entities of the text in a fused document, at their places in the document that its sentence is from."""
    scores = span_scores(read, ENTS_GROUP)
    return [
        (
            ent.start - offset + start,
            ent.end - offset + start,
            ent.label_,
            scores.get((ent.start, ent.end, ent.label_), 1.0),
        )
        for ent in read.ents
        if ent.start >= offset
    ]
