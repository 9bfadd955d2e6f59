"""CandidateProjector: which places are considered, and how they are scored."""

from __future__ import annotations

import pickle

import pytest
from helpers.projection import project as project_bitext
from helpers.tiny_scorer import Copier, found, make_bitext, places

from spacy_xlt.errors import XltError, error
from spacy_xlt.projection.candidates import CandidateProjector, candidates
from spacy_xlt.projection.links.evidence import LinkIndex
from spacy_xlt.projection.queries import SpanQuery


def project(bitext, translator=None, **config):
    return project_bitext(CandidateProjector(translator=translator or Copier(), **config), bitext)


def query_for(bitext, start, end):
    return SpanQuery.of(LinkIndex(bitext), start, end)


class OneWay(Copier):
    def _check(self, source, target):
        if (source, target) != ("en", "pt"):
            raise error("E201", engine="OneWay", source=source, target=target, known="en to pt")


class WithoutPieces(Copier):
    force = None


def test_all_ngrams_up_to_the_length_ratio_without_punctuation_at_the_ends():
    bitext = make_bitext("Rio , yes", "um Lima , sim ou não", "")
    # Without links nothing is pruned
    places_of = {place for place, _ in candidates(query_for(bitext, 0, 1), pool=1)}
    assert places_of == {(0, 1), (0, 2), (1, 2), (1, 4), (3, 4), (3, 5), (3, 6), (4, 5), (4, 6), (5, 6)}


def test_links_prune_what_is_not_among_the_best():
    bitext = make_bitext("a bb cc d", "w x bb cc y z", "0-0 1-2 2-3 3-4")
    ranked = candidates(query_for(bitext, 1, 3), pool=3)
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


def test_both_directions_count():
    bitext = make_bitext("Rio shines", "x Rio", "", (0, 1, "LOC"))
    assert found(project(bitext)) == [("Rio", "LOC")]
    with pytest.raises(XltError, match="cannot translate 'pt' to 'en'") as err:
        project(bitext, OneWay())
    assert err.value.code == "E410"


def test_a_scorer_that_does_not_tell_pieces_apart_does():
    bitext = make_bitext("New York shines", "brilha New York", "", (0, 2, "LOC"))
    assert found(project(bitext, WithoutPieces())) == [("New York", "LOC")]


def test_bad_settings_have_codes_and_it_pickles():
    for config, code in (
        ({"pool": 0}, "E150"),
        ({"translator": object()}, "E101"),
    ):
        with pytest.raises(XltError) as err:
            CandidateProjector(**config)
        assert err.value.code == code, config
    projector = pickle.loads(pickle.dumps(CandidateProjector(translator=Copier(), evidence=2)))
    assert "translator:(copier-1)" in projector.signature and "evidence:2" in projector.signature
