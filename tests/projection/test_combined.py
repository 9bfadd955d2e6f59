"""StackedProjector and VotingProjector, and asking one projector for part of another's spans."""

from __future__ import annotations

import pickle

import pytest
from helpers.projection import project
from helpers.tiny_scorer import found, make_bitext, places

from spacy_xlt.bitext import ENTS_GROUP, SentencePair
from spacy_xlt.errors import XltError
from spacy_xlt.projection.annotations import spans_to_project
from spacy_xlt.projection.by_translation import place_some
from spacy_xlt.projection.combined import StackedProjector, VotingProjector
from spacy_xlt.projection.links.projector import LinkProjector
from spacy_xlt.protocols import Placement


class Says:
    """Puts source spans where a table says, and loses the others."""

    signature = "says-1"

    def __init__(self, score=1.0, **table):
        self.table = {tuple(map(int, key[1:].split("_"))): place for key, place in table.items()}
        self.score = score
        self.asked = []

    def place(self, work):
        return [{key: [self._place(span) for span in spans] for key, spans in groups.items()} for _, groups in work]

    def _place(self, span):
        self.asked.append((span.start, span.end))
        place = self.table.get((span.start, span.end))
        return "no_candidate" if place is None else Placement(*place, self.score)


def bitext_of(*ents, **config):
    return make_bitext("aaaa bbbb cccc dddd", "aaaa bbbb cccc dddd", None, *ents, **config)


def test_what_one_is_lost_about_or_unsure_of_is_the_next_ones():
    first = Says(0.9, s0_1=(0, 1))
    unsure = Says(0.3, s1_2=(3, 4))
    last = Says(0.8, s1_2=(1, 2), s2_3=(2, 3), s0_1=(3, 4))
    bitext = bitext_of((0, 1, "A"), (1, 2, "B"), (2, 3, "C"))
    project(StackedProjector(projectors=[first, unsure, last]), bitext)
    assert places(bitext) == [(0, 1, "A"), (1, 2, "B"), (2, 3, "C")]
    assert bitext.target.spans[ENTS_GROUP].attrs["scores"] == [0.9, 0.8, 0.8]


def test_where_none_is_sure_what_the_first_found_counts():
    bitext = bitext_of((0, 1, "A"))
    project(StackedProjector(projectors=[Says(0.2, s0_1=(0, 1)), Says(0.3, s0_1=(2, 3))]), bitext)
    assert places(bitext) == [(0, 1, "A")]
    bitext = bitext_of((0, 1, "A"), (2, 3, "B"))
    project(StackedProjector(projectors=[Says(0.2, s0_1=(0, 1))]), bitext, min_score=0.5)
    assert [(span.start, span.reason) for span in bitext.lost] == [(0, "low_score"), (2, "no_candidate")]


def test_each_stage_has_its_own_threshold_and_only_doubtful_sentences_are_asked_again():
    ents = ((0, 1, "A"), (2, 3, "B"), (3, 4, "C"))
    bitext = bitext_of(*ents)
    bitext.sentences = [SentencePair(0, 2, 0, 2), SentencePair(2, 4, 2, 4)]
    first = Says(0.6, s0_1=(0, 1), s3_4=(3, 4))
    last = Says(1.0, s2_3=(2, 3), s3_4=(2, 3))
    project(StackedProjector(projectors={"a": first, "b": last}, order=["a", "b"], min_score=0.6), bitext)
    assert places(bitext) == list(ents)
    # Both spans of the second sentence are shown, so that they can be placed together
    assert first.asked == [(0, 1), (2, 3), (3, 4)] and last.asked == [(2, 3), (3, 4)]


def test_the_place_that_most_agree_on_wins_with_the_share_as_score():
    bitext = bitext_of((0, 1, "A"))
    project(
        VotingProjector(projectors=[Says(1.0, s0_1=(0, 1)), Says(0.6, s0_1=(2, 3)), Says(0.6, s0_1=(2, 3))]), bitext
    )
    assert places(bitext) == [(2, 3, "A")]
    group = bitext.target.spans[ENTS_GROUP]
    assert group.attrs["scores"] == [0.4] and group.attrs["by"] == ["02+03"]


def test_the_surer_vote_wins_and_of_three_places_the_one_in_the_middle():
    bitext = bitext_of((0, 1, "A"))
    sure = {"x": Says(0.9, s0_1=(0, 1)), "y": Says(0.8, s0_1=(2, 3))}
    assert places(project(VotingProjector(projectors=sure), bitext)) == [(0, 1, "A")]
    middle = [Says(1.0, s0_1=(0, 2)), Says(1.0, s0_1=(0, 3)), Says(1.0, s0_1=(0, 4))]
    assert places(project(VotingProjector(projectors=middle), bitext)) == [(0, 3, "A")]


def test_without_a_majority_a_span_is_lost():
    bitext = bitext_of((0, 1, "A"), (3, 4, "B"))
    votes = [Says(1.0, s0_1=(0, 1), s3_4=(3, 4)), Says(1.0, s0_1=(1, 2), s3_4=(3, 4))]
    project(VotingProjector(projectors=votes, min_share=0.51), bitext)
    assert places(bitext) == [(3, 4, "B")]
    assert [(span.start, span.reason) for span in bitext.lost] == [(0, "no_agreement")]


def test_asking_about_some_spans_gives_their_outcomes():
    bitext = bitext_of((0, 1, "A"), (2, 3, "B"), groups={"g": [(0, 2, "G"), (0, 2, "H")]})
    groups = spans_to_project(bitext, ents=True, spans_keys=None)
    (answer,) = place_some(Says(0.5, s0_1=(1, 2), s0_2=(0, 2)), [(bitext, groups)], [{"ents": [0, 1], "g": [1]}])
    assert answer == {"ents": {0: Placement(1, 2, 0.5), 1: "no_candidate"}, "g": {1: Placement(0, 2, 0.5)}}


def test_groups_and_entities_are_all_combined():
    bitext = bitext_of((0, 1, "A"), groups={"g": [(0, 2, "G"), (1, 4, "H")], "other": []})
    project(StackedProjector(projectors=[Says(), LinkProjector()]), bitext)
    assert places(bitext) == [(0, 1, "A")]
    assert [(s.start, s.end, s.label_) for s in bitext.target.spans["g"]] == [(0, 2, "G"), (1, 4, "H")]
    assert len(bitext.target.spans["other"]) == 0


def test_parts_of_a_span_stay_in_a_combination():
    bitext = make_bitext("She gave up Ann", "desistiu Ann afinal ela", "1-0 3-1 2-2 0-3", (1, 3, "E"), (3, 4, "P"))
    for combine in (StackedProjector, VotingProjector):
        project(combine(projectors=[LinkProjector(parts="discontinuous")]), bitext)
        assert [span.text for span in bitext.target.spans[ENTS_GROUP]] == ["desistiu", "afinal", "Ann"]
        assert found(bitext) == [("desistiu", "E"), ("Ann", "P")]


def test_bad_settings_have_codes_and_combinations_pickle():
    link = LinkProjector()
    for make, code in (
        (lambda: StackedProjector(projectors=[]), "E150"),
        (lambda: StackedProjector(projectors=[link, 3]), "E101"),
        (lambda: StackedProjector(projectors={"a": link}, order=["b"]), "E150"),
        (lambda: StackedProjector(projectors={"a": link}, min_score=2), "E150"),
        (lambda: VotingProjector(projectors=[link], min_share=2), "E150"),
    ):
        with pytest.raises(XltError) as err:
            make()
        assert err.value.code == code
    stacked = pickle.loads(pickle.dumps(StackedProjector(projectors={"b": link, "a": link}, min_score=0.25)))
    assert list(stacked.members) == ["a", "b"] and "min_score:0.25" in stacked.signature
    assert found(project(stacked, bitext_of((0, 1, "A")))) == [("aaaa", "A")]
