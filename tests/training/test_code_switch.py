"""Words of a sentence swapped for those of its translation: what may be swapped, and what becomes of the annotation."""

from __future__ import annotations

from itertools import pairwise

import pytest
import spacy
from helpers.mixed_sources import mixed, source
from hypothesis import given, settings
from hypothesis import strategies as st
from spacy.tokens import Doc, Span, SpanGroup
from spacy.training import Example
from spacy.vocab import Vocab

from spacy_xlt import Alignment, Bitext
from spacy_xlt.bitext import SentencePair
from spacy_xlt.build.builder import build
from spacy_xlt.docs import Replacement
from spacy_xlt.docs import edit as replaced
from spacy_xlt.errors import XltError
from spacy_xlt.io import write_docs
from spacy_xlt.training.code_switch import CodeSwitch, Swap, possible_swaps, side_of


@pytest.fixture
def pair(make_doc) -> Bitext:
    """ "John visited the White House yesterday ." with one reordered pair, a phrase and two entities."""
    source = make_doc("John visited the White House yesterday .", (0, 1, "PER"), (3, 5, "LOC"), sents=[0])
    target = make_doc("Ontem , João visitou a Casa Branca .", (2, 3, "PER"), (5, 7, "LOC"), lang="pt", sents=[0])
    links = [(0, 2), (1, 3), (2, 4), (3, 6), (4, 5), (5, 0), (6, 7)]
    return Bitext(source, target, Alignment(links, [0.9, 0.8, 0.3, 0.9, 0.9, 0.9, 0.9]), "en", "pt")


@pytest.fixture
def stored(pair, tmp_path):
    """The same as `build` stores it."""
    pair.source._.xlt["pt"] = pair
    write_docs(tmp_path / "build/bitext/00000.spacy", [pair.source], store_user_data=True)
    return tmp_path / "build"


def swaps_of(bitext: Bitext, **kwargs) -> dict[str, str]:
    here, there = side_of(bitext.source, 0, len(bitext.source)), side_of(bitext.target, 0, len(bitext.target))
    rows = zip(bitext.alignment.links.tolist(), bitext.alignment.scores.tolist(), strict=True)
    found = possible_swaps([(i, j, score) for (i, j), score in rows], here, there, **kwargs)
    return {" ".join(here.words[slice(*s.here)]): " ".join(there.words[slice(*s.there)]) for s in found}


def switch_all(path, doc: Doc, **kwargs) -> Doc:
    (example,) = CodeSwitch(bitexts=path, share=1.0, words=1.0, **kwargs)(spacy.blank("xx"), Example(doc.copy(), doc))
    return example.reference


def test_single_words_are_swapped_and_entities_as_wholes(pair):
    assert swaps_of(pair, most_words=1) == {
        "John": "João", "visited": "visitou", "the": "a", "yesterday": "Ontem", "White House": "Casa Branca"
    }  # fmt: skip


def test_phrases_are_those_that_no_link_leaves_and_that_cut_no_entity(pair):
    phrases = swaps_of(pair, entities=False)
    assert phrases == {"visited": "visitou", "the": "a", "visited the": "visitou a", "yesterday": "Ontem"}


def test_an_entity_without_its_own_on_the_other_side_stays(pair):
    pair.target.set_ents([Span(pair.target, 2, 3, "PER")], default="outside")
    assert "White House" not in swaps_of(pair)


def test_a_word_is_not_swapped_for_a_part_of_an_entity(pair):
    pair.source.set_ents([Span(pair.source, 3, 5, "LOC")], default="outside")
    assert "John" not in swaps_of(pair)


def test_weak_links_are_not_followed(pair):
    assert "the" not in swaps_of(pair, min_score=0.5) and "visited" in swaps_of(pair, min_score=0.5)


def test_where_the_other_side_is_not_annotated_the_links_say_what_corresponds(pair):
    pair.target = Doc(pair.target.vocab, words=[token.text for token in pair.target])
    assert swaps_of(pair, most_words=1)["White House"] == "Casa Branca"


def test_both_sides_of_a_bitext_are_found(stored, pair):
    assert switch_all(stored, pair.source, max_words=1).text.split()[3:5] == ["Casa", "Branca"]
    switched = switch_all(stored, pair.target, max_words=1)
    assert switched.text == "yesterday , John visited the White House . "
    assert [(ent.text, ent.label_) for ent in switched.ents] == [("John", "PER"), ("White House", "LOC")]


def test_other_labels_in_the_corpus_than_in_the_bitext_do_not_matter(stored, pair):
    pair.source.set_ents([Span(pair.source, ent.start, ent.end, "X" + ent.label_) for ent in pair.source.ents])
    ents = switch_all(stored, pair.source, max_words=1).ents
    assert [(ent.text, ent.label_) for ent in ents] == [("João", "XPER"), ("Casa Branca", "XLOC")]


def test_missing_annotation_of_either_side_is_missing_in_the_result(pair, tmp_path):
    pair.source.set_ents(list(pair.source.ents), missing=[pair.source[1:2]], default="outside")
    pair.target.set_ents(list(pair.target.ents), missing=[pair.target[0:1]], default="outside")
    pair.source._.xlt["pt"] = pair
    write_docs(tmp_path / "b.spacy", [pair.source], store_user_data=True)
    switched = switch_all(tmp_path / "b.spacy", pair.source, max_words=1)
    assert [token.text for token in switched if token.ent_iob == 0] == ["visitou", "Ontem"]


VOCAB = Vocab()
WORDS = st.lists(st.sampled_from(["a", "b", "c", "d", "e"]), min_size=1, max_size=8)


@st.composite
def bitexts(draw) -> Bitext:
    """Any words, links, entities, missing annotation and span groups: most of it nonsense, as real data may be."""
    docs = []
    for mark in ("", "~"):
        words = [mark + word for word in draw(WORDS)]
        doc = Doc(VOCAB, words=words, spaces=[draw(st.booleans()) for _ in words])
        ends = sorted({0, len(words), *draw(st.lists(st.integers(0, len(words)), max_size=4))})
        kinds = [draw(st.sampled_from(["O", "O", "PER", "LOC", "missing"])) for _ in ends[1:]]
        parts = list(zip(kinds, pairwise(ends), strict=True))
        ents = [Span(doc, *place, kind) for kind, place in parts if kind in ("PER", "LOC")]
        doc.set_ents(ents, missing=[doc[s:e] for kind, (s, e) in parts if kind == "missing"], default="outside")
        start = draw(st.integers(0, len(words) - 1))
        group = [Span(doc, start, draw(st.integers(start + 1, len(words))), "S")] if draw(st.booleans()) else []
        doc.spans["sc"] = SpanGroup(doc, name="sc", spans=group)
        docs.append(doc)
    n, m = map(len, docs)
    cells = st.tuples(st.integers(0, n - 1), st.integers(0, m - 1))
    return Bitext(*docs, Alignment(draw(st.lists(cells, unique=True, max_size=10))))


@settings(deadline=None, max_examples=150)
@given(bitexts(), st.integers(1, 4), st.randoms(use_true_random=False))
def test_swaps_never_overlap_and_leave_every_span_whole(bitext, most_words, rng):
    here, there = side_of(bitext.source, 0, len(bitext.source)), side_of(bitext.target, 0, len(bitext.target))
    found = possible_swaps(
        [(i, j, 1.0) for i, j in bitext.alignment.links.tolist()], here, there, most_words=most_words
    )
    rng.shuffle(found)
    taken: list[Swap] = []
    for swap in found:
        if all(swap.here[1] <= other.here[0] or other.here[1] <= swap.here[0] for other in taken):
            assert all(swap.there[1] <= other.there[0] or other.there[1] <= swap.there[0] for other in taken)
            taken.append(swap)
    doc = bitext.source
    # Each stretch of the result in order: words, and whether they come from the other side
    stretches, i = [], 0
    by_start = {swap.here[0]: swap for swap in taken}
    while i < len(doc):
        swap = by_start.get(i)
        words = there.words[slice(*swap.there)] if swap else [doc[i].text]
        end = swap.here[1] if swap else i + 1
        stretches.append((i, end, words))
        i = end
    made = replaced(
        doc,
        [
            Replacement(*swap.here, there.words[slice(*swap.there)], there.spaces[slice(*swap.there)],
                        [there.annotated and bitext.target[j].ent_iob == 0 for j in range(*swap.there)])
            for swap in sorted(taken)
        ],
    )  # fmt: skip
    assert [token.text for token in made] == [word for *_, words in stretches for word in words]

    def expected(span: Span) -> list[str]:
        return [word for start, end, words in stretches if span.start <= start and end <= span.end for word in words]

    assert [([t.text for t in ent], ent.label_) for ent in made.ents] == [(expected(e), e.label_) for e in doc.ents]
    assert [[t.text for t in span] for span in made.spans["sc"]] == [expected(span) for span in doc.spans["sc"]]
    for swap in taken:
        inside = {bitext.source[i].ent_type_ != "" for i in range(*swap.here)}
        assert len(inside) == 1
        assert not there.annotated or inside == {bitext.target[j].ent_type_ != "" for j in range(*swap.there)}


def test_a_share_of_the_words_is_swapped_on_the_average(stored, pair):
    spacy.util.fix_random_seed(1)
    switcher = CodeSwitch(bitexts=stored, share=1.0, words=0.2, max_words=1)
    n_swapped = [sum(r.end - r.start for r in switcher.replacements(pair.source)) for _ in range(400)]
    assert 0.15 < sum(n_swapped) / 400 / len(pair.source) < 0.25


def test_the_same_seed_gives_the_same_examples(stored, pair):
    def run() -> list[str]:
        spacy.util.fix_random_seed(7)
        switcher, nlp = CodeSwitch(bitexts=stored, share=0.5), spacy.blank("xx")
        return [e.reference.text for _ in range(60) for e in switcher(nlp, Example(pair.source, pair.source))]

    texts = run()
    assert texts == run() and len(texts) == 60
    assert 15 < sum(text != pair.source.text for text in texts) < 45


def test_each_sentence_of_a_document_is_found_by_itself(pair, tmp_path, make_doc):
    source = make_doc("Yes . No .", sents=[0, 2])
    target = make_doc("Sim . Não .", lang="pt", sents=[0, 2])
    sentences = [SentencePair(0, 2, 0, 2), SentencePair(2, 4, 2, 4)]
    both = Bitext(source, target, Alignment([(0, 0), (1, 1), (2, 2), (3, 3)]), "en", "pt", sentences)
    source._.xlt["pt"] = both
    write_docs(tmp_path / "b.spacy", [source], store_user_data=True)
    assert switch_all(tmp_path / "b.spacy", make_doc("No .")).text == "Não . "
    # A new sentence in between does not matter
    assert switch_all(tmp_path / "b.spacy", make_doc("Yes . Hm . No .", sents=[0, 2, 4])).text == "Sim . Hm . Não . "


def test_of_several_translations_one_is_drawn(pair, tmp_path, make_doc):
    source = make_doc("Yes .")
    for lang, word in (("pt", "Sim"), ("de", "Ja")):
        source._.xlt[lang] = Bitext(source, make_doc(f"{word} .", lang=lang), Alignment([(0, 0)]), "en", lang)
    write_docs(tmp_path / "b.spacy", [source], store_user_data=True)
    assert {switch_all(tmp_path / "b.spacy", source)[0].text for _ in range(30)} == {"Sim", "Ja"}


def test_what_build_writes_is_found_from_both_of_its_corpora(nlp, write_corpus, make_doc, tmp_path):
    docs = [make_doc(f"Ann saw Bob in Rome {i} .", (0, 1, "PER"), (4, 5, "LOC"), sents=[0]) for i in range(7)]
    corpus = write_corpus(docs, "gold.spacy")
    build(nlp, corpus, tmp_path / "built", docs_per_shard=3)
    switcher = CodeSwitch(bitexts=tmp_path / "built", share=1.0, words=1.0)
    for path, seen in ((corpus, "ANN"), (tmp_path / "built/target", "Ann")):
        reader = mixed({"a": source(path, augmenter=switcher)})
        examples = list(reader(spacy.blank("xx")))
        assert len(examples) == 7
        assert [example.reference.ents[0].text for example in examples] == [seen] * 7


@pytest.mark.parametrize(
    ("kwargs", "setting"),
    [
        ({"bitexts": None}, "bitexts"),
        ({"max_words": 0}, "max_words"),
        ({"words": 2}, "words"),
        ({"share": -1}, "share"),
    ],
)
def test_an_invalid_setting_is_named(kwargs, setting):
    with pytest.raises(XltError, match=f"E150.*`{setting}`"):
        CodeSwitch(**{"bitexts": "x", **kwargs})


def test_bitexts_that_are_none_or_have_no_links_are_refused(tmp_path, make_doc):
    doc = make_doc("Yes .")
    write_docs(tmp_path / "plain.spacy", [doc], store_user_data=True)
    doc._.xlt["pt"] = Bitext(doc, make_doc("Sim .", lang="pt"), Alignment(), "en", "pt")
    write_docs(tmp_path / "unlinked.spacy", [doc], store_user_data=True)
    for name, code in (("none", "E502"), ("plain.spacy", "E515"), ("unlinked.spacy", "E651")):
        with pytest.raises(XltError, match=code):
            switch_all(tmp_path / name, doc)
