"""CandidateProjector: which places are considered, and how they are scored."""

from __future__ import annotations

import pickle

import pytest
from helpers.projection import project as project_bitext
from helpers.tiny_scorer import Copier, found, make_bitext, places
from hypothesis import given, settings
from hypothesis import strategies as st

from spacy_xlt.errors import InputMismatch, XltError, error
from spacy_xlt.projection.by_translation import SpanQuery
from spacy_xlt.projection.candidates import CandidateProjector, candidates
from spacy_xlt.projection.constrained import ConstrainedProjector
from spacy_xlt.projection.links.evidence import LinkIndex
from spacy_xlt.projection.markers import MarkerProjector
from spacy_xlt.translation.bergamot.engine import BergamotTranslator


def project(bitext, translator=None, **config):
    return project_bitext(CandidateProjector(translator=translator or Copier(), **config), bitext)


def query_for(bitext, start, end):
    return SpanQuery.of(LinkIndex(bitext), ("en", "pt"), start, end)


class OneWay(Copier):
    def _check(self, source, target):
        if (source, target) != ("en", "pt"):
            raise error("E201", engine="OneWay", source=source, target=target, known="en to pt")


class WithoutPieces(Copier):
    force = None


def test_all_ngrams_up_to_the_length_ratio_without_punctuation_at_the_ends():
    bitext = make_bitext("Rio , yes", "um Lima , sim", "")
    # Without links nothing is pruned
    assert {place for place, _ in candidates(query_for(bitext, 0, 1), pool=1, length_ratio=1)} == {
        (0, 1),
        (0, 2),
        (1, 2),
        (3, 4),
    }


def test_links_prune_what_is_not_among_the_best():
    bitext = make_bitext("a bb cc d", "w x bb cc y z", "0-0 1-2 2-3 3-4")
    ranked = candidates(query_for(bitext, 1, 3), pool=3, length_ratio=2)
    assert len(ranked) == 3 and ranked[0] == ((2, 4), 1.0)
    assert all(weight < 1 for _, weight in ranked[1:])


def test_the_translation_decides_where_links_lead_astray():
    # The links point at "saw" as much as at the name
    bitext = make_bitext("Ann saw it", "viu Ann isso", [(0, 0), (0, 1), (2, 2)], (0, 1, "PER"))
    assert found(project(bitext)) == [("Ann", "PER")]


def test_a_place_is_used_once_by_spans_that_are_apart():
    bitext = make_bitext("Rio and Rio", "Rio e Rio", "", (0, 1, "A"), (2, 3, "B"))
    project(bitext)
    assert sorted((start, end) for start, end, _ in places(bitext)) == [(0, 1), (2, 3)]
    nested = make_bitext("New York here", "New York aqui", "", groups={"g": [(0, 2, "L"), (0, 1, "ADJ")]})
    assert [(s.start, s.end) for s in project(nested).target.spans["g"]] == [(0, 2), (0, 1)]


@pytest.mark.parametrize("normalize", ["self", "length"])
def test_both_directions_count(normalize):
    bitext = make_bitext("Rio shines", "x Rio", "", (0, 1, "LOC"))
    assert found(project(bitext, normalize=normalize)) == [("Rio", "LOC")]
    with pytest.raises(XltError, match="cannot translate 'pt' to 'en'") as err:
        project(bitext, OneWay())
    assert err.value.code == "E410"


def test_a_scorer_that_does_not_tell_pieces_apart_does():
    bitext = make_bitext("New York shines", "brilha New York", "", (0, 2, "LOC"))
    assert found(project(bitext, WithoutPieces())) == [("New York", "LOC")]


@pytest.mark.parametrize("kind", [CandidateProjector, ConstrainedProjector, MarkerProjector])
def test_unknown_languages_are_an_error_unless_the_settings_say_them(kind):
    bitext = make_bitext("Rio", "Rio", None, (0, 1, "LOC"))
    bitext.source_lang = bitext.target_lang = "xx"
    with pytest.raises(InputMismatch, match="E309.*`source` and `target`"):
        project_bitext(kind(translator=Copier()), bitext)
    project_bitext(kind(translator=Copier(), source="en", target="pt"), bitext)
    assert found(bitext) == [("Rio", "LOC")]


def test_a_span_of_150_tokens():
    text = " ".join(f"w{i}x" for i in range(160))
    bitext = make_bitext(text, text, None, groups={"args": [(4, 154, "ARG")]})
    group = project(bitext).target.spans["args"]
    assert [(s.start, s.end) for s in group] == [(4, 154)] and len(group.attrs["scores"]) == 1


words = st.lists(st.text("abcdefgh", min_size=5, max_size=7), min_size=2, max_size=7, unique=True)


@given(words, st.data())
@settings(max_examples=30, deadline=None)
def test_identity_permutation_and_an_unrelated_span(texts, data):
    n = len(texts)
    ents = [(i, i + 1, f"L{i}") for i in sorted(data.draw(st.sets(st.integers(0, n - 1), min_size=1, max_size=3)))]
    text = " ".join(texts)
    assert places(project(make_bitext(text, text, None, *ents))) == ents
    assert places(project(make_bitext(text, text, None, *ents[:1]))) == ents[:1]
    order = data.draw(st.permutations(range(n)))
    links = [(i, order.index(i)) for i in range(n)]
    turned = project(make_bitext(text, " ".join(texts[i] for i in order), links, *ents))
    assert places(turned) == sorted((order.index(a), order.index(a) + 1, label) for a, _, label in ents)


def test_bad_settings_have_codes_and_it_pickles():
    for config, code in (
        ({"normalize": "no"}, "E150"),
        ({"pool": 0}, "E150"),
        ({"length_ratio": 0.5}, "E150"),
        ({"translator": object()}, "E101"),
    ):
        with pytest.raises(XltError) as err:
            CandidateProjector(**config)
        assert err.value.code == code, config
    projector = pickle.loads(pickle.dumps(CandidateProjector(translator=Copier(), evidence=2)))
    assert "translator:(copier-1)" in projector.signature and "evidence:2" in projector.signature


def test_the_bundled_model_finds_names_without_any_links():
    source, target = (
        "Angela Merkel met Boris Johnson in the United Kingdom .",
        ("No Reino Unido , Boris Johnson encontrou Angela Merkel ."),
    )
    bitext = make_bitext(source, target, "", (0, 2, "PER"), (3, 5, "PER"), (7, 9, "LOC"))
    project(bitext, BergamotTranslator())
    assert found(bitext) == [("Reino Unido", "LOC"), ("Boris Johnson", "PER"), ("Angela Merkel", "PER")]
