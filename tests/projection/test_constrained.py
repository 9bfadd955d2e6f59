"""ConstrainedProjector: the search for the markers' places, against trying all of them, and the projector around it."""

from __future__ import annotations

import math
import pickle

import pytest
from helpers.projection import project as project_bitext
from helpers.tiny_scorer import Copier, Dice, found, make_bitext
from hypothesis import given, settings
from hypothesis import strategies as st

from spacy_xlt.bitext import ENTS_GROUP
from spacy_xlt.errors import XltError
from spacy_xlt.projection.constrained import CLOSINGS, ConstrainedProjector, Problem, decode, run_all


def problem(text, *, slack=math.inf, n_best=3, source="[x]", limit=10_000):
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
        limit=limit,
    )


def ask(sources, targets):
    return Dice().force(sources, targets, source="en", target="pt")


def search(*problems, ask=ask):
    return run_all([decode(p) for p in problems], [p.source for p in problems], ask)


def whole_texts_asked(problem):
    """How many whole marked texts a search asks about."""
    asked = []

    def counted(sources, targets):
        asked.extend(
            text for text in targets if text.replace("[", "").replace("]", "") == problem.target and "]" in text
        )
        return ask(sources, targets)

    search(problem, ask=counted)
    return len(asked)


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
    (found_places,) = search(p)
    assert [place.score for place in found_places] == pytest.approx([s for s, _, _ in expected])


def test_the_bound_leaves_out_what_cannot_win():
    text = " ".join("abcdefgh"[i % 8] for i in range(12))
    exhaustive, pruned = problem(text, n_best=1), problem(text, n_best=1, slack=0.0)
    assert whole_texts_asked(pruned) < whole_texts_asked(exhaustive) < 12 * 4


def test_searches_side_by_side_find_what_each_finds_alone():
    problems = [problem(text, source=f"[{text}]", slack=1.0) for text in ("a b cd", "ef, a", "b b b b b a")]
    assert search(*problems) == [places for p in problems for places in search(p)]


def test_a_search_ends_at_its_limit():
    cut_off = problem("a b cd ef, a b cd a", n_best=8, limit=2)
    assert 0 < len(search(cut_off)[0]) <= 2 + CLOSINGS


def test_spans_go_where_the_marked_translation_is_most_probable():
    bitext = make_bitext("Ann met Bo Kim", "Ann conheceu Bo Kim", "", (0, 1, "PER"), (2, 4, "ORG"))
    project(bitext, Copier(met="conheceu"))
    assert found(bitext) == [("Ann", "PER"), ("Bo Kim", "ORG")]
    assert bitext.target.spans[ENTS_GROUP].attrs["by"] == ["ConstrainedProjector"] * 2


def test_long_sentences_go_to_the_fallback():
    text = " ".join(f"w{i}x" for i in range(160))
    bitext = project(make_bitext(text, text, None, groups={"args": [(4, 154, "ARG")]}))
    group = bitext.target.spans["args"]
    assert [(s.start, s.end) for s in group] == [(4, 154)] and group.attrs["by"] == ["LinkProjector"]
    alone = project(make_bitext(text, text, None, groups={"args": [(4, 154, "ARG")]}), fallback=None)
    assert [span.reason for span in alone.lost] == ["too_long"]


def test_bad_settings_have_codes_and_it_pickles():
    for config, code in (
        ({"n_best": 0}, "E150"),
        ({"starts": 0}, "E150"),
        ({"fallback": 3}, "E101"),
        ({"translator": object()}, "E101"),
    ):
        with pytest.raises(XltError) as err:
            ConstrainedProjector(**config)
        assert err.value.code == code, config
    projector = pickle.loads(pickle.dumps(ConstrainedProjector(translator=Copier(), starts=None)))
    assert "starts:None" in projector.signature and "copier-1" in projector.signature
