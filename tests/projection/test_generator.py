"""SpanGenerator: how sentences with slots are written, and that it answers with words of the sentence alone."""

from __future__ import annotations

import json
import pickle
import shutil
from itertools import pairwise

import pytest
import torch
from helpers.projection import project
from helpers.tiny_scorer import Copier, found, make_bitext
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from spacy.util import registry

from spacy_xlt.errors import XltError
from spacy_xlt.projection.candidates import CandidateProjector
from spacy_xlt.projection.generator import Filling, LoadedGenerator, SpanGenerator
from spacy_xlt.projection.prefix_tree import PrefixTree
from spacy_xlt.projection.slots import Slot, SlotCodec, SlotSentence, by_label, windows

# Scripts without spaces, glued punctuation, emoji, what has no pieces, what the pieces don't know
WORDS = [
    "Ann",
    "saw",
    "Rio",
    "(",
    ")",
    "…",
    "北京",
    "大学",
    "東京",
    "ไทย",
    "กรุงเทพ",
    "🙂",
    "👩‍👩‍👧",
    "\u200b",
    " ",
    "\ud800",
]
WORDS += ["ﬁ", "<extra_id_0>", "</s>", "São", "A" * 300, "'s", "n't", "é", "\n"]


@pytest.fixture(scope="module")
def folder(seq2seq_model):
    return str(seq2seq_model("t5-slots"))


@pytest.fixture(scope="module")
def loaded(folder):
    return LoadedGenerator.read(folder, torch.device("cpu"))


@pytest.fixture(scope="module")
def generator(folder):
    return SpanGenerator(model=folder, beams=4)


def all_places(n, longest=3):
    return [(i, j) for i in range(n) for j in range(i + 1, min(n, i + longest) + 1)]


def sentence_of(words, *labels, places=None):
    words = words.split() if isinstance(words, str) else words
    places = all_places(len(words)) if places is None else places
    return SlotSentence(words, [True] * len(words), [Slot(label, places) for label in labels])


def test_the_pieces_of_words_are_those_of_the_sentence(loaded):
    words, spaces = (
        ["Nobody", "(", "of", "them", ")", "left", "the", "city", "."],
        [True, False, True, False] + [True] * 3,
    )
    spaces += [False, False]
    text = "Nobody (of them) left the city."
    in_context = loaded.tokenizer(text, add_special_tokens=False).input_ids
    assert [piece for word in loaded.codec.words(words, spaces) for piece in word] == in_context


def test_words_that_share_a_piece_are_cut_and_keep_out_the_space_that_is_not_there(loaded):
    whole = loaded.tokenizer("the", add_special_tokens=False).input_ids
    assert len(whole) == 1
    first, second = loaded.codec.words(["th", "e"], [False, False])
    names = loaded.tokenizer.convert_ids_to_tokens
    assert "".join(names(first)) == "▁th" and "".join(names(second)) == "e"
    # One unknown piece for all of it
    assert [names(word) for word in loaded.codec.words(["北京", "大学"], [False, False])] == [["▁", "<unk>"], ["<unk>"]]


def test_no_word_is_read_as_a_slot_or_an_end_and_a_long_one_is_read_in_part(loaded):
    words = loaded.codec.words(["<extra_id_7>", "</s>", "ab" * 9000], [True, True, False])
    special = {*loaded.codec.sentinels, loaded.codec.end, loaded.codec.pad}
    assert special.isdisjoint(piece for word in words for piece in word) and len(words[2]) == 64


def test_slots_stand_behind_the_sentence_by_label(loaded):
    words = loaded.codec.words(["Ann", "left"], [True, False])
    (group,) = by_label(["PER", "LOC", "PER"], most=100)
    assert group == [1, 0, 2]
    prompt = loaded.codec.prompt(words, ["LOC", "PER", "PER"])
    first, second, third = loaded.codec.sentinels[:3]
    names = [f"<extra_id_{i}>" for i in range(3)]
    assert loaded.tokenizer.convert_ids_to_tokens([first, second, third]) == names
    assert [piece for piece in prompt if piece in (first, second, third)] == [first, second, third]
    assert list(prompt[: len(sum(words, []))]) == sum(words, []) and prompt[-1] == loaded.codec.end


def test_sentinels_with_the_mark_of_a_word_are_known_too(loaded):
    class LikeMT5:
        is_fast = True
        unk_token, all_special_ids = "<unk>", ()
        backend_tokenizer = loaded.tokenizer.backend_tokenizer

        def get_vocab(self):
            return {name.replace("<extra_id", "▁<extra_id"): i for name, i in loaded.tokenizer.get_vocab().items()}

    codec = SlotCodec("m", loaded.model.config, LikeMT5(), n_pieces=10_000)
    assert codec.sentinels == loaded.codec.sentinels and len(codec.sentinels) == 100


@pytest.mark.parametrize("legacy", [True, False])
def test_slow_tokenizers_cut_as_well(seq2seq_model, legacy):
    from transformers import T5Config, T5Tokenizer

    tokenizer = T5Tokenizer(str(seq2seq_model.pieces), legacy=legacy)
    codec = SlotCodec("m", T5Config(eos_token_id=2), tokenizer, n_pieces=len(tokenizer))
    words = codec.words(["them", "(", "th", "e", ")", "北京", "大学"], [True] + [False] * 3 + [True, False, False])
    names = ["".join(tokenizer.convert_ids_to_tokens(pieces)) for pieces in words]
    # What is not legacy has no mark before the first word of a text
    first = "▁" if legacy else ""
    assert names == [f"{first}them", "▁(", "th", "e", ")", f"{first}<unk>", "<unk>"]
    prompt = codec.prompt(words, ["ABC"])[len(sum(words, [])) :]
    assert "".join(tokenizer.convert_ids_to_tokens(prompt)) == f"{first}ABC:<extra_id_0></s>"


def test_a_tree_has_the_given_runs_and_no_others():
    words = [[1], [2, 3], [], [1], [2, 3]]
    tree = PrefixTree.of(words, [(0, 1), (0, 2), (1, 2), (3, 5), (2, 4), (0, 3)])
    assert tree.find([1]).places == [(0, 1)] and tree.find([1, 2]).places == []
    assert tree.find([1, 2, 3]).places == [(0, 2), (3, 5)] and tree.find([2, 3]).places == [(1, 2)]
    assert tree.find([3]) is None and tree.depth == 3 and set(tree.children) == {1, 2}
    assert not PrefixTree.of(words, [(2, 3)]).children and PrefixTree().depth == 0


@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_every_candidate_is_one_of_the_places_of_its_span_whatever_the_text(generator, data):
    words = data.draw(st.lists(st.one_of(st.sampled_from(WORDS), st.text(min_size=1, max_size=6)), max_size=12))
    spaces = [data.draw(st.booleans()) for _ in words]
    slots = [
        Slot(label, data.draw(st.lists(st.sampled_from(all_places(len(words)) or [(0, 0)]), max_size=12)))
        for label in data.draw(st.lists(st.sampled_from(["PER", "LOC", "", "ไทย 🙂"]), max_size=3))
    ]
    (answer,) = generator.fill([SlotSentence(words, spaces, slots)])
    assert len(answer) == len(slots)
    for slot, fillings in zip(slots, answer, strict=True):
        places = [(filling.start, filling.end) for filling in fillings]
        assert set(places) <= set(slot.places) and len(places) == len(set(places)) <= generator.beams
        assert all(a.log_prob >= b.log_prob for a, b in pairwise(fillings)) and all(f.log_prob < 0 for f in fillings)


def test_all_places_are_found_where_there_are_no_more_than_beams_with_the_probability_of_the_model(folder, loaded):
    sentence = sentence_of("Ann left the old city of Rio", "LOC", "PER")
    wide = SpanGenerator(model=folder, beams=40)
    answer = wide.fill([sentence])[0]
    codec = loaded.codec
    words = codec.words(sentence.words, sentence.spaces)
    prompt = torch.tensor([codec.prompt(words, ["LOC", "PER"])])
    for sentinel, fillings in zip(codec.sentinels, answer, strict=False):
        assert {(f.start, f.end) for f in fillings} == set(all_places(7))
        for start, end, log_prob in fillings:
            pieces = [piece for word in words[start:end] for piece in word] + [codec.end]
            with torch.inference_mode():
                inputs = torch.tensor([[codec.start, sentinel, *pieces[:-1]]])
                logits = loaded.model(input_ids=prompt, decoder_input_ids=inputs).logits[0, 1:]
            expected = logits.log_softmax(-1)[range(len(pieces)), pieces].sum()
            assert log_prob == pytest.approx(float(expected), abs=1e-3)


def test_words_that_come_twice_are_two_candidates_with_one_probability(generator):
    ((fillings,),) = generator.fill([sentence_of("Rio and Rio", "LOC", places=[(0, 1), (2, 3)])])
    assert {(f.start, f.end) for f in fillings} == {(0, 1), (2, 3)} and len({f.log_prob for f in fillings}) == 1


def test_the_other_texts_of_a_batch_make_no_difference(folder):
    sentences = [
        sentence_of("Ann left Rio today .", "PER", "LOC"),
        sentence_of("Rio", "LOC"),
        sentence_of("a b " * 9, "X"),
    ]
    together = SpanGenerator(model=folder, beams=5).fill(sentences)
    alone = [SpanGenerator(model=folder, beams=5, batch_tokens=1).fill([sentence])[0] for sentence in sentences]
    for a, b in zip(together, alone, strict=True):
        for first, second in zip(a, b, strict=True):
            assert [f[:2] for f in first] == [f[:2] for f in second]
            assert [f.log_prob for f in first] == pytest.approx([f.log_prob for f in second], abs=1e-3)


def test_nothing_to_fill_is_no_question(tmp_path):
    generator = SpanGenerator(model=str(tmp_path / "absent"))
    empty = SlotSentence([], [], [Slot("PER", [])])
    assert generator.fill([]) == [] and generator.fill([empty, sentence_of("Rio")]) == [[[]], []]


def test_words_without_pieces_are_no_candidates(generator):
    ((fillings,),) = generator.fill([sentence_of([" ", "Rio", "\n"], "LOC")])
    assert [f[:2] for f in fillings] == [(1, 2)]


@settings(deadline=None)
@given(lengths=st.lists(st.integers(0, 64), max_size=80), limit=st.integers(128, 300))
def test_windows_cover_all_words_and_overlap(lengths, limit):
    words = [[0] * n for n in lengths]
    ranges = windows(words, limit)
    assert {i for start, end in ranges for i in range(start, end)} == set(range(len(words)))
    assert all(sum(lengths[start:end]) <= limit for start, end in ranges)
    for (_, first_end), (start, end) in pairwise(ranges):
        # What is shared is up to half of a window
        assert start <= first_end < end and sum(lengths[start:first_end]) <= limit // 2
        assert start == 0 or sum(lengths[start - 1 : first_end]) > limit // 2


def test_a_sentence_that_is_longer_than_a_prompt_is_read_to_its_end(folder):
    words = [f"word{i}" for i in range(200)]
    places = [(0, 1), (100, 102), (199, 200)]
    generator = SpanGenerator(model=folder, beams=3, max_pieces=128)
    ((fillings,),) = generator.fill([sentence_of(words, "PER", places=places)])
    assert sorted(f[:2] for f in fillings) == places


def test_more_spans_than_sentinels_are_all_filled(folder):
    places = [(0, 1), (1, 2), (0, 2)]
    sentence = sentence_of("Ann left", *[f"L{i % 7}" for i in range(130)], places=places)
    (answer,) = SpanGenerator(model=folder, beams=2).fill([sentence])
    assert len(answer) == 130 and all(answer)


def test_labels_that_the_model_was_not_trained_with_are_not_asked_for(folder, tmp_path):
    shutil.copytree(folder, tmp_path / "model")
    (tmp_path / "model" / "generator.json").write_text(json.dumps({"labels": {"LOC": 3}}))
    (answer,) = SpanGenerator(model=str(tmp_path / "model")).fill([sentence_of("Ann left Rio", "PER", "LOC")])
    assert answer[0] == [] and answer[1]
    (tmp_path / "model" / "generator.json").write_text("[1")
    with pytest.raises(XltError, match="E221.*model"):
        SpanGenerator(model=str(tmp_path / "model")).fill([sentence_of("Ann", "PER")])


def test_models_that_cannot_fill_slots_are_errors(seq2seq_model, tmp_path):
    for model, code in (
        (str(seq2seq_model("t5")), "E285"),
        (str(seq2seq_model("nllb")), "E285"),
        (str(tmp_path / "absent"), "E221"),
    ):
        with pytest.raises(XltError) as err:
            SpanGenerator(model=model).fill([sentence_of("Rio", "LOC")])
        assert err.value.code == code and model in str(err.value)
    for setting in ({"model": " "}, {"beams": 1}, {"max_pieces": 20}):
        with pytest.raises(XltError, match="E150"):
            SpanGenerator(**{"model": "m", **setting})


def test_it_is_made_from_a_config_pickles_and_is_in_the_signature(folder):
    block = {"@misc": "spacy_xlt.CandidateProjector.v1", "generator": {"@misc": "spacy_xlt.SpanGenerator.v1"}}
    block["generator"] |= {"model": folder, "beams": 3}
    projector = registry.resolve({"engine": block})["engine"]
    assert "generator:(SpanGenerator|model:t5-slots|beams:3|" in projector.signature
    assert "generator" not in CandidateProjector().signature
    again = pickle.loads(pickle.dumps(projector))
    assert again.signature == projector.signature
    sentence = sentence_of("Ann left Rio", "PER")
    assert again.generator.fill([sentence]) == projector.generator.fill([sentence])
    with pytest.raises(XltError, match="E101.*`fill`.*`generator`"):
        CandidateProjector(generator=object())


class Given:
    """Answers with the same places for each label; keeps what it was asked."""

    signature = "given-1"

    def __init__(self, **places):
        self.places = places
        self.asked = []

    def fill(self, sentences):
        self.asked += sentences
        return [
            [
                [Filling(*place, -1.0) for place in self.places.get(slot.label, ()) if place in slot.places]
                for slot in slots
            ]
            for _, _, slots in sentences
        ]


class Counting(Copier):
    """Keeps what it was asked to score, without what each text has given itself."""

    def force(self, sources, targets, **languages):
        pairs = {(a, b) for a, b in zip(sources, targets, strict=True) if a != b}
        self.scored = getattr(self, "scored", set()) | pairs
        return super().force(sources, targets, **languages)


def test_without_links_the_candidates_of_the_generator_alone_are_scored():
    bitext = make_bitext("Rome shines", "hoje brilha Roma em paz", "", (0, 1, "LOC"))
    translator = Counting(Rome="Roma")
    generator = Given(LOC=[(1, 2), (2, 3)])
    assert found(project(CandidateProjector(translator=translator, generator=generator), bitext)) == [("Roma", "LOC")]
    assert {b for a, b in translator.scored if a == "Rome"} == {"Roma", "brilha"}
    ((words, spaces, (slot,)),) = generator.asked
    assert words == "hoje brilha Roma em paz".split() and spaces == [True] * 5 and slot.label == "LOC"
    # Of a label that it knows nothing about all are scored
    assert found(project(CandidateProjector(translator=translator, generator=Given()), bitext)) == [("Roma", "LOC")]
    assert len({b for a, b in translator.scored if a == "Rome"}) > 2


def test_with_links_they_are_scored_beside_the_best_by_links():
    bitext = make_bitext("a bb Rome d", "w bb x y z v Roma u", "0-0 1-1 2-3", (2, 3, "LOC"))
    translator = Counting(Rome="Roma")
    projector = CandidateProjector(translator=translator, generator=Given(LOC=[(6, 7)]), pool=1, evidence=1)
    assert found(project(projector, bitext)) == [("Roma", "LOC")]
    assert {b for a, b in translator.scored if a == "Rome"} == {"Roma", "y"}
    assert found(project(CandidateProjector(translator=translator, pool=1, evidence=1), bitext)) == [("y", "LOC")]


def test_spans_of_a_sentence_are_asked_for_together_with_all_their_labels():
    groups = {"a": [(0, 1, "X"), (2, 3, "Y")], "b": [(0, 1, "Z")]}
    bitext = make_bitext("Rio or Lima", "Rio ou Lima", "", groups=groups)
    generator = Given()
    project(CandidateProjector(translator=Copier(), generator=generator), bitext)
    (sentence,) = generator.asked
    assert sorted(slot.label for slot in sentence.slots) == ["X", "Y", "Z"]
