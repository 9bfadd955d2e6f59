"""ConstrainedProjector: the search for the markers' places, against trying all of them, and the projector around it."""

from __future__ import annotations

import pickle

import pytest
from helpers.projection import project as project_bitext
from helpers.tiny_scorer import Copier, Dice, found, make_bitext, places
from hypothesis import given, settings
from hypothesis import strategies as st

from spacy_xlt.bitext import ENTS_GROUP
from spacy_xlt.errors import XltError
from spacy_xlt.projection.constrained import ConstrainedProjector, Problem, decode, run_all
from spacy_xlt.translation.bergamot.engine import BergamotTranslator


def problem(text, *, slack=None, n_best=3, source="[x]"):
    tokens, at = [], 0
    for word in text.split():
        tokens.append((at, at + len(word)))
        at += len(word) + 1
    return Problem(
        source=source,
        target=text,
        tokens=tokens,
        opening="[",
        closing="]",
        starts=range(len(tokens)),
        longest=4,
        n_best=n_best,
        slack=slack,
    )


def ask(sources, targets):
    return Dice().force(sources, targets, source="en", target="pt")


def search(*problems, limit=10_000):
    return run_all([decode(p, limit=limit) for p in problems], [p.source for p in problems], ask)


def project(bitext, translator=None, **config):
    return project_bitext(ConstrainedProjector(translator=translator or Copier(), **config), bitext)


texts = st.lists(st.sampled_from(["a", "b", "cd", "ef,"]), min_size=1, max_size=8).map(" ".join)


@given(texts, st.integers(0, 99))
@settings(max_examples=60, deadline=None)
def test_without_slack_limit_the_search_finds_what_trying_all_places_finds(text, seed):
    p = problem(text, source=f"[x{seed}]")
    all_of_them = []
    for start in p.starts:
        for end in range(start + 1, min(len(p.tokens), start + p.longest) + 1):
            ((log_probs, _),) = ask([p.source], [p.opened(start, end, closed=True)])
            all_of_them.append((float(log_probs.sum()), start, end))
    expected = sorted(all_of_them, key=lambda item: -item[0])[:3]
    (result,) = search(p)
    assert result.exact and [place.score for place in result.places] == pytest.approx([s for s, _, _ in expected])


def test_the_bound_leaves_out_what_cannot_win():
    text = " ".join("abcdefgh"[i % 8] for i in range(12))
    exhaustive, pruned = problem(text, n_best=1), problem(text, n_best=1, slack=0.0)
    (all_of_them,), (few,) = search(exhaustive), search(pruned)
    assert few.asked < all_of_them.asked < 12 * 4


def test_searches_side_by_side_find_what_each_finds_alone():
    problems = [problem(text, source=f"[{text}]", slack=1.0) for text in ("a b cd", "ef, a", "b b b b b a")]
    assert [r.places for r in search(*problems)] == [r.places for p in problems for r in search(p)]


def test_a_search_that_is_cut_off_says_so():
    (result,) = search(problem("a b cd ef, a b cd a", n_best=8), limit=2)
    assert not result.exact and 0 < len(result.places) <= 8


def test_spans_go_where_the_marked_translation_is_most_probable():
    bitext = make_bitext("Ann met Bo Kim", "Ann conheceu Bo Kim", "", (0, 1, "PER"), (2, 4, "ORG"))
    project(bitext, Copier(met="conheceu"))
    assert found(bitext) == [("Ann", "PER"), ("Bo Kim", "ORG")]
    assert bitext.target.spans[ENTS_GROUP].attrs["by"] == ["ConstrainedProjector"] * 2


def test_the_target_text_is_never_changed_and_groups_may_nest():
    groups = {"args": [(0, 4, "OUT"), (1, 2, "IN"), (1, 3, "CROSS")]}
    bitext = project(make_bitext("aa bb cc dd ee", "aa bb cc dd ee", None, groups=groups))
    assert bitext.target.text == "aa bb cc dd ee "
    assert [(s.start, s.end, s.label_) for s in bitext.target.spans["args"]] == groups["args"]


def test_long_sentences_go_to_the_fallback():
    text = " ".join(f"w{i}x" for i in range(160))
    bitext = project(make_bitext(text, text, None, groups={"args": [(4, 154, "ARG")]}))
    group = bitext.target.spans["args"]
    assert [(s.start, s.end) for s in group] == [(4, 154)] and group.attrs["by"] == ["LinkProjector"]
    alone = project(make_bitext(text, text, None, groups={"args": [(4, 154, "ARG")]}), fallback=None)
    assert [span.reason for span in alone.lost] == ["too_long"]


words = st.lists(st.text("abcdefgh", min_size=3, max_size=5), min_size=1, max_size=7, unique=True)


@given(words, st.data())
@settings(max_examples=30, deadline=None)
def test_identity_and_an_unrelated_span(texts, data):
    n = len(texts)
    cuts = sorted(data.draw(st.sets(st.integers(0, n), min_size=2, max_size=4)))
    ents = [(a, b, f"L{k}") for k, (a, b) in enumerate(zip(cuts, cuts[1:], strict=False))]
    text = " ".join(texts)
    assert places(project(make_bitext(text, text, None, *ents))) == ents
    assert places(project(make_bitext(text, text, None, *ents[:1]))) == ents[:1]


def test_bad_settings_and_directions_have_codes_and_it_pickles():
    for config, code in (
        ({"markers": "stars"}, "E150"),
        ({"n_best": 0}, "E150"),
        ({"slack": -1.0}, "E150"),
        ({"starts": 0}, "E150"),
        ({"fallback": 3}, "E412"),
        ({"translator": object()}, "E101"),
    ):
        with pytest.raises(XltError) as err:
            ConstrainedProjector(**config)
        assert err.value.code == code, config
    bitext = make_bitext("Rio", "Rio", None, (0, 1, "LOC"))
    bitext.target_lang = "de"
    with pytest.raises(XltError) as err:
        project(bitext)
    assert err.value.code == "E410"
    projector = pickle.loads(pickle.dumps(ConstrainedProjector(translator=Copier(), slack=None, starts=None)))
    assert "slack:None|starts:None" in projector.signature and "copier-1" in projector.signature


def test_the_bundled_model_finds_the_places():
    source, target = "Michael Jordan was born in Brooklyn .", "Michael Jordan nasceu em Brooklyn ."
    bitext = make_bitext(source, target, "", (0, 2, "PER"), (5, 6, "LOC"))
    assert found(project(bitext, BergamotTranslator())) == [("Michael Jordan", "PER"), ("Brooklyn", "LOC")]
