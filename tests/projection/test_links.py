"""LinkProjector: where spans go, what is kept of them, and what is said of those that go nowhere."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
import spacy
from helpers.projection import project as project_bitext
from hypothesis import given, settings
from hypothesis import strategies as st
from spacy.tokens import Doc, Span, SpanGroup

from spacy_xlt import Alignment, Bitext
from spacy_xlt.bitext import ENTS_GROUP, REASONS, SentencePair
from spacy_xlt.errors import XltError
from spacy_xlt.projection.component import ProjectorPipe
from spacy_xlt.projection.links.assignment import conflicts, overlap, settle_choices
from spacy_xlt.projection.links.evidence import LinkIndex, Stretch
from spacy_xlt.projection.links.projector import LinkProjector
from spacy_xlt.projection.links.scorer import score_places

EN, PT = spacy.blank("en").vocab, spacy.blank("pt").vocab


def doc_of(vocab, words, *ents):
    doc = Doc(vocab, words=words.split() if isinstance(words, str) else words)
    doc.set_ents([Span(doc, *ent) for ent in ents], default="outside")
    return doc


def project(source, target, links, *ents, scores=None, **config):
    """Project entities (start, end, label) along Pharaoh links and give back the bitext."""
    alignment = Alignment.from_pharaoh(links) if isinstance(links, str) else Alignment(links)
    if scores is not None:
        alignment = Alignment(alignment.links, scores)
    words = target.split() if isinstance(target, str) else target
    bitext = Bitext(doc_of(EN, source, *ents), Doc(PT, words=words), alignment)
    return project_bitext(LinkProjector(), bitext, **config)


def found(bitext):
    return [(ent.text, ent.label_) for ent in bitext.target.ents]


def test_reordered_entities_do_not_harm_each_other():
    bitext = project(
        "Ann Lee met Bo Kim", "Bo Kim conheceu Ann Lee", "0-3 1-4 2-2 3-0 4-1", (0, 2, "PER"), (3, 5, "ORG")
    )
    assert found(bitext) == [("Bo Kim", "ORG"), ("Ann Lee", "PER")]
    assert bitext.lost == []


def test_adjacent_and_repeated_entities_stay_apart():
    links = "0-0 1-1 2-2 3-3"
    bitext = project("Rio Rio Lima Rio", "Rio Rio Lima Rio", links, *((i, i + 1, "LOC") for i in range(4)))
    assert [(ent.start, ent.end) for ent in bitext.target.ents] == [(0, 1), (1, 2), (2, 3), (3, 4)]


def test_a_stray_link_does_not_stretch_a_span():
    target = "Silva vive agora mesmo em uma casa Silva"
    bitext = project("Silva lives now in a house .", target, "0-0 0-7 1-1 2-2 2-3 3-4 4-5 5-6", (0, 1, "PER"))
    assert [(ent.start, ent.end) for ent in bitext.target.ents] == [(0, 1)]


def test_a_word_without_links_inside_a_span_does_not_cut_it():
    bitext = project("Rio Janeiro shines", "Rio de Janeiro brilha", "0-0 1-2 2-3", (0, 2, "LOC"))
    assert found(bitext) == [("Rio de Janeiro", "LOC")]


def test_no_place_ends_with_a_word_of_others():
    # Even where the words before and behind it look more like those in the source
    words = [".", *"abcdefghijklm"]
    order = [0, 12, *range(1, 12), 13]
    bitext = project(words, [words[i] for i in order], [[i, j] for j, i in enumerate(order)], (1, 12, "X"))
    assert [(ent.start, ent.end) for ent in bitext.target.ents] == [(2, 13)]


def test_an_article_that_is_linked_more_to_a_word_beside_the_name_is_left_out():
    links, scores = [[0, 1], [1, 1], [1, 2], [2, 3]], [0.6, 0.1, 0.9, 0.9]
    source, target = "the Commission decides", "parere della Commissione decide"
    assert found(project(source, target, links, (1, 2, "ORG"), scores=scores)) == [("Commissione", "ORG")]
    links, scores = [[0, 3], [1, 1], [2, 2], [3, 0]], [0.5, 0.9, 0.9, 0.9]
    bitext = project("Mr von Wogau spoke", "falou von Wogau senhor", links, (1, 3, "PER"), scores=scores)
    assert found(bitext) == [("von Wogau", "PER")]


def test_short_words_in_lower_case_go_along_where_there_is_nothing_else():
    assert found(project("ab cd", "xy zw", "0-0 1-1", (0, 2, "X"))) == [("xy zw", "X")]


def test_a_clause_takes_its_article_along():
    source = "Resistance exercise may well help to counter these effects ."
    target = "El ejercicio de resistencia puede ayudar a contrarrestar estos efectos ."
    bitext = project(source, target, "0-3 1-1 2-4 3-5 4-5 5-6 6-7 7-8 8-9 9-10", (0, 10, "Claim"))
    assert (bitext.target.ents[0].start, bitext.target.ents[0].end) == (0, 11)


def test_a_clause_takes_an_article_that_a_far_word_is_linked_to_weakly():
    links = [[0, 0], [1, 1], [1, 3], [2, 2], [3, 4], [4, 5], [5, 6], [6, 7], [7, 8], [8, 9], [9, 10]]
    scores = [1, 1, 0.3] + [1] * 8
    source, target = (
        "see the : frequency was much lower in all groups .",
        "vea el : la frecuencia fue mucho menor en todos .",
    )
    bitext = project(source, target, links, (3, 11, "Claim"), scores=scores)
    assert found(bitext)[0][0].startswith("la frecuencia")


def test_evidence_that_is_no_link_still_places_a_span():
    bitext = project("Ann met Bo", "Ana viu o Beto", "0-0 1-1", (2, 3, "PER"))
    assert found(bitext) == [("o Beto", "PER")]  # what is left between the neighbours' links
    links = bitext.alignment
    bitext.alignment = Alignment(links.links, links.scores, Alignment([(0, 0), (1, 1), (2, 3)], [0.9, 0.9, 0.1]))
    project_bitext(LinkProjector(), bitext)
    assert found(bitext) == [("Beto", "PER")]


def test_all_words_that_a_word_became_belong_to_it():
    seafood = project("Seafood sells", "Frutos do mar vendem", "0-0 0-1 0-2 1-3", (0, 1, "DISH"))
    assert found(seafood) == [("Frutos do mar", "DISH")]


def test_punctuation_at_the_ends_of_a_name_is_left_out():
    links, scores = [[0, 0], [0, 1], [1, 2]], [0.9, 0.2, 0.9]
    bitext = project("Edinburgh wins", "Edimburgo , ganha", links, (0, 1, "LOC"), scores=scores)
    assert found(bitext) == [("Edimburgo", "LOC")]


def test_a_name_and_its_original_in_brackets_are_not_cut_inside_the_bracket():
    target = "演員 杰弗裡 · 迪恩 · 摩根 （ Jeffrey Dean Morgan ） 說"
    links = [[0, 0], [1, 1], [2, 3], [3, 5], [1, 7], [2, 8], [3, 9], [4, 11]]
    scores = [0.9, 0.6, 0.6, 0.6, 0.5, 0.5, 0.5, 0.9]
    bitext = project("actor Jeffrey Dean Morgan says", target, links, (1, 4, "PER"), scores=scores)
    (ent,) = bitext.target.ents
    inside = [token.text for token in ent]
    assert inside.count("（") == inside.count("）")


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("( a ) b ( c )", "( a ) b ( c )"),
        ("« a » b « c »", "« a » b « c »"),
        # Marks without a partner count for nothing
        ("1) a e 2) b", "1) a e 2) b"),
        ("disse : “ eu vou", "disse : “ eu vou"),
        ('o disco de 5"', 'o disco de 5"'),
    ],
)
def test_marks_of_different_pairs_are_no_pair_and_marks_without_a_partner_do_not_cut(target, expected):
    n = len(target.split())
    links = " ".join(f"{i}-{i}" for i in range(n))
    assert found(project(" ".join("w" * n), target, links, (0, n, "X"))) == [(expected, "X")]
    if target[0] in "(«":
        (inner,) = project(" ".join("w" * n), target, links, (1, n - 1, "X")).target.ents
        assert inner.text.count(target[0]) == inner.text.count(target.split()[2])


def test_no_name_ends_beside_a_middle_dot():
    links, scores = [[0, 0], [1, 2], [2, 3]], [0.9, 0.05, 0.9]
    bitext = project("Eric Bana says", "艾瑞克 · 巴納 說", links, (0, 2, "PER"), scores=scores)
    assert found(bitext) == [("艾瑞克 · 巴納", "PER")]


def test_coordinated_names_stay_whole():
    source, target = "in Central and Eastern Europe today", "en Europa Central y Oriental hoy"
    links = [[0, 0], [1, 2], [2, 3], [3, 4], [4, 1], [5, 5]]
    bitext = project(source, target, links, (1, 5, "LOC"), scores=[0.9] * 6)
    assert found(bitext) == [("Europa Central y Oriental", "LOC")]


def test_a_long_name_is_no_clause():
    source = "the Committee on Employment , Regional Policy and Social Affairs met"
    target = "se reunió la Comisión de Empleo , Política Regional y Asuntos Sociales"
    links = "1-3 2-4 3-5 4-6 5-8 6-7 7-9 8-11 9-10 10-1"
    bitext = project(source, target, links, (1, 10, "ORG"))
    assert found(bitext) == [("Comisión de Empleo , Política Regional y Asuntos Sociales", "ORG")]


@pytest.mark.parametrize("ent", [(0, 1, "A"), (4, 5, "A"), (0, 5, "A"), (1, 4, "A")])
def test_entities_at_the_ends_and_across_a_sentence_boundary(ent):
    source, target = doc_of(EN, "One . Two three .", ent), Doc(PT, words="Um . Dois três .".split())
    sentences = [SentencePair(0, 2, 0, 2), SentencePair(2, 5, 2, 5)]
    bitext = Bitext(source, target, Alignment([(i, i) for i in range(5)]), sentences=sentences)
    project_bitext(LinkProjector(), bitext)
    assert [(e.start, e.end, e.label_) for e in bitext.target.ents] == [ent]


def test_empty_docs_and_docs_without_links():
    bitext = project("", "", "")
    assert len(bitext.target) == 0 and bitext.lost == []
    bitext = project("Xi left", "", "", (0, 1, "PER"))
    assert [span.reason for span in bitext.lost] == ["no_links"]
    assert LinkProjector().place([]) == []


def test_every_attribute_of_a_span_is_carried():
    source, target = doc_of(EN, "Rio shines"), Doc(PT, words=["O", "Rio"])
    source.set_ents([Span(source, 0, 1, label="LOC", kb_id="Q8678", span_id="e1")])
    source.spans["nested"] = [Span(source, 0, 2, label="S", kb_id="K", span_id="n1")]
    project_bitext(LinkProjector(), Bitext(source, target, Alignment.from_pharaoh("0-1 1-0")))
    ent, nested = target.ents[0], target.spans["nested"][0]
    assert (ent.text, ent.label_, ent.kb_id_, ent.id_) == ("Rio", "LOC", "Q8678", "e1")
    assert (nested.text, nested.label_, nested.kb_id_, nested.id_) == ("O Rio", "S", "K", "n1")


def test_nested_overlapping_and_long_spans_of_groups_are_carried_with_scores():
    n = 160
    source, target = doc_of(EN, [f"s{i}" for i in range(n)]), Doc(PT, words=[f"t{i}" for i in range(n)])
    ranges = [(0, n), (0, 1), (5, 155), (5, 20), (10, 30), (10, 30)]
    source.spans["args"] = [Span(source, a, b, label=f"L{k}") for k, (a, b) in enumerate(ranges)]
    source.spans["none"] = []
    project_bitext(LinkProjector(), Bitext(source, target, Alignment([(i, i) for i in range(n)])))
    group = target.spans["args"]
    assert [(span.start, span.end, span.label_) for span in group] == [(*r, f"L{k}") for k, r in enumerate(ranges)]
    assert all(0.9 < score <= 1 for score in group.attrs["scores"])
    assert len(target.spans["none"]) == 0


def test_settings_choose_what_is_carried():
    source = doc_of(EN, "Rio shines", (0, 1, "LOC"))
    source.spans["a"], source.spans["b"] = [source[0:1]], [source[1:2]]
    source.spans[ENTS_GROUP] = SpanGroup(source, name=ENTS_GROUP, spans=[source[1:2]])
    target, links = Doc(PT, words=["Rio", "brilha"]), Alignment([(0, 0), (1, 1)])
    project_bitext(LinkProjector(), Bitext(source, target, links), ents=False, spans_keys=["b", "unheard"])
    assert set(target.spans) == {"b"} and not target.has_annotation("ENT_IOB")
    project_bitext(LinkProjector(), Bitext(source, target, links))
    assert [span.text for span in target.spans[ENTS_GROUP]] == ["Rio"]


@pytest.mark.parametrize("config", [{"ents": "yes"}, {"spans_keys": "sc"}, {"spans_keys": [1]}, {"min_score": 2}])
def test_settings_of_the_wrong_kind_are_refused(config):
    with pytest.raises(XltError) as err:
        ProjectorPipe("xlt_projector", LinkProjector(), **config)
    assert err.value.code == "E150" and repr(next(iter(config.values()))) in str(err.value)


def test_entities_that_need_the_same_word_go_to_the_group_and_are_said_to_be_lost():
    bitext = project("EU Commission meets", "EU-Kommission tagt", "0-0 1-0 2-1", (0, 1, "LOC"), (1, 2, "ORG"))
    assert len(bitext.target.ents) == 1
    assert [span.label_ for span in bitext.target.spans[ENTS_GROUP]] == ["LOC", "ORG"]
    assert [(span.reason, span.key) for span in bitext.lost] == [("overlap", "ents")]


def test_projecting_again_replaces_what_was_there():
    source, target = doc_of(EN, "Rio Lima", (0, 1, "LOC")), Doc(PT, words=["Rio", "Lima"])
    bitext = Bitext(source, target, Alignment([(0, 0), (1, 1)]))
    project_bitext(LinkProjector(), bitext)
    source.set_ents([Span(source, 1, 2, label="ORG")], default="outside")
    project_bitext(LinkProjector(), bitext)
    assert found(bitext) == [("Lima", "ORG")] and len(target.spans[ENTS_GROUP]) == 1


def test_a_source_without_annotation_leaves_the_target_without():
    source, target = Doc(EN, words=["Rio"]), doc_of(PT, "Rio", (0, 1, "LOC"))
    project_bitext(LinkProjector(), Bitext(source, target, Alignment([(0, 0)])))
    assert not target.has_annotation("ENT_IOB") and ENTS_GROUP not in target.spans


def test_what_the_source_does_not_say_is_missing_on_the_target():
    source, target = Doc(EN, words="Rio is . Lima too .".split()), Doc(PT, words="Rio é . Lima também .".split())
    source.set_ents([Span(source, 0, 1, label="LOC")], missing=[source[3:6]], default="outside")
    links = Alignment([(i, i) for i in range(5)])
    bitext = Bitext(source, target, links, sentences=[SentencePair(0, 3, 0, 3), SentencePair(3, 6, 3, 6)])
    project_bitext(LinkProjector(), bitext)
    # 0 is missing, 2 outside, 3 the beginning of an entity; the last token has no link, but its sentence says nothing
    assert [token.ent_iob for token in target] == [3, 2, 2, 0, 0, 0]


def test_a_span_without_tokens_is_lost():
    source, target = doc_of(EN, "Rio shines"), Doc(PT, words=["Rio", "brilha"])
    source.spans["sc"] = [Span(source, 1, 1, label="NIL"), Span(source, 0, 1, label="LOC")]
    bitext = Bitext(source, target, Alignment([(0, 0)]))
    project_bitext(LinkProjector(), bitext)
    assert [(span.reason, span.key) for span in bitext.lost] == [("empty", "sc")]
    assert [span.label_ for span in target.spans["sc"]] == ["LOC"]


def test_a_name_without_links_is_found_by_its_spelling():
    bitext = project("he met Zoltan Kovacs", "ele viu Zoltan Kovacs", "0-0 1-1", (2, 4, "PER"))
    assert found(bitext) == [("Zoltan Kovacs", "PER")]
    assert 0 < bitext.target.spans[ENTS_GROUP].attrs["scores"][0] < 1


def test_neighbours_without_links_are_found_by_their_spelling_in_any_order():
    names = [(1, 2, "PER"), (2, 3, "ORG")]
    bitext = project("with Zara Apple now", "com Zara Apple agora", "0-0 3-3", *names)
    assert found(bitext) == [("Zara", "PER"), ("Apple", "ORG")]
    bitext = project("with Apple Zara now", "com Zara Apple agora", "0-0 3-3", *names)
    assert found(bitext) == [("Zara", "ORG"), ("Apple", "PER")]


def test_links_of_no_weight_are_none():
    bitext = project("a b c", "x y z", "0-0 1-1 2-2", (0, 1, "X"), scores=[0.0, 0.0, 0.0])
    assert [span.reason for span in bitext.lost] == ["no_links"]


def test_a_score_that_is_no_number_is_refused():
    with pytest.raises(XltError, match=r"E009.*\(1, 2\)"):
        Alignment([(0, 0), (1, 2)], [1.0, float("nan")])


def test_a_span_without_links_is_found_between_those_of_its_neighbours():
    bitext = project("he met Ann today", "ele viu a Anna hoje", "0-0 1-1 3-4", (2, 3, "PER"))
    assert bitext.target.spans[ENTS_GROUP].attrs["scores"] == [0.25] and bitext.lost == []
    bitext = project("he met Ann today", "ele viu uma pessoa muito mas muito alta hoje", "0-0 1-1 3-8", (2, 3, "PER"))
    assert [span.reason for span in bitext.lost] == ["no_links"]


def test_scores_are_lower_where_links_disagree():
    clear = project("Rio shines", "Rio brilha", "0-0 1-1", (0, 1, "LOC"))
    torn = project("Rio shines", "Rio brilha", "0-0 0-1 1-0 1-1", (0, 1, "LOC"))
    (sure,), (unsure,) = (b.target.spans[ENTS_GROUP].attrs["scores"] for b in (clear, torn))
    assert 0 <= unsure < 0.9 < sure <= 1


def test_spans_below_the_least_score_are_lost():
    links, scores = "0-0 0-1 1-0 1-1", [0.5, 0.5, 0.5, 0.5]
    bitext = project("Rio shines", "Rio brilha", links, (0, 1, "LOC"), scores=scores, min_score=0.9)
    assert found(bitext) == [] and [span.reason for span in bitext.lost] == ["low_score"]


def test_the_projector_survives_pickling_and_says_what_it_is():
    projector = pickle.loads(pickle.dumps(LinkProjector(parts="several")))
    assert projector.parts == "several" and "parts:several" in projector.signature
    pipe = ProjectorPipe("xlt_projector", projector, spans_keys=["sc"])
    assert pipe.signature.startswith(projector.signature) and "spans_keys:sc" in pipe.signature


# General rules

WORDS = st.lists(st.text(alphabet="abcxyzABC,.", min_size=1, max_size=6), min_size=1, max_size=14)


@st.composite
def annotated(draw, words=WORDS):
    """Words, and entities that do not overlap."""
    words = draw(words)
    cuts = sorted(draw(st.sets(st.integers(0, len(words)), max_size=8)))
    kept = [(a, b, draw(st.sampled_from("XYZ"))) for a, b in zip(cuts, cuts[1:], strict=False) if draw(st.booleans())]
    return words, kept


@st.composite
def any_bitext(draw):
    """Any words, entities and overlapping spans on one side, any words on the other, any links with any scores."""
    (words, ents), others = draw(annotated()), draw(WORDS)
    link = st.tuples(st.integers(0, len(words) - 1), st.integers(0, len(others) - 1))
    links = sorted(draw(st.sets(link, max_size=25)))
    scores = [draw(st.floats(0, 1, width=32)) for _ in links]
    source = doc_of(EN, words, *ents)
    ranges = draw(st.lists(st.tuples(st.integers(0, len(words)), st.integers(0, len(words))), max_size=5))
    source.spans["sc"] = [Span(source, min(r), max(r), label=draw(st.sampled_from("XYZ"))) for r in ranges]
    return Bitext(source, Doc(PT, words=others), Alignment(links, scores))


@settings(deadline=None, max_examples=60)
@given(annotated())
def test_the_identity_alignment_changes_nothing(case):
    words, ents = case
    bitext = project(words, words, [(i, i) for i in range(len(words))], *ents)
    assert [(e.start, e.end, e.label_) for e in bitext.target.ents] == ents
    assert all(0.9 < score <= 1 for score in bitext.target.spans[ENTS_GROUP].attrs["scores"]) and bitext.lost == []


MARKED_WORDS = st.lists(st.text(alphabet='ab"„()«»·,.', min_size=1, max_size=3), min_size=1, max_size=40)


@settings(deadline=None, max_examples=100)
@given(annotated(MARKED_WORDS), st.randoms(use_true_random=False))
def test_the_identity_alignment_changes_nothing_where_marks_have_no_partner(case, random):
    words, ents = case
    links, scores = [(i, i) for i in range(len(words))], [random.uniform(0.1, 1) for _ in words]
    bitext = project(words, words, links, *ents, scores=scores)
    assert [(e.start, e.end, e.label_) for e in bitext.target.ents] == ents and bitext.lost == []


def test_a_span_with_one_of_two_quotation_marks_has_one_in_the_same_words():
    words = 'the film " Amarcord " won'.split()
    links = [(i, i) for i in range(6)]
    assert found(project(words, words, links, (3, 5, "WORK"))) == [('Amarcord "', "WORK")]
    # As a translation, it has both or none
    others = 'o filme " Recordo " venceu'.split()
    assert found(project(words, others, links, (3, 5, "WORK"))) in ([('" Recordo "', "WORK")], [("Recordo", "WORK")])


@settings(deadline=None, max_examples=60)
@given(annotated(), st.randoms(use_true_random=False))
def test_permuting_the_target_permutes_the_spans(case, random):
    words, ents = case
    covered = {i for start, end, _ in ents for i in range(start, end)}
    blocks = [list(range(a, b)) for a, b, _ in ents] + [[i] for i in range(len(words)) if i not in covered]
    random.shuffle(blocks)
    order = [i for block in blocks for i in block]
    place = {i: j for j, i in enumerate(order)}
    bitext = project(words, [words[i] for i in order], list(place.items()), *ents)
    expected = sorted((place[a], place[a] + b - a, label) for a, b, label in ents)
    assert [(e.start, e.end, e.label_) for e in bitext.target.ents] == expected


@settings(deadline=None, max_examples=60)
@given(any_bitext())
def test_every_span_is_projected_or_lost_and_no_label_is_invented(bitext):
    project_bitext(LinkProjector(), bitext)
    spans = {"ents": list(bitext.source.ents), "sc": list(bitext.source.spans["sc"])}
    for key, of_source in spans.items():
        lost = [span for span in bitext.lost if span.key == key]
        kept = bitext.target.ents if key == "ents" else bitext.target.spans[key]
        labels = sorted([span.label_ for span in kept] + [span.label for span in lost])
        assert labels == sorted(span.label_ for span in of_source)
        assert {span.reason for span in lost} <= set(REASONS)
        assert all((s.start, s.end, s.label) in {(o.start, o.end, o.label_) for o in of_source} for s in lost)
        assert all(span.start < span.end for span in kept)
    linked = set(bitext.alignment.above(0).links[:, 0].tolist())
    assert not any(s.reason == "no_links" and linked.intersection(range(s.start, s.end)) for s in bitext.lost)
    for key in ("sc", ENTS_GROUP):
        group = bitext.target.spans[key]
        assert len(group.attrs["scores"]) == len(group) and all(0 <= score <= 1 for score in group.attrs["scores"])


@settings(deadline=None, max_examples=60)
@given(any_bitext(), annotated())
def test_adding_an_unrelated_span_changes_no_other(bitext, more):
    project_bitext(LinkProjector(), bitext)
    before = [(e.start, e.end, e.label_) for e in bitext.target.ents]
    n, m = len(bitext.source), len(bitext.target)
    words, ents = more
    source = Doc(EN, words=[t.text for t in bitext.source] + words)
    shifted = [(a + n, b + n, label) for a, b, label in ents]
    own = [(e.start, e.end, e.label_) for e in bitext.source.ents]
    source.set_ents([Span(source, *ent) for ent in own + shifted], default="outside")
    target = Doc(PT, words=[t.text for t in bitext.target] + words)
    extra = Alignment([(n + i, m + i) for i in range(len(words))])
    sentences = [SentencePair(0, n, 0, m), SentencePair(n, n + len(words), m, m + len(words))]
    larger = Bitext(source, target, Alignment.concatenate([bitext.alignment, extra]), sentences=sentences)
    project_bitext(LinkProjector(), larger)
    assert [(e.start, e.end, e.label_) for e in larger.target.ents if e.end <= m] == before
    assert [(e.start - m, e.end - m, e.label_) for e in larger.target.ents if e.end > m] == ents


# The parts


@settings(deadline=None, max_examples=60)
@given(any_bitext())
def test_the_best_place_is_the_best_of_all_and_their_probabilities_sum_to_one(bitext):
    ranges = [(span.start, span.end) for span in (*bitext.source.ents, *bitext.source.spans["sc"])]
    for places in score_places([LinkIndex(bitext)], [ranges])[0]:
        if places is None:
            continue
        n, (before, behind) = len(places.starts), places.enclosed
        scores = {(a, b): places.starts[a] + places.ends[b] for a in range(n) for b in range(a, n)}
        assert sum(np.exp(score - places.total) for score in scores.values()) == pytest.approx(1)
        start, end, total = places.best
        balanced = [score for (a, b), score in scores.items() if before[a] == behind[b]]
        assert total == pytest.approx(scores[start - places.low, end - 1 - places.low])
        assert total == pytest.approx(max(balanced, default=max(scores.values())))
        assert 0 <= places.score <= 1 and places.probability == pytest.approx(np.exp(total - places.total))


@settings(deadline=None, max_examples=60)
@given(st.lists(st.lists(st.tuples(st.integers(0, 6), st.integers(1, 3), st.floats(0.1, 1)), max_size=4), max_size=4))
def test_a_span_moves_only_to_words_that_no_surer_one_has(cases):
    ranges = [(k, k + 1) for k in range(len(cases))]
    choices = [sorted((Stretch(a, a + n, total) for a, n, total in case), key=lambda s: -s.total) for case in cases]
    best = [of_span[0] if of_span else None for of_span in choices]
    result = settle_choices(ranges, choices)
    clashing = {n for pair in conflicts(ranges, best) for n in pair}
    assert all(result[n] == best[n] for n in range(len(cases)) if n not in clashing)
    order = sorted(clashing, key=lambda n: (-best[n].total, n))
    for k, n in enumerate(order):
        assert result[n] in choices[n]
        if result[n] != best[n]:
            assert not any(overlap(result[n], result[m]) for m in order[:k])


def test_only_spans_that_are_apart_in_the_source_are_in_conflict():
    same = [Stretch(0, 2, 1.0), Stretch(1, 3, 1.0)]
    assert conflicts([(0, 1), (1, 2)], same) == [(0, 1)]
    assert conflicts([(0, 2), (1, 2)], same) == []
    assert conflicts([(0, 1), (1, 2)], [Stretch(0, 2, 1.0), None]) == []


def test_scores_above_one_are_scaled():
    bitext = Bitext(doc_of(EN, "a b"), doc_of(PT, "a b"), Alignment([(0, 0), (1, 1)], [4.0, 2.0]))
    assert LinkIndex(bitext).strengths.tolist() == [1.0, 0.5]


def test_long_spans_that_claim_a_word_of_each_other_meet_there():
    n = 40
    source = doc_of(EN, [f"Word{i}" for i in range(2 * n)], (0, n, "A"), (n, 2 * n, "B"))
    target = Doc(PT, words=[f"Palavra{i}" for i in range(2 * n)])
    # The first word of the second span is also linked to the first span, a little more
    links = [(i, i) for i in range(2 * n)] + [(0, n)]
    scores = [0.7 if i == n else 1.0 for i in range(2 * n)] + [0.8]
    bitext = Bitext(source, target, Alignment(links, scores))
    project_bitext(LinkProjector(), bitext)
    (first, second), lost = bitext.target.ents, bitext.lost
    assert first.start == 0 and second.end == 2 * n and second.start - first.end <= 1 and lost == []


class CountedPairs(list):
    """A list of sentence pairs that counts how often one is looked at."""

    looks = 0

    def __iter__(self):
        for item in super().__iter__():
            self.looks += 1
            yield item

    def __getitem__(self, n):
        self.looks += 1
        return super().__getitem__(n)


def test_a_long_document_is_not_searched_for_the_sentence_of_each_span():
    n = 600
    source = doc_of(EN, ["Rio", "."] * n, *((2 * i, 2 * i + 1, "LOC") for i in range(n)))
    bitext = Bitext(source, Doc(PT, words=["Rio", "."] * n), Alignment([(i, i) for i in range(2 * n)]))
    bitext.sentences = CountedPairs(SentencePair(2 * i, 2 * i + 2, 2 * i, 2 * i + 2) for i in range(n))
    project_bitext(LinkProjector(), bitext)
    assert len(bitext.target.ents) == n
    assert bitext.sentences.looks < 30 * n


def test_a_token_outside_all_sentences_belongs_to_the_whole_and_of_two_sentences_the_first_counts():
    bitext = Bitext(doc_of(EN, "a b c d"), doc_of(PT, "a b c d"), Alignment())
    bitext.sentences = [SentencePair(1, 3, 0, 1), SentencePair(2, 3, 1, 2)]
    index = LinkIndex(bitext)
    assert [index.sentence_of(i).target for i in range(-1, 5)] == [(0, 4), (0, 4), (0, 1), (0, 1), (0, 4), (0, 4)]


def test_names_without_links_are_found_by_spelling_near_by_in_a_very_long_sentence():
    n = 3000
    words = ["Rio", "grows", "fast", "."] * n
    links = [(i, i) for i in range(len(words)) if i % 4]
    bitext = project(words, words, links, *((4 * k, 4 * k + 1, "LOC") for k in range(n)))
    assert [(ent.start, ent.end) for ent in bitext.target.ents] == [(4 * k, 4 * k + 1) for k in range(n)]


def test_a_conflict_of_very_many_spans_ends():
    n = 3000
    bitext = project(["Rio"] * n, ["Rio"] * n, [], *((k, k + 1, "LOC") for k in range(n)))
    assert len(bitext.target.ents) + len(bitext.lost) == n
