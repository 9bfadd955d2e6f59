"""What is too long for an encoder is made to fit, and nothing else changes; batches of word pieces."""

from __future__ import annotations

import random
from collections import Counter

import pytest
import spacy
from helpers.mixed_sources import mixed, source
from helpers.paths import ASSETS
from helpers.tiny_encoder import make_tiny_encoder
from helpers.vocabs import vocab_of
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from spacy.language import Language
from spacy.tokens import Doc, Span, SpanGroup
from spacy.training import Example

from spacy_xlt.errors import XltError, XltWarning
from spacy_xlt.training.windows import DocSplitter, PieceCounter, WordPieceBatcher

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
    splitter = DocSplitter(counter, max_pieces=100, max_word_pieces=20)
    assert splitter.split(doc) == [doc]
    assert not splitter.stats


def test_an_over_long_word_is_shortened_and_every_annotation_stays(counter, make_doc):
    doc = make_doc(f"Maria reads {URL} in Lisbon .", (0, 1, "PER"), (2, 3, "MISC"), (4, 5, "LOC"), sents=[0, 4])
    doc.spans["sc"] = SpanGroup(doc, name="sc", spans=[Span(doc, 1, 4, label="X")], attrs={"scores": [0.5]})
    doc[1].lemma_ = "read"
    splitter = DocSplitter(counter, max_pieces=100, max_word_pieces=20)
    (fitted,) = splitter.split(doc)
    assert splitter.stats.words_shortened == 1
    assert URL.startswith(fitted[2].text) and counter.words([fitted[2].text])[0] <= 20
    # as long as it may be
    assert counter.words([URL[: len(fitted[2].text) + 1]])[0] > 20
    assert [(e.start, e.end, e.label_) for e in fitted.ents] == [(e.start, e.end, e.label_) for e in doc.ents]
    assert [t.text for t in fitted if t.i != 2] == [t.text for t in doc if t.i != 2]
    assert [t.is_sent_start for t in fitted] == [t.is_sent_start for t in doc]
    assert fitted[1].lemma_ == "read"
    assert [(s.start, s.end) for s in fitted.spans["sc"]] == [(1, 4)] and fitted.spans["sc"].attrs == {"scores": [0.5]}


def test_an_over_long_document_is_cut_at_a_sentence_end(counter, make_doc):
    sentence = "Maria Silva lives in New York ."
    doc = make_doc(" ".join([sentence] * 12), *[(7 * i, 7 * i + 2, "PER") for i in range(12)], sents=range(0, 84, 7))
    splitter = DocSplitter(counter, max_pieces=60, max_word_pieces=20)
    parts = splitter.split(doc)
    assert splitter.stats.docs_cut == 1 and splitter.stats.windows == len(parts) > 1
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
    doc = Doc(vocab_of("en"), words=words)
    free, spans = 0, []
    for start in sorted(set(starts)):
        if start >= free and start + length <= len(words):
            spans.append(Span(doc, start, start + length, label="PER"))
            free = start + length
    doc.set_ents(spans, default="outside")
    splitter = DocSplitter(counter, max_pieces=max_pieces, max_word_pieces=8)
    parts = splitter.split(doc)
    assert sum(len(part) for part in parts) == len(doc)
    for got, expected in zip((t for part in parts for t in part), doc, strict=True):
        assert expected.text.startswith(got.text)
    assert all(counter.docs([part])[0] <= max_pieces for part in parts if len(part) > 1)
    kept = sum(len(part.ents) for part in parts)
    assert kept + splitter.stats.spans_cut == len(doc.ents)
    if max(counter.words([w[:20] for w in words])) * length <= max_pieces // 2 and "x" * 90 not in words:
        assert splitter.stats.spans_cut == 0
    missing = sum(token.ent_iob == 0 for part in parts for token in part)
    assert missing == splitter.stats.spans_cut * length


def test_an_entity_longer_than_a_window_is_missing_not_outside(counter, make_doc):
    doc = make_doc(" ".join(["Banco"] * 60), (0, 60, "ORG"))
    splitter = DocSplitter(counter, max_pieces=30, max_word_pieces=20)
    parts = splitter.split(doc)
    assert len(parts) > 1 and splitter.stats.spans_cut == 1
    assert {token.ent_iob for part in parts for token in part} == {0}


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


@pytest.mark.parametrize("values", [{"size": 0}, {"buffer": 0}])
def test_an_invalid_budget_is_named(values):
    with pytest.raises(XltError, match=f"E150.*{next(iter(values))}"):
        WordPieceBatcher(encoder="x", **values)


def test_every_url_of_the_web_treebank_fits(encoder, nlp, tmp_path):
    from spacy_xlt.io import write_docs
    from spacy_xlt.readers import read_corpus

    file = ASSETS / "uner" / "English-EWT" / "en_ewt-ud-test.iob2"
    write_docs(tmp_path / "ewt.spacy", read_corpus(file))
    corpus = mixed({"a": source(tmp_path / "ewt.spacy")}, encoder=encoder, max_pieces=64, max_word_pieces=12)
    with pytest.warns(XltWarning, match="W601"):
        egs = list(corpus(nlp))
    reading = [eg for batch in WordPieceBatcher(encoder=encoder, size=256)(egs) for eg in batch]
    assert len(reading) == len(egs) > 2077
    assert sum(len(eg.reference.ents) for eg in egs) + corpus.split_stats.spans_cut >= 1088


def test_words_that_are_no_pieces_count(encoder, monkeypatch):
    counter = PieceCounter(encoder)
    # As a tokenizer does that leaves out spaces and zero-width characters.
    monkeypatch.setattr(counter, "_count", lambda texts, special: [len(text.split("Maria")) for text in texts])
    doc = Doc(spacy.blank("en").vocab, words=["Maria", *[" ", "\u200b"] * 100])
    assert counter.docs([doc]) == [201]
    splitter = DocSplitter(counter, max_pieces=50, max_word_pieces=8)
    parts = splitter.split(doc)
    assert max(map(len, parts)) <= 50
    assert sum(map(len, parts)) == 201
    assert splitter.stats.docs_cut == 1
    assert splitter.stats.windows == len(parts)


def test_a_document_is_counted_once(encoder, make_doc, monkeypatch):
    batcher = WordPieceBatcher(encoder=encoder, size=100)
    examples = [Example(make_doc(text), make_doc(text)) for text in ("Maria Silva", "John Smith works for Google .")]
    first = sorted(len(batch) for batch in batcher(examples))
    monkeypatch.setattr(batcher.counter, "_count", lambda texts, special: [1000] * len(texts))
    assert sorted(len(batch) for batch in batcher(examples)) == first
    other = Example(make_doc("Maria"), make_doc("Maria"))
    with pytest.warns(match="XLT-W602"):
        assert len(list(batcher([*examples, other]))) == 2


def test_an_encoder_that_is_not_there_is_named(make_doc, write_corpus, tmp_path):
    corpus = mixed({"a": source(write_corpus([make_doc("a b")]))}, encoder=str(tmp_path / "nowhere"))
    with pytest.raises(XltError, match="E303.*nowhere"):
        list(corpus(spacy.blank("en")))
