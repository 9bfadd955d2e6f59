"""The corpus reader and the batcher: what is too long for an encoder is made to fit, and nothing else changes."""

from __future__ import annotations

import random
import warnings
from collections import Counter

import pytest
import spacy
from helpers.paths import ASSETS
from helpers.tiny_encoder import make_tiny_encoder
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from spacy.language import Language
from spacy.tokens import Doc, Span, SpanGroup
from spacy.training import Example
from spacy_xlt.training.batching import WordPieceBatcher
from spacy_xlt.training.corpus import Corpus, create_corpus
from spacy_xlt.training.cutting import CutCounts, Cutter
from spacy_xlt.training.pieces import PieceCounter

from spacy_xlt.errors import XltError, XltWarning

URL = "http://www.example.com/" + "x7/qZ9" * 60


@pytest.fixture(scope="module")
def encoder(tmp_path_factory) -> str:
    return str(make_tiny_encoder(tmp_path_factory.mktemp("encoder")))


@pytest.fixture(scope="module")
def counter(encoder: str) -> PieceCounter:
    return PieceCounter(encoder)


@pytest.fixture(scope="module")
def nlp() -> Language:
    return spacy.blank("en")


def ents(doc: Doc) -> list[tuple[str, str]]:
    return [(ent.text, ent.label_) for ent in doc.ents]


def test_what_fits_is_passed_as_it_is(counter, make_doc):
    doc = make_doc("Maria lives in Lisbon .", (0, 1, "PER"), (3, 4, "LOC"))
    counts = CutCounts()
    assert list(Cutter(counter, max_pieces=100, max_word_pieces=20).fit(doc, counts)) == [doc]
    assert not counts


def test_an_over_long_word_is_shortened_and_every_annotation_stays(counter, make_doc):
    doc = make_doc(f"Maria reads {URL} in Lisbon .", (0, 1, "PER"), (2, 3, "MISC"), (4, 5, "LOC"), sents=[0, 4])
    doc.spans["sc"] = SpanGroup(doc, name="sc", spans=[Span(doc, 1, 4, label="X")], attrs={"scores": [0.5]})
    doc[1].lemma_ = "read"
    counts = CutCounts()
    (fitted,) = Cutter(counter, max_pieces=100, max_word_pieces=20).fit(doc, counts)
    assert counts.words_shortened == 1
    assert URL.startswith(fitted[2].text) and counter.words([fitted[2].text])[0] <= 20
    # as long as it may be
    assert counter.words([URL[: len(fitted[2].text) + 1]])[0] > 20
    assert [(e.start, e.end, e.label_) for e in fitted.ents] == [(e.start, e.end, e.label_) for e in doc.ents]
    assert [t.text for t in fitted if t.i != 2] == [t.text for t in doc if t.i != 2]
    assert [t.is_sent_start for t in fitted] == [t.is_sent_start for t in doc]
    assert fitted[1].lemma_ == "read"
    assert [(s.start, s.end) for s in fitted.spans["sc"]] == [(1, 4)] and fitted.spans["sc"].attrs == {"scores": [0.5]}


def test_missing_annotation_stays_missing(counter, make_doc):
    doc = make_doc(f"{URL} Maria lives here", (1, 2, "PER"))
    doc.set_ents(list(doc.ents), missing=[doc[2:4]], default="outside")
    (fitted,) = Cutter(counter, max_pieces=100, max_word_pieces=20).fit(doc, CutCounts())
    assert [t.ent_iob for t in fitted] == [t.ent_iob for t in doc]


def test_an_over_long_document_is_cut_at_a_sentence_end(counter, make_doc):
    sentence = "Maria Silva lives in New York ."
    doc = make_doc(" ".join([sentence] * 12), *[(7 * i, 7 * i + 2, "PER") for i in range(12)], sents=range(0, 84, 7))
    counts = CutCounts()
    parts = list(Cutter(counter, max_pieces=60, max_word_pieces=20).fit(doc, counts))
    assert counts.docs_cut == 1 and counts.windows == len(parts) > 1
    assert all(part[0].text == "Maria" and part[-1].text == "." for part in parts)
    assert [e for part in parts for e in ents(part)] == ents(doc)


@settings(deadline=None, max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    words=st.lists(
        st.sampled_from(["Maria", "em", ".", "Lisboa", "\u200b", "🙂", "x" * 90, "Banco"]), min_size=1, max_size=60
    ),
    starts=st.lists(st.integers(0, 59), max_size=8),
    length=st.integers(1, 4),
    max_pieces=st.integers(12, 40),
)
def test_cutting_keeps_every_word_and_every_span_that_fits(counter, words, starts, length, max_pieces):
    doc = Doc(spacy.blank("en").vocab, words=words)
    free, spans = 0, []
    for start in sorted(set(starts)):
        if start >= free and start + length <= len(words):
            spans.append(Span(doc, start, start + length, label="PER"))
            free = start + length
    doc.set_ents(spans, default="outside")
    counts = CutCounts()
    cutter = Cutter(counter, max_pieces=max_pieces, max_word_pieces=8)
    parts = list(cutter.fit(doc, counts))
    assert sum(len(part) for part in parts) == len(doc)
    for got, expected in zip((t for part in parts for t in part), doc, strict=True):
        assert expected.text.startswith(got.text)
    assert all(counter.docs([part])[0] <= max_pieces for part in parts if len(part) > 1)
    kept = sum(len(part.ents) for part in parts)
    assert kept + counts.spans_cut == len(doc.ents)
    if max(counter.words([w[:20] for w in words])) * length <= max_pieces // 2 and "x" * 90 not in words:
        assert counts.spans_cut == 0
    missing = sum(token.ent_iob == 0 for part in parts for token in part)
    assert missing == counts.spans_cut * length


def test_an_entity_longer_than_a_window_is_missing_not_outside(counter, make_doc):
    doc = make_doc(" ".join(["Banco"] * 60), (0, 60, "ORG"))
    counts = CutCounts()
    parts = list(Cutter(counter, max_pieces=30, max_word_pieces=20).fit(doc, counts))
    assert len(parts) > 1 and counts.spans_cut == 1
    assert {token.ent_iob for part in parts for token in part} == {0}


def test_the_reader_says_once_what_it_did(encoder, nlp, make_doc, write_corpus):
    docs = [make_doc(f"Maria reads {URL} .", (0, 1, "PER")), make_doc("John sings .", (0, 1, "PER"))]
    corpus = create_corpus(write_corpus(docs), encoder, max_word_pieces=16)
    with pytest.warns(XltWarning, match="1 words shortened; 0 documents"):
        assert len(list(corpus(nlp))) == 2
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(list(corpus(nlp))) == 2
    assert corpus.counts.words_shortened == 1


def test_the_reader_reads_two_corpora_and_drops_only_empty_documents(encoder, nlp, make_doc, write_corpus):
    source = write_corpus([make_doc("Maria sings ."), Doc(nlp.vocab)], "source.spacy")
    target = write_corpus([make_doc("Maria canta .", lang="pt")], "target.spacy")
    corpus = create_corpus(target, encoder, also=source)
    assert [eg.reference.text for eg in corpus(nlp)] == ["Maria canta . ", "Maria sings . "]


@pytest.mark.parametrize(("share", "least", "most"), [(0.0, 0, 0), (0.5, 30, 70), (1.0, 100, 100)])
def test_a_share_of_the_documents_without_entities_is_read(encoder, nlp, make_doc, write_corpus, share, least, most):
    docs = [make_doc("Maria sings .", (0, 1, "PER"))] * 20 + [make_doc("She sings .")] * 100
    spacy.util.fix_random_seed(0)
    read = [eg.reference for eg in create_corpus(write_corpus(docs), encoder, keep_empty=share)(nlp)]
    assert sum(bool(doc.ents) for doc in read) == 20
    assert least <= len(read) - 20 <= most


def test_gold_tokens_are_those_of_the_corpus(encoder, make_doc, write_corpus):
    pt = spacy.blank("pt")
    doc = Doc(pt.vocab, words=["John", "'s", "dog"], spaces=[False, True, False])
    doc.set_ents([Span(doc, 0, 1, label="PER")], default="outside")
    path = write_corpus([doc])
    (gold,) = create_corpus(path, encoder, gold_tokens=True)(pt)
    assert [t.text for t in gold.predicted] == ["John", "'s", "dog"]
    (own,) = create_corpus(path, encoder)(pt)
    assert [t.text for t in own.predicted] == [t.text for t in pt.make_doc("John's dog")]


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"max_pieces": 3}, "max_pieces"),
        ({"keep_empty": 1.5}, "keep_empty"),
        ({"max_word_pieces": 0}, "max_word_pieces"),
        ({"encoder": ""}, "encoder"),
    ],
)
def test_a_setting_that_cannot_be_is_named(tmp_path, values, named):
    with pytest.raises(XltError, match=f"E601.*{named}"):
        Corpus(tmp_path, **{"encoder": "x", **values})


def test_a_missing_path_and_a_missing_encoder_are_named(tmp_path, nlp, make_doc, write_corpus):
    with pytest.raises(XltError, match="paths.train"):
        create_corpus(None, "x")
    with pytest.raises(XltError, match="E502"):
        list(create_corpus(tmp_path / "none.spacy", "x")(nlp))
    with pytest.raises(XltError, match="E602.*nowhere"):
        list(create_corpus(write_corpus([make_doc("a b")]), str(tmp_path / "nowhere"))(nlp))


def examples(nlp: Language, n: int) -> list[Example]:
    rng = random.Random(0)
    docs = [Doc(nlp.vocab, words=["Maria"] * rng.randint(1, 40)) for _ in range(n)]
    return [Example(doc, doc) for doc in docs]


def test_batches_hold_every_example_once_within_the_budget(encoder, counter, nlp):
    egs = examples(nlp, 150)
    batches = list(WordPieceBatcher(encoder=encoder, size=300, buffer=64)(egs))
    assert Counter(id(eg) for batch in batches for eg in batch) == Counter(id(eg) for eg in egs)
    padded = [max(counter.docs([eg.predicted for eg in batch])) * len(batch) for batch in batches]
    assert max(padded) <= 300
    assert sum(padded) / len(padded) > 100


def test_one_url_does_not_pad_a_whole_batch(encoder, counter, nlp):
    docs = [Doc(nlp.vocab, words=["Maria", "sings"]) for _ in range(80)] + [Doc(nlp.vocab, words=["see", URL])]
    egs = [Example(doc, doc) for doc in docs]
    with pytest.warns(XltWarning, match="W602"):
        batches = list(WordPieceBatcher(encoder=encoder, size=128)(egs))
    (alone,) = [batch for batch in batches if egs[-1] in batch]
    assert len(alone) == 1
    assert sum(len(batch) for batch in batches) == 81


def test_batches_are_the_same_with_the_same_seed(encoder, nlp):
    egs = examples(nlp, 60)
    runs = []
    for seed in (1, 1, 2):
        spacy.util.fix_random_seed(seed)
        batches = WordPieceBatcher(encoder=encoder, size=250)(egs)
        runs.append([[egs.index(eg) for eg in batch] for batch in batches])
    assert runs[0] == runs[1] != runs[2]


def test_no_batches_of_nothing(encoder):
    assert list(WordPieceBatcher(encoder=encoder)([])) == []


@pytest.mark.parametrize("values", [{"size": 0}, {"buffer": 0}])
def test_a_budget_that_cannot_be_is_named(values):
    with pytest.raises(XltError, match=f"E601.*{next(iter(values))}"):
        WordPieceBatcher(encoder="x", **values)


def test_every_url_of_the_web_treebank_fits(encoder, nlp, tmp_path):
    from spacy_xlt.io import write_docs
    from spacy_xlt.readers import read_corpus

    source = ASSETS / "uner" / "English-EWT" / "en_ewt-ud-test.iob2"
    write_docs(tmp_path / "ewt.spacy", read_corpus(source))
    corpus = create_corpus(tmp_path / "ewt.spacy", encoder, max_pieces=64, max_word_pieces=12, gold_tokens=True)
    with pytest.warns(XltWarning, match="W601"):
        egs = list(corpus(nlp))
    reading = [eg for batch in WordPieceBatcher(encoder=encoder, size=256)(egs) for eg in batch]
    assert len(reading) == len(egs) > 2077
    assert sum(len(eg.reference.ents) for eg in egs) + corpus.counts.spans_cut >= 1088
