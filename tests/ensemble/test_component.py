"""Combining what several pipelines find: probabilities, the best set of spans, and the component."""

from __future__ import annotations

import math
import shutil
from itertools import combinations

import pytest
import spacy
from helpers.tiny_pipelines import recogniser, ruler, saved_ruler
from hypothesis import given
from hypothesis import strategies as st
from spacy.tokens import Doc, Span, SpanGroup

from spacy_xlt.ensemble.combining import MemberSpans, best_set, combine, renamed
from spacy_xlt.errors import XltError, XltWarning
from spacy_xlt.probabilities import SpanKey, annotate_scored, beam_scores, categoriser_scores

MARIA, LISBON = SpanKey(0, 1, "PER"), SpanKey(3, 4, "LOC")


@given(st.lists(st.tuples(st.integers(0, 8), st.integers(1, 4), st.floats(0.01, 1)), max_size=7))
def test_the_best_set_is_the_best_of_all_sets(items):
    ranges = [(start, start + length) for start, length, _ in items]
    gains = [gain for _, _, gain in items]

    def fits(chosen):
        return all(a[1] <= b[0] or b[1] <= a[0] for a, b in combinations([ranges[i] for i in chosen], 2))

    sets = (chosen for n in range(len(ranges) + 1) for chosen in combinations(range(len(ranges)), n))
    expected = max(sum(gains[i] for i in chosen) for chosen in sets if fits(chosen))
    found = best_set(ranges, gains)
    assert fits(found) and sum(gains[i] for i in found) == pytest.approx(expected)


def found(*spans, silent=(), labels=None, **scores):
    return MemberSpans(set(spans), dict.fromkeys(spans, 1.0), frozenset(silent), labels)


def keys(combined):
    return [one.span for one in combined]


def run(members, **settings):
    settings = {"method": "mean", "threshold": 0.4, "weights": dict.fromkeys(members, 1.0), **settings}
    return combine(members, **settings)


def test_the_mean_of_probabilities_decides():
    one = MemberSpans({MARIA}, {MARIA: 0.9, LISBON: 0.3})
    two = MemberSpans({MARIA, LISBON}, {MARIA: 0.7, LISBON: 0.6})
    combined = run({"one": one, "two": two})
    assert [(c.span, round(c.score, 3), c.members) for c in combined] == [
        (MARIA, 0.8, {"one": 0.9, "two": 0.7}),
        (LISBON, 0.45, {"one": 0.3, "two": 0.6}),
    ]
    assert keys(run({"one": one, "two": two}, threshold=0.5)) == [MARIA]
    assert keys(run({"one": one, "two": two}, threshold=0.5, weights={"one": 1.0, "two": 3.0})) == [MARIA, LISBON]


def test_of_spans_that_overlap_the_best_set_stays():
    whole, first, last = SpanKey(0, 3, "ORG"), SpanKey(0, 1, "PER"), SpanKey(2, 3, "LOC")
    one = MemberSpans({whole}, {whole: 0.9, first: 0.8, last: 0.8})
    assert keys(run({"one": one})) == [first, last]
    assert keys(run({"one": one}, overlapping=True)) == [first, whole, last]


def test_a_member_without_a_say_does_not_lower_the_mean():
    sure = MemberSpans({LISBON}, {LISBON: 0.7})
    assert run({"one": sure, "two": found()})[:] == []
    for other in (found(silent=[3]), found(labels=frozenset({"PER"}))):
        assert run({"one": sure, "two": other})[0].score == pytest.approx(0.7)
    assert run({"one": sure, "two": found(silent=[2])}) == []


def test_union_intersection_and_priority():
    longer = SpanKey(2, 4, "LOC")
    members = {"one": found(MARIA, LISBON), "two": found(longer)}
    assert keys(run(members, method="priority")) == [MARIA, LISBON]
    assert keys(run({"two": members["two"], "one": members["one"]}, method="priority")) == [MARIA, longer]
    assert keys(run(members, method="intersection")) == []
    assert keys(run({**members, "two": found(LISBON, silent=[0])}, method="intersection")) == [MARIA, LISBON]
    assert MARIA in keys(run(members, method="union")) and len(run(members, method="union")) == 2


def all_analyses(ner, doc):
    """Every way to annotate a doc with its probability, step by step with the model itself."""
    step_model = ner.model.predict([doc])
    done = {}

    def go(actions):
        (state,) = ner.moves.init_batch([doc])
        log = 0.0
        for action in actions:
            scores = step_model.predict([state])[0].astype(float)
            scores -= scores.max()
            log += scores[action] - math.log(sum(math.exp(score) for score in scores))
            ner.moves.apply_transition(state, ner.moves.get_class_name(action))
        if state.is_final():
            target = doc.copy()
            ner.moves.set_annotations(state, target)
            done[tuple(actions)] = math.exp(log), {SpanKey(e.start, e.end, e.label_) for e in target.ents}
            return
        for action in range(ner.moves.n_moves):
            if ner.moves.is_valid(state, ner.moves.get_class_name(action)):
                go([*actions, action])

    go([])
    return list(done.values())


def test_the_beam_adds_up_the_probabilities_of_analyses():
    nlp = recogniser(updates=3)
    ner, doc = nlp.get_pipe("ner"), nlp.make_doc("Maria left")
    analyses = all_analyses(ner, doc)
    assert len(analyses) > 5
    total = sum(probability for probability, _ in analyses)
    (scores,) = beam_scores(ner, [doc], 500)
    assert scores
    for span, score in scores.items():
        assert score == pytest.approx(sum(p for p, spans in analyses if span in spans) / total, abs=1e-3)


def test_every_doc_of_a_batch_gets_its_own_probabilities():
    nlp = recogniser()
    texts = ["Maria lives in Lisbon.", "", "Nobody lives there.", "Peter Smith saw Porto."]
    docs, together = annotate_scored(nlp, [nlp.make_doc(text) for text in texts], beam_width=4)
    assert [doc.text for doc in docs] == texts and together[1] == {}
    for doc, scores in zip(docs, together, strict=True):
        (alone,) = annotate_scored(nlp, [nlp.make_doc(doc.text)], beam_width=4)[1]
        assert scores == pytest.approx(alone)
        assert {SpanKey(e.start, e.end, e.label_) for e in doc.ents} <= scores.keys()
        assert all(0.0 < score <= 1.0 for score in scores.values())
    assert together[0][SpanKey(3, 4, "LOC")] > 0.5


def test_what_rules_add_is_certain():
    nlp = recogniser(updates=3)
    nlp.add_pipe("entity_ruler", first=True).add_patterns([{"label": "LOC", "pattern": "Porto"}])
    (scores,) = annotate_scored(nlp, [nlp.make_doc("They saw Porto.")], beam_width=4)[1]
    assert scores[SpanKey(2, 3, "LOC")] == pytest.approx(1.0)
    after = recogniser(updates=3)
    after.add_pipe("entity_ruler", config={"overwrite_ents": True}).add_patterns([{"label": "X", "pattern": "Porto"}])
    (scores,) = annotate_scored(after, [after.make_doc("They saw Porto.")], beam_width=4)[1]
    assert scores[SpanKey(2, 3, "X")] == 1.0


def test_a_categoriser_scores_also_what_it_would_leave_out():
    nlp = spacy.blank("en")
    suggester = {"@misc": "spacy.ngram_suggester.v1", "sizes": [1, 2]}
    categoriser = nlp.add_pipe("spancat", config={"suggester": suggester, "threshold": 0.99})
    for label in ("PER", "LOC"):
        categoriser.add_label(label)
    nlp.initialize()
    docs = [nlp.make_doc("Maria saw Lisbon"), nlp.make_doc(""), nlp.make_doc("a")]
    first, empty, last = categoriser_scores(categoriser, docs)
    assert len(first) == 2 * 5 and empty == {} and len(last) == 2
    docs, scored = annotate_scored(nlp, docs, beam_width=8, spans_key="sc")
    assert not docs[0].spans["sc"] and scored[0] == pytest.approx(first)


@pytest.fixture
def rulers(tmp_path):
    """Two pipelines that agree on Lisbon alone."""
    one = saved_ruler(tmp_path / "one", "en", {"Lisbon": "LOC", "Maria": "PER"})
    two = saved_ruler(tmp_path / "two", "xx", {"Lisbon": "LOC", "Peter": "PER"})
    return {"one": str(one), "two": str(two)}


def ensemble(members, lang="en", **config):
    nlp = spacy.blank(lang)
    nlp.add_pipe("xlt_ensemble", config={"members": members, **config})
    return nlp


def ents(doc):
    return [(ent.text, ent.label_) for ent in doc.ents]


TEXT = "Maria and Peter saw Lisbon."


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, ["Maria", "Peter", "Lisbon"]),
        ({"threshold": 0.6}, ["Lisbon"]),
        ({"threshold": 0.6, "weights": {"one": 2.0}}, ["Maria", "Lisbon"]),
        ({"method": "intersection"}, ["Lisbon"]),
    ],
)
def test_pipelines_are_combined_as_the_settings_say(rulers, settings, expected):
    doc = ensemble(rulers, **settings)(TEXT)
    assert [ent.text for ent in doc.ents] == expected


def test_scores_tell_which_member_found_a_span(rulers):
    doc = ensemble(rulers)(TEXT)
    group = doc.spans["xlt_ensemble"]
    assert [
        (span.text, score, who)
        for span, score, who in zip(group, group.attrs["scores"], group.attrs["members"], strict=True)
    ] == [
        ("Maria", 0.5, {"one": 1.0}),
        ("Peter", 0.5, {"two": 1.0}),
        ("Lisbon", 1.0, {"one": 1.0, "two": 1.0}),
    ]
    again = Doc(doc.vocab).from_bytes(doc.to_bytes())
    assert again.spans["xlt_ensemble"].attrs["members"][2] == {"one": 1.0, "two": 1.0}


def test_a_saved_ensemble_needs_no_other_folder(rulers, tmp_path):
    nlp = ensemble(rulers)
    nlp.initialize()
    nlp.to_disk(tmp_path / "saved")
    for path in rulers.values():
        shutil.rmtree(path)
    again = spacy.load(tmp_path / "saved")
    assert ents(again(TEXT)) == ents(nlp(TEXT)) != []
    assert any(line.startswith("spacy-xlt") for line in again.meta["requirements"])
    texts = [TEXT, "", " ", "Lisbon"] * 3
    docs = list(again.pipe(texts, batch_size=5, n_process=2))
    assert [doc.text for doc in docs] == texts and ents(docs[-1]) == [("Lisbon", "LOC")] and ents(docs[1]) == []


def test_the_bytes_of_an_ensemble_have_its_pipelines(tmp_path):
    recogniser().to_disk(tmp_path / "one")
    nlp = ensemble({"one": str(tmp_path / "one")})
    data, config = nlp.to_bytes(), nlp.config
    shutil.rmtree(tmp_path / "one")
    again = spacy.blank("en").from_config(config).from_bytes(data)
    assert ents(again("Maria lives in Lisbon.")) == [("Maria", "PER"), ("Lisbon", "LOC")]


def test_what_the_pipeline_itself_finds_can_be_a_member(rulers):
    nlp = ruler("en", {"Peter": "PER", "Lisbon": "GPE"})
    config = {"members": {"one": rulers["one"]}, "own": "rules", "threshold": 0.6, "labels": {"rules": {"GPE": "LOC"}}}
    nlp.add_pipe("xlt_ensemble", config=config)
    assert ents(nlp(TEXT)) == [("Lisbon", "LOC")]


def test_scores_that_a_projector_left_count(rulers):
    nlp = spacy.blank("en")
    nlp.add_pipe("xlt_ensemble", config={"members": {"one": rulers["one"]}, "own": "projected", "threshold": 0.0})
    doc = nlp.make_doc(TEXT)
    spans = [Span(doc, 2, 3, label="PER"), Span(doc, 4, 5, label="LOC")]
    doc.set_ents(spans[1:])
    attrs = {"scores": [0.8, 0.5], "source_scores": [0.5, 0.9]}
    doc.spans["xlt_candidates"] = SpanGroup(doc, name="xlt_candidates", attrs=attrs, spans=spans)
    group = nlp(doc).spans["xlt_ensemble"]
    assert [span.text for span in group] == ["Maria", "Peter", "Lisbon"]
    assert group.attrs["scores"] == pytest.approx([0.5, 0.2, 0.725])


def test_tokens_that_no_member_knows_anything_of_are_missing(rulers):
    nlp = spacy.blank("en")
    nlp.add_pipe("xlt_ensemble", config={"members": {}, "own": "given"})
    doc = nlp.make_doc(TEXT)
    doc.set_ents([Span(doc, 0, 1, label="PER")], missing=[doc[3:5]], default="outside")
    assert [token.ent_iob for token in nlp(doc)] == [3, 2, 2, 0, 0, 2]
    both = spacy.blank("en")
    both.add_pipe("xlt_ensemble", config={"members": {"one": rulers["one"]}, "own": "given", "threshold": 0.6})
    # What is given says nothing of Lisbon: the other one alone decides
    assert [token.ent_iob for token in both(doc)] == [3, 2, 2, 2, 3, 2]


def test_members_that_know_other_labels_are_told(tmp_path):
    one = saved_ruler(tmp_path / "one", "en", {"Lisbon": "LOC", "Maria": "PER"})
    two = saved_ruler(tmp_path / "two", "en", {"Lisbon": "GPE", "Maria": "PER"})
    nlp = ensemble({"one": str(one), "two": str(two)}, threshold=0.6)
    with pytest.warns(XltWarning, match="W160.*one lacks GPE; two lacks LOC"):
        nlp.initialize()
    # Both labels have one member each that knows them, which alone has a say
    assert [ent.text for ent in nlp(TEXT).ents] == ["Maria", "Lisbon"]
    mapped = ensemble({"one": str(one), "two": str(two)}, threshold=0.6, labels={"two": {"GPE": "LOC"}})
    mapped.initialize()
    doc = mapped(TEXT)
    assert ents(doc) == [("Maria", "PER"), ("Lisbon", "LOC")]
    assert doc.spans["xlt_ensemble"].attrs["members"][1] == {"one": 1.0, "two": 1.0}


def test_labels_are_renamed_or_left_out():
    place = LISBON._replace(label="GPE")
    member = MemberSpans(
        {MARIA, LISBON}, {MARIA: 0.9, LISBON: 0.3, place: 0.6}, labels=frozenset({"PER", "LOC", "GPE"})
    )
    merged = renamed(member, {"GPE": "LOC", "PER": ""})
    assert merged == MemberSpans({LISBON}, {LISBON: 0.6}, labels=frozenset({"LOC"}))


def test_a_member_that_finds_no_entities_is_refused(tmp_path, rulers):
    blank = spacy.blank("en")
    blank.add_pipe("sentencizer")
    blank.to_disk(tmp_path / "blank")
    nlp = ensemble({"one": rulers["one"], "other": str(tmp_path / "blank")})
    with pytest.raises(XltError, match=r"E161.*blank.*members\.other.*doc\.ents.*sentencizer"):
        nlp.initialize()
    with pytest.raises(XltError, match="E161"):
        nlp("a")


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"members": {"one": None}}, r"E160.*members\.one"),
        ({"members": {"one": "no_such_pipeline"}}, r"E104.*no_such_pipeline.*members\.one"),
    ],
)
def test_a_member_that_cannot_be_loaded_is_named_at_once(config, message):
    with pytest.raises(XltError, match=message):
        ensemble(**config).initialize()


@pytest.mark.parametrize(
    "config",
    [
        {"members": {}},
        {"members": {"one": "x"}, "own": "one"},
        {"members": {"a/b": "x"}},
        {"weights": {"three": 1.0}},
        {"weights": {"one": -1.0}},
        {"labels": {"three": {}}},
        {"method": "vote"},
        {"threshold": 1.5},
        {"beam_width": 0},
    ],
)
def test_settings_that_cannot_be_are_refused(config):
    with pytest.raises(XltError, match=f"E150.*{next(reversed(config)) if 'own' not in config else 'members'}"):
        ensemble(**{"members": {"one": "x", "two": "y"}, **config})


def test_span_groups_are_combined_too(tmp_path):
    for name, patterns in (("one", {"the city": "A", "city": "B"}), ("two", {"city": "B"})):
        nlp = spacy.blank("en")
        config = {"spans_key": "sc", "annotate_ents": False}
        nlp.add_pipe("span_ruler", config=config).add_patterns(
            [{"pattern": text, "label": label} for text, label in patterns.items()]
        )
        nlp.to_disk(tmp_path / name)
    members = {name: str(tmp_path / name) for name in ("one", "two")}
    doc = ensemble(members, spans_key="sc")("They saw the city.")
    group = doc.spans["sc"]
    assert [(span.text, span.label_) for span in group] == [("the city", "A"), ("city", "B")]
    # "two" does not know the label A, and has no say on it
    assert group.attrs["scores"] == [1.0, 1.0] and not doc.has_annotation("ENT_IOB")
    with pytest.raises(XltError, match=r"E161.*doc\.ents.*spans_key"):
        ensemble(members)("a")
