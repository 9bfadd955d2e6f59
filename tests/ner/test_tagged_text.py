"""Text with tags: what is written, what was decided in it, and drafts while it is searched for."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spacy_xlt.ner.tagged_text import CLOSE, GO_ON, NEVER, OPEN, Draft, Output, Words, valid_tags, write

# Behind all pieces
FIRST_TAG = 100


def make_words(sizes: list[int]) -> Words:
    """Words with pieces that count up."""
    starts = np.cumsum([0, *sizes])
    pieces = np.arange(starts[-1])
    return Words(pieces, np.array(sizes), pieces[starts[:-1]])


def read_back(tokens: list[int], sizes: list[int], n_labels: int) -> list[int]:
    """The tags of what was written, by an automaton: fails for everything that is not well formed."""
    tags: list[int] = []
    is_open, opened, at = 0, False, 0
    for size in sizes:
        if tokens[at] == FIRST_TAG:
            assert is_open
            is_open, at = 0, at + 1
        if tokens[at] > FIRST_TAG:
            assert not is_open
            is_open, opened, at = tokens[at] - FIRST_TAG, True, at + 1
        pieces = tokens[at : at + size]
        assert len(pieces) == size and all(piece < FIRST_TAG for piece in pieces)
        tags.append(is_open if opened or not is_open else n_labels + is_open)
        opened, at = False, at + size
    assert at == len(tokens)
    return tags


@st.composite
def tagged(draw):
    """Sizes of words, tags that may be anything, and the number of labels."""
    n_labels = draw(st.integers(1, 3))
    sizes = draw(st.lists(st.integers(1, 4), min_size=1, max_size=12))
    tags = draw(st.lists(st.integers(-1, 2 * n_labels), min_size=len(sizes), max_size=len(sizes)))
    return sizes, np.array(tags), n_labels


def test_tags_stand_before_the_words_of_an_entity_and_behind_them():
    # Two labels: O, B of the first, I of the first, B of the second, O
    written = write(make_words([1, 2, 1, 1, 2]), np.array([0, 1, 3, 2, 0]), 2, FIRST_TAG)
    assert written.tokens.tolist() == [0, 101, 1, 2, 3, 100, 102, 4, 100, 5, 6]
    assert written.words.tolist() == [0, 1, 1, 1, 2, 3, 3, 3, 4, 4, 4]


def test_decisions_are_where_a_tag_stands_or_could_stand():
    written = write(make_words([1, 2, 1, 1, 2]), np.array([0, 1, 3, 2, 0]), 2, FIRST_TAG)
    decisions = zip(
        *(getattr(written, name).tolist() for name in ("before", "places", "closes", "chosen")), strict=True
    )
    assert sorted(decisions) == [
        (0, 0, False, GO_ON),
        (1, 1, False, OPEN),
        (2, 4, True, GO_ON),
        (3, 5, True, CLOSE),
        (3, 6, False, OPEN + 1),
        (4, 8, True, CLOSE),
        (4, 9, False, GO_ON),
    ]


@given(tagged())
def test_what_is_written_is_read_back(case):
    sizes, tags, n_labels = case
    valid = valid_tags(tags, n_labels)
    written = write(make_words(sizes), valid, n_labels, FIRST_TAG)
    assert read_back(written.tokens.tolist(), sizes, n_labels) == valid.tolist()
    assert [token for token in written.tokens if token < FIRST_TAG] == list(range(sum(sizes)))
    # What was decided is what stands there
    for place, chosen in zip(written.places, written.chosen, strict=True):
        token = written.tokens[place]
        assert token == FIRST_TAG + chosen - CLOSE if chosen else token < FIRST_TAG


@given(tagged())
def test_valid_tags_stay_and_others_are_mended(case):
    _, tags, n_labels = case
    valid = valid_tags(tags, n_labels)
    assert valid_tags(valid, n_labels).tolist() == valid.tolist()
    for before, tag in zip([0, *valid], valid, strict=False):
        assert tag <= n_labels or before in (tag, tag - n_labels)


@given(tagged())
def test_a_draft_of_decisions_amounts_to_their_tags(case):
    sizes, tags, n_labels = case
    valid = valid_tags(tags, n_labels)
    written = write(make_words(sizes), valid, n_labels, FIRST_TAG)
    sure = np.full((len(written.places), OPEN + n_labels), NEVER)
    sure[np.arange(len(sure)), written.chosen] = 0.0
    draft = Draft(np.zeros(len(sizes), dtype=np.int64), np.full(len(sizes), -1))
    draft.learn(written, sure)
    assert draft.tags(n_labels).tolist() == valid.tolist()


def test_what_was_never_asked_goes_on_until_another_entity_would_begin():
    draft = Draft(np.array([1, 0, 2, 0]), np.full(4, -1))
    assert draft.tags(2).tolist() == [1, 3, 2, 4]


@pytest.mark.parametrize(
    ("word", "closes", "choice", "tags"),
    [
        (1, True, CLOSE, [1, 0, 2, 4]),
        (0, False, GO_ON, [0, 0, 2, 4]),
        (2, False, OPEN, [1, 3, 1, 3]),
        (2, True, GO_ON, [1, 3, 3, 3]),
    ],
)
def test_a_draft_departs_at_one_decision_and_keeps_those_before_it(word, closes, choice, tags):
    draft = Draft(np.array([1, 0, 2, 0]), np.array([-1, 0, 1, 0]))
    other = draft.departing(word, closes, choice)
    assert other.tags(2).tolist() == tags and draft.tags(2).tolist() == [1, 3, 2, 4]
    # What is likelier there does not change them
    written = write(make_words([1] * 4), np.array(tags), 2, FIRST_TAG)
    other.learn(written, np.zeros((len(written.places), 4)))
    assert other.tags(2)[:word].tolist() == tags[:word]
    assert (other.closes if closes else other.opens)[word] == (choice if closes else max(0, choice - 1))


def make_output(tags: list[int], probabilities: list[list[float]]) -> Output:
    written = write(make_words([1] * len(tags)), np.array(tags), 1, FIRST_TAG)
    with np.errstate(divide="ignore"):
        return Output(np.array(tags), written, np.log(np.array(probabilities)).clip(NEVER))


def test_a_span_is_as_probable_as_its_decisions():
    # Before the second word, and the third: to close; then before each: to open
    output = make_output([1, 2, 0], [[0.9, 0.1, 0.0], [0.4, 0.6, 0.0], [0.2, 0.0, 0.8], [0.7, 0.0, 0.3]])
    ((start, end, label, probability),) = output.spans(1.0)
    assert (start, end, label) == (0, 2, 0)
    assert probability == pytest.approx(0.8 * 0.9 * 0.6)
    assert np.exp(output.total) == pytest.approx(0.8 * 0.9 * 0.6 * 0.7)


def test_a_span_up_to_the_end_is_closed_without_a_decision():
    output = make_output([1, 2], [[0.9, 0.1, 0.0], [0.2, 0.0, 0.8]])
    assert output.spans(1.0)[0][3] == pytest.approx(0.8 * 0.9)
    assert output.spans(2.0)[0][3] == pytest.approx(2 / 3 * 3 / 4)


def test_doubts_are_the_likeliest_other_decisions():
    output = make_output([1, 2, 0], [[0.9, 0.1, 0.0], [0.4, 0.6, 0.0], [0.2, 0.0, 0.8], [0.7, 0.0, 0.3]])
    every = [(2, True, GO_ON), (2, False, OPEN), (0, False, GO_ON), (1, True, CLOSE)]
    assert output.doubts(9) == every and output.doubts(2) == every[:2] and output.doubts(0) == []
