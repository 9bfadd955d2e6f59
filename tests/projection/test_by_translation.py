"""What holds for all projectors that ask a translator, and for combinations of them."""

from __future__ import annotations

import pytest
import spacy
from helpers.projection import project
from helpers.tiny_scorer import Copier, found, make_bitext, places
from hypothesis import given, settings
from hypothesis import strategies as st
from spacy.tokens import Doc

from spacy_xlt import Alignment, Bitext
from spacy_xlt.errors import InputMismatch, XltError
from spacy_xlt.projection.candidates import CandidateProjector
from spacy_xlt.projection.combined import StackedProjector, VotingProjector
from spacy_xlt.projection.constrained import ConstrainedProjector
from spacy_xlt.projection.links.evidence import LinkIndex
from spacy_xlt.projection.links.projector import LinkProjector
from spacy_xlt.projection.markers import MarkerProjector
from spacy_xlt.projection.queries import SpanQuery
from spacy_xlt.translation.bergamot.engine import BergamotTranslator

KINDS = [CandidateProjector, ConstrainedProjector, MarkerProjector]
PROJECTORS = {
    **{kind.__name__: kind(translator=Copier()) for kind in KINDS},
    **{
        kind.__name__: kind(projectors=[LinkProjector(), CandidateProjector(translator=Copier())])
        for kind in (StackedProjector, VotingProjector)
    },
}
words = st.lists(st.text("abcdefgh", min_size=4, max_size=6), min_size=2, max_size=7, unique=True)


@pytest.mark.parametrize("name", PROJECTORS)
@given(words, st.data())
@settings(max_examples=15, deadline=None)
def test_identity_permutation_and_an_unrelated_span(name, texts, data):
    n, text = len(texts), " ".join(texts)
    cuts = sorted(data.draw(st.sets(st.integers(0, n), min_size=2, max_size=4)))
    ents = [(a, b, f"L{a}") for a, b in zip(cuts, cuts[1:], strict=False)]
    for some in (ents, ents[:1]):
        assert places(project(PROJECTORS[name], make_bitext(text, text, None, *some))) == some
    if name == "ConstrainedProjector":
        return  # its translator would have to know the order of the target
    bounds = sorted({0, n, *cuts})
    blocks = data.draw(st.permutations(list(zip(bounds, bounds[1:], strict=False))))
    order = [i for a, b in blocks for i in range(a, b)]
    links = [(i, order.index(i)) for i in range(n)]
    turned = project(PROJECTORS[name], make_bitext(text, " ".join(texts[i] for i in order), links, *ents))
    assert places(turned) == sorted((order.index(a), order.index(a) + b - a, label) for a, b, label in ents)


@pytest.mark.parametrize("name", PROJECTORS)
def test_the_target_text_is_never_changed_and_groups_may_nest(name):
    groups = {"args": [(0, 4, "OUT"), (1, 2, "IN"), (1, 3, "CROSS"), (2, 4, "CROSS2")]}
    bitext = project(PROJECTORS[name], make_bitext("aa bb cc dd ee", "aa bb cc dd ee", None, groups=groups))
    assert bitext.target.text == "aa bb cc dd ee "
    group = bitext.target.spans["args"]
    assert [(s.start, s.end, s.label_) for s in group] == groups["args"]
    assert len(group.attrs["scores"]) == 4 and all(0 <= score <= 1 for score in group.attrs["scores"])


@pytest.mark.parametrize("kind", [CandidateProjector, MarkerProjector])
def test_a_span_of_150_tokens(kind):
    text = " ".join(f"w{i}x" for i in range(160))
    bitext = make_bitext(text, text, None, groups={"args": [(4, 154, "ARG")]})
    group = project(kind(translator=Copier()), bitext).target.spans["args"]
    assert [(s.start, s.end) for s in group] == [(4, 154)] and group.attrs["by"] == [kind.__name__]


@pytest.mark.parametrize("kind", KINDS)
def test_unknown_languages_are_an_error_unless_the_settings_say_them(kind):
    bitext = make_bitext("Rio", "Rio", None, (0, 1, "LOC"))
    bitext.source_lang = bitext.target_lang = "xx"
    with pytest.raises(InputMismatch, match="E309.*`source` and `target`"):
        project(kind(translator=Copier()), bitext)
    project(kind(translator=Copier(), source="en", target="pt"), bitext)
    assert found(bitext) == [("Rio", "LOC")]


@pytest.mark.parametrize("kind", KINDS)
def test_a_direction_that_the_translator_lacks_is_named(kind):
    bitext = make_bitext("Rio", "Rio", None, (0, 1, "LOC"))
    bitext.target_lang = "de"
    with pytest.raises(XltError, match="E410.*'en' to 'de'"):
        project(kind(translator=Copier()), bitext)


def test_the_bundled_model_finds_names_without_any_links():
    source, target = "Michael Jordan was born in Brooklyn .", "Michael Jordan nasceu em Brooklyn ."
    translator = BergamotTranslator()
    for kind in KINDS:
        bitext = make_bitext(source, target, "", (0, 2, "PER"), (5, 6, "LOC"))
        project(kind(translator=translator), bitext)
        assert found(bitext) == [("Michael Jordan", "PER"), ("Brooklyn", "LOC")]


def test_of_a_very_long_sentence_a_part_around_the_span_is_asked_about():
    n = 3000
    docs = [Doc(spacy.blank("xx").vocab, words=[f"{side}{i}" for i in range(n)]) for side in "st"]
    for links in ([(i, i) for i in range(0, n, 7)], [(i, n - 1 - i) for i in range(0, n, 7)], [(0, n - 1)], []):
        index = LinkIndex(Bitext(*docs, Alignment(links)))
        queries = [SpanQuery.of(index, i, i + 2) for i in range(0, n - 1)]
        for query in queries:
            assert query.source_low <= query.start < query.end <= query.source_high <= n
            assert 0 <= query.low <= query.high <= n
            assert query.source_high - query.source_low <= 130 and query.high - query.low <= 512
        # Spans beside each other are asked about together
        assert len({(query.source_low, query.low) for query in queries}) < 30
    index = LinkIndex(Bitext(*docs, Alignment([(i, i) for i in range(n)])))
    for i in (0, 1500, n - 1):
        assert SpanQuery.of(index, i, i + 1).low <= i < SpanQuery.of(index, i, i + 1).high
    short = [doc[:400].as_doc() for doc in docs]
    query = SpanQuery.of(LinkIndex(Bitext(*short)), 5, 6)
    assert (query.source_low, query.source_high, query.low, query.high) == (0, 400, 0, 400)
