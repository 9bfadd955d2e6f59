"""The training configs besides transformer and ner, trained in small: spans that nest, and no transformer at all."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import spacy
from helpers.paths import ASSETS, CONFIGS
from helpers.tiny_encoder import make_tiny_encoder
from helpers.trainings import trained
from spacy.tokens import Doc, DocBin, Span, SpanGroup

from spacy_xlt.build.builder import build
from spacy_xlt.config import merge_configs
from spacy_xlt.errors import XltWarning
from spacy_xlt.readers import read_corpus
from spacy_xlt.readers.docbin import read_docs
from spacy_xlt.training.average import average_pipelines, find_members, write_average

# A person inside a longer span, a place inside an organisation inside it all
NESTED = [
    ("Maria Silva of Lisboa works", [(0, 2, "PER"), (0, 4, "PHRASE"), (3, 4, "LOC")]),
    ("the Banco Central of Lisboa", [(1, 3, "ORG"), (0, 5, "PHRASE"), (4, 5, "LOC")]),
    ("John Smith of York sings", [(0, 2, "PER"), (0, 4, "PHRASE"), (3, 4, "LOC")]),
]


@pytest.fixture(scope="module")
def encoder(tmp_path_factory) -> str:
    return str(make_tiny_encoder(tmp_path_factory.mktemp("encoder")))


def spans(doc: Doc) -> list[tuple[int, int, str]]:
    return sorted((span.start, span.end, span.label_) for span in doc.spans["sc"])


@pytest.fixture
def projected(nlp, make_doc, write_corpus, tmp_path) -> Path:
    """Nested spans, built into the target language (in capitals)."""
    docs = []
    for text, found in NESTED:
        doc = make_doc(text)
        doc.spans["sc"] = SpanGroup(doc, name="sc", spans=[Span(doc, *span) for span in found])
        docs.append(doc)
    corpus = write_corpus(docs)
    nlp.remove_pipe("xlt_projector")
    nlp.add_pipe("xlt_projector", config={"spans_keys": ["sc"]})
    build(nlp, corpus, tmp_path / "built")
    return tmp_path / "built" / "target"


def test_spancat_learns_the_nested_spans_that_a_build_projected(projected, encoder, tmp_path):
    read = list(read_docs(projected))
    assert [spans(doc) for doc in read] == [sorted(found) for _, found in NESTED]
    nlp = trained(
        "spancat",
        "parts/snapshots",
        output=tmp_path / "trained",
        paths__projected=str(projected),
        paths__dev=str(projected),
        paths__encoder=encoder,
        paths__snapshots=str(tmp_path / "snapshots"),
        training__max_steps=60,
        training__eval_frequency=60,
        training__before_update__keep=2,
        training__optimizer__learn_rate__initial_rate=0.01,
        initialize__after_init__embeddings=False,
    )
    texts = [doc.text for doc in read]
    assert [spans(doc) for doc in nlp.pipe(texts)] == [sorted(found) for _, found in NESTED]
    scores = spacy.load(tmp_path / "trained/model-last").meta["performance"]
    assert scores["spans_sc_f"] == 1.0
    # and its snapshots can be averaged
    averaged, average = average_pipelines(find_members([tmp_path / "snapshots"]))
    write_average(averaged, tmp_path / "average")
    doc = spacy.load(tmp_path / "average")(texts[0])
    assert average.n_changed and averaged.pipe_names[:3] == ["transformer", "span_finder", "spancat"]
    assert np.isfinite(doc.spans["sc"].attrs["scores"]).all()


def test_entities_become_spans_where_a_corpus_has_only_them(make_doc, encoder, write_corpus):
    corpus = write_corpus([make_doc("Maria mora em Lisboa .", (0, 1, "PER"), (3, 4, "LOC"))])
    nlp = trained(
        "spancat",
        paths__projected=str(corpus),
        paths__dev=str(corpus),
        paths__encoder=encoder,
        training__max_steps=1,
    )
    assert set(nlp.get_pipe("spancat").labels) == {"PER", "LOC"}


def test_a_long_text_has_no_more_spans_to_look_at_than_the_limit_allows(encoder, make_doc, write_corpus):
    corpus = write_corpus([make_doc("Maria mora em Lisboa .", (0, 1, "PER"), (3, 4, "LOC"))])
    nlp = trained(
        "spancat",
        paths__projected=str(corpus),
        paths__dev=str(corpus),
        paths__encoder=encoder,
        training__max_steps=1,
        # every word may begin and end a span
        components__span_finder__threshold=0.0,
        components__span_finder__max_length=4,
    )
    doc = Doc(nlp.vocab, words=["Lisboa"] * 1000)
    nlp.get_pipe("transformer")(doc)
    nlp.get_pipe("span_finder")(doc)
    assert len(doc.spans["sc"]) == 4 * 1000 - 6


@pytest.fixture(scope="module")
def bosque(tmp_path_factory) -> Path:
    (file,) = (ASSETS / "uner/Portuguese-Bosque").glob("*dev*")
    docs = list(islice(read_corpus(file, n_sents=20), 5))
    path = tmp_path_factory.mktemp("bosque") / "bosque.spacy"
    DocBin(docs=docs).to_disk(path)
    return path


def test_a_pipeline_without_a_transformer_learns_and_does_not_need_us(bosque, tmp_path):
    with pytest.warns(XltWarning, match="W601.*words"):
        nlp = trained(
            "tok2vec",
            output=tmp_path / "trained",
            paths__projected=str(bosque),
            paths__dev=str(bosque),
            # documents of 20 sentences are longer
            reading__max_pieces=100,
            training__max_steps=40,
            training__eval_frequency=40,
            training__optimizer__learn_rate=0.005,
        )
    assert nlp.meta["performance"]["ents_f"] > 0.5
    loaded = spacy.load(tmp_path / "trained/model-last")
    assert loaded.pipe_names == ["tok2vec", "ner"] and "xlt" not in str(dict(loaded.config["components"]))


def test_only_what_spacy_knows_is_in_a_pipeline_of_spans():
    components = str(
        dict(merge_configs([CONFIGS / f"{name}.cfg" for name in ("train", "ner", "spancat")])["components"])
    )
    assert "spacy.preset_spans_suggester.v1" in components and "xlt" not in components
