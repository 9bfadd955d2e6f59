"""Named entities by a text-to-text model: what it learns, finds and says where something is wrong."""

from __future__ import annotations

import copy
import json
from itertools import product

import numpy as np
import pytest
import spacy
import torch
from helpers.tiny_encoder import make_tiny_encoder
from helpers.tiny_labeller import labeller_of, make_labeller, make_text_to_text
from helpers.tiny_ner import SENTENCES, found, make_doc, make_examples, make_optimizer, train
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from spacy.tokens import Doc, Span
from spacy.training import Example

from spacy_xlt.ner.tagged_text import NEVER, valid_tags, words_of, write
from spacy_xlt.ner.xlt_ner import Window

KINDS = {
    "mt5": {},
    "t5": {},
    "umt5": {"tie_word_embeddings": False},
    "bart": {"byte_level": True},
    "mbart": {"scale_embedding": True},
}
HOSTILE = [
    "",
    " ",
    "\n\n",
    "\u200b",
    "\U0001f600",
    "x" * 20000,
    "http://x.example/" + "a/" * 3000,
    "\x00 a",
    "a " * 1500,
]


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return make_text_to_text(tmp_path_factory.mktemp("seq2seq") / "mt5")


@pytest.fixture(scope="module")
def trained(model):
    """Knows the examples by heart; to be read only."""
    return learn(make_labeller(model))


def learn(nlp, **kwargs):
    return train(nlp, **{"times": 60, "sgd": make_optimizer(0.003), **kwargs})


@pytest.fixture(scope="module")
def eager(model):
    """Its decisions are all over the place."""
    nlp = make_labeller(model, init={"labels": ["A", "B"]})
    head = labeller_of(nlp).model.net["head"]
    for weight in (head["inputs"].weight, head["outputs"].weight):
        torch.nn.init.normal_(weight, std=1.0, generator=torch.manual_seed(3))
    return nlp


@pytest.fixture(scope="module")
def long(model):
    """A pipeline that reads in short windows, and what it has learnt: a sentence many times over."""
    nlp = make_labeller(model, window=64, overlap=24)
    text, ents = SENTENCES[3]
    n = len(text.split())
    repeated = [(i * n + start, i * n + end, label) for i in range(12) for start, end, label in ents]
    (example,) = make_examples(nlp, [(" ".join([text] * 12), repeated)])
    learn(nlp, examples=[example], times=100)
    return learn(nlp, examples=[example], times=40, sgd=make_optimizer(0.0005)), example


def weights_of(nlp) -> dict[str, torch.Tensor]:
    return {name: values.clone() for name, values in labeller_of(nlp).model.state_dict().items()}


def same(first, second, **tolerance) -> bool:
    return all(torch.allclose(first[name], second[name], **tolerance) for name in first)


def copy_of(nlp, **settings):
    other = spacy.blank("en")
    other.add_pipe("xlt_seq2seq_ner", config=settings)
    return other.from_bytes(nlp.to_bytes())


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_model_learns_its_examples(kind, tmp_path):
    nlp = make_labeller(make_text_to_text(tmp_path / kind, kind, **KINDS[kind]))
    assert nlp.evaluate(make_examples(nlp))["ents_f"] < 0.9
    learn(nlp, times=90)
    assert nlp.evaluate(make_examples(nlp))["ents_f"] == 1.0
    assert found(nlp, "The Bank of Lisbon is in New York .") == [("Bank of Lisbon", "ORG"), ("New York", "LOC")]
    assert found(copy_of(nlp), SENTENCES[0][0]) == [("Maria", "PER"), ("Lisbon", "LOC")]


def test_entities_have_probabilities(trained):
    doc = trained(make_doc(trained, "The Bank of Lisbon is in New York ."))
    group = doc.spans["xlt_ents"]
    assert [(s.start, s.end, s.label_) for s in group] == [(1, 4, "ORG"), (6, 8, "LOC")]
    assert all(0.8 < score <= 1.0 for score in group.attrs["scores"])
    assert doc.has_annotation("ENT_IOB", require_complete=True)


def test_a_batch_gives_the_same_as_one_document_after_the_other(eager):
    texts = [text for text, _ in SENTENCES] * 3
    alone = [eager(make_doc(eager, text)) for text in texts]
    assert any(doc.ents for doc in alone)
    for doc, other in zip(eager.pipe([make_doc(eager, text) for text in texts], batch_size=7), alone, strict=True):
        assert [(e.start, e.end, e.label_) for e in doc.ents] == [(e.start, e.end, e.label_) for e in other.ents]
        assert doc.spans["xlt_ents"].attrs["scores"] == pytest.approx(other.spans["xlt_ents"].attrs["scores"], abs=1e-4)


def read_windows(component, doc):
    (text,) = component.model.encode([doc])
    (batch,) = component.model.batches([text])
    return text, batch


def log_probabilities(component, doc, tags) -> float:
    """Of one sequence of tags."""
    model = component.model
    text, batch = read_windows(component, doc)
    words = words_of(text, batch.windows[0])
    written = write(words, np.array(tags), model.n_labels, model._first_tag)
    with torch.no_grad():
        (decided,) = model._decide(*model._read_batch(batch), [words], [written])
    return float(decided[np.arange(len(decided)), written.chosen].sum())


def every_output(component, doc) -> dict[tuple[int, ...], float]:
    n = component.model.n_labels
    every = product(range(2 * n + 1), repeat=len(doc))
    valid = [tags for tags in every if valid_tags(np.array(tags), n).tolist() == list(tags)]
    return {tags: log_probabilities(component, doc, tags) for tags in valid}


def test_the_probabilities_of_all_outputs_are_one_together(eager):
    outputs = every_output(labeller_of(eager), make_doc(eager, "Maria lives there"))
    assert len(outputs) == 41
    assert sum(map(np.exp, outputs.values())) == pytest.approx(1.0, abs=1e-4)


def test_drafts_give_what_one_decision_after_the_other_gives(eager):
    """Each decision is asked for by itself, with what was decided before it written and nothing behind it."""
    component, n_entities = labeller_of(eager), 0
    for text in ("The Bank of Lisbon is in New York .", "Maria Silva sings .", "a b c d e f g h i j"):
        doc = make_doc(eager, text)
        ((_, (output,)),) = component.model.label(component.model.encode([doc]), 1)[0]
        tags = one_after_the_other(component, doc)
        assert output.tags.tolist() == tags
        n_entities += len(output.spans(1.0))
    assert n_entities > 3


def one_after_the_other(component, doc) -> list[int]:
    model = component.model
    text, batch = read_windows(component, doc)
    words, n = words_of(text, batch.windows[0]), model.n_labels
    tags: list[int] = []
    for word in range(len(doc)):
        label = 0 if not tags or not tags[-1] else (tags[-1] - 1) % n + 1
        for closes in [True, False] if label else [False]:
            # Where it is about closing, the word is written as one inside, and else as one outside
            draft = np.array([*tags, n + label if closes else 0, *[0] * (len(doc) - word - 1)])
            written = write(words, draft, n, model._first_tag)
            with torch.no_grad():
                (decided,) = model._decide(*model._read_batch(batch), [words], [written])
            (row,) = np.flatnonzero((written.before == word) & (written.closes == closes))
            choice = int(decided[row].argmax())
            if closes and not choice:
                tags.append(n + label)
                break
        else:
            tags.append(max(0, choice - 1))
    return tags


def test_few_readings_are_needed(long, monkeypatch):
    nlp, example = long
    component = labeller_of(copy_of(nlp, window=256))
    decide, readings = component.model._decide, []
    monkeypatch.setattr(component.model, "_decide", lambda *args: readings.append(1) or decide(*args))
    assert len(component.predict([example.predicted[:45].as_doc()])[0]) == 10
    assert len(readings) <= 8


def test_of_several_outputs_the_most_probable_is_taken(eager):
    n_better = n_best = 0
    texts = ["Maria sings", "Lisbon is far", "New York .", "a b c", "Bank of Lisbon", "is in New", "x y", "The Bank ."]
    texts += [
        "lives in Lisbon",
        "Silva sings",
        "near New York",
        "1 2 3",
        "Central",
        "John Smith works",
        "for Google",
        "of",
    ]
    for text in texts:
        doc = make_doc(eager, text)
        model = labeller_of(eager).model
        ((_, greedy),) = model.label(model.encode([doc]), 1)[0]
        ((_, several),) = model.label(model.encode([doc]), 8)[0]
        outputs = every_output(labeller_of(eager), doc)
        assert len({tuple(output.tags) for output in several}) == len(several) > 2
        for output in several:
            assert output.total == pytest.approx(outputs[tuple(output.tags)], abs=1e-3)
        assert several[0].total >= greedy[0].total - 1e-6
        n_better += several[0].total > greedy[0].total + 1e-3
        n_best += several[0].total > max(outputs.values()) - 1e-3
    assert n_better >= 2 and n_best == len(texts)


def test_the_setting_of_candidates_decides_how_many_are_compared(eager):
    doc = make_doc(eager, "The Bank of Lisbon is in New York .")
    one, four = (copy_of(eager, candidates=n) for n in (1, 4))
    assert len(labeller_of(four).span_probabilities([doc], least=0.0)[0]) > len(
        labeller_of(one).span_probabilities([doc], least=0.0)[0]
    )
    assert labeller_of(one).span_probabilities([doc], least=0.0) == labeller_of(one).predict([doc])
    assert all(p >= 0.3 for *_, p in labeller_of(four).span_probabilities([doc], least=0.3)[0])
    assert labeller_of(one).key is None


WORDS = st.lists(
    st.one_of(
        st.text(min_size=1, max_size=6),
        st.sampled_from(
            ["\u4e2d\u6587", "\u0e44\u0e17\u0e22", "\U0001f600", "<PER>", "</s>", "A", "\u200b", "x" * 200]
        ),
    ),
    min_size=1,
    max_size=30,
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(WORDS, st.sampled_from([1, 3]))
def test_no_output_can_be_anything_but_the_words_with_tags_that_fit(eager, words, candidates):
    doc = Doc(eager.vocab, words=words)
    model = labeller_of(eager).model
    texts = model.encode([doc])
    for window, outputs in model.label(texts, candidates)[0]:
        pieces = texts[0].pieces[texts[0].starts[window.start] : texts[0].starts[window.end]]
        for output in outputs:
            tokens = output.written.tokens
            assert tokens[tokens < model._first_tag].tolist() == pieces.tolist()
            assert valid_tags(output.tags, 2).tolist() == output.tags.tolist()
            assert len(output.tags) == window.end - window.start
    spans = labeller_of(eager).predict([doc])[0]
    assert all(0 <= start < end <= len(doc) and 0 <= p <= 1 for start, end, _, p in spans)
    assert all(first[1] <= second[0] for first, second in zip(spans, spans[1:], strict=False))


def test_any_text_is_an_ordinary_input(eager):
    docs = list(eager.pipe(HOSTILE, batch_size=4))
    assert [doc.text for doc in docs] == HOSTILE


def test_no_text_has_a_tag_in_it(trained):
    """Nor the mark of the end: a word is read as what it looks like."""
    model = labeller_of(trained).model
    (text,) = model.encode([Doc(trained.vocab, words=["<PER>", "PER", "<extra_id_0>"])])
    assert text.pieces.max() < model._first_tag


def test_a_long_document_is_learnt_and_read_in_windows(long):
    nlp, example = long
    assert nlp.evaluate([example])["ents_f"] == 1.0
    component = labeller_of(nlp)
    assert len(component.model.label(component.model.encode([example.predicted]), 1)[0]) > 5


def test_an_entity_is_taken_from_the_window_that_it_begins_in(eager, monkeypatch):
    """It may go on behind what is taken from there, and another that overlaps it is left out."""
    component = labeller_of(eager)
    found_spans = {
        0: [(1, 2, 0, 0.9), (3, 6, 0, 0.8), (7, 8, 1, 0.7)],
        3: [(0, 2, 1, 0.6), (2, 3, 0, 0.5), (4, 5, 1, 0.4)],
    }

    class Found:
        def __init__(self, start):
            self.start = start

        def spans(self, temperature):
            return found_spans[self.start]

    windows = [(Window(0, 0, 8, 0, 5), [Found(0)]), (Window(0, 3, 10, 5, 10), [Found(3)])]
    assert list(component._best(windows, 1.0)) == [(1, 2, "A", 0.9), (3, 6, "A", 0.8), (7, 8, "B", 0.4)]


@pytest.mark.parametrize("window", [8, 16, 33])
def test_a_word_of_more_pieces_than_a_window_is_read(model, window):
    nlp = make_labeller(model, window=window, overlap=0)
    assert len(nlp(Doc(nlp.vocab, words=["Maria", "xyz" * 60, "Lisbon"]))) == 3


def test_positions_that_are_counted_bound_the_window(tmp_path):
    """With a tag on both sides of every word the output is three times as long as the text."""
    nlp = make_labeller(make_text_to_text(tmp_path / "bart", "bart", max_position_embeddings=60))
    model = labeller_of(nlp).model
    torch.nn.init.constant_(model.net["head"]["outputs"].bias, 1000.0)
    doc = nlp(Doc(nlp.vocab, words=["a"] * 100))
    assert len(doc.ents) == 100 and model.words.capacity + len(model.words.prefix) + len(model.words.suffix) == 20


def test_tags_begin_with_the_pieces_of_their_labels_names(model):
    nlp = make_labeller(model, init={"labels": ["Banco_Central", "Lisbon"]})
    labeller = labeller_of(nlp).model
    head, embeddings = labeller.net["head"], labeller.transformer.get_input_embeddings().weight
    output = labeller.transformer.get_output_embeddings().weight
    for place, name in enumerate(["Banco Central", "Lisbon"], start=1):
        ids = labeller.tokenizer(name, add_special_tokens=False)["input_ids"]
        assert torch.allclose(head["inputs"].weight[place], embeddings[ids].mean(dim=0))
        assert torch.allclose(head["outputs"].weight[place], output[ids].mean(dim=0))
    assert torch.allclose(head["inputs"].weight[0], embeddings[labeller.tokenizer.eos_token_id])


def test_a_batch_in_parts_is_updated_as_the_whole(model):
    whole, parts, pieces = make_labeller(model), make_labeller(model), make_labeller(model, batch_pieces=16)
    # Adam's first step is as large for a gradient of nearly 0, unless eps is larger
    whole.update(make_examples(whole), sgd=make_optimizer(eps=1e-3))
    pieces.update(make_examples(pieces), sgd=make_optimizer(eps=1e-3))
    examples = make_examples(parts)
    parts.update(examples[:1], sgd=False)
    parts.update(examples[1:], sgd=False)
    labeller_of(parts).finish_update(make_optimizer(eps=1e-3))
    assert not same(weights_of(make_labeller(model)), weights_of(whole), atol=1e-4)
    assert same(weights_of(whole), weights_of(parts), atol=1e-5)
    assert same(weights_of(whole), weights_of(pieces), atol=1e-5)


def test_the_loss_is_the_cross_entropy_of_what_is_written_among_what_can_stand_there(model):
    """Of the vocabulary, the pieces of the text itself and the tags, as transformers would compute it."""
    nlp = make_labeller(model)
    examples = make_examples(nlp, SENTENCES[:1])
    loss = nlp.update(examples, sgd=False)["xlt_seq2seq_ner"]
    labeller = labeller_of(nlp).model
    (text,) = labeller.encode([examples[0].predicted])
    first_tag, net = labeller._first_tag, labeller.transformer
    tokens = write(words_of(text, Window(0, 0, 5, 0, 5)), np.array([3, 0, 0, 1, 0]), 3, first_tag).tokens.tolist()
    vectors = torch.cat([net.shared.weight, labeller.net["head"]["inputs"].weight])
    ids = [*text.pieces.tolist(), 1]
    with torch.no_grad():
        hidden = net(
            input_ids=torch.tensor([ids]),
            decoder_inputs_embeds=vectors[torch.tensor([[0, *tokens[:-1]]])],
            output_hidden_states=True,
            use_cache=False,
        ).decoder_hidden_states[-1]
        known = sorted(set(text.pieces.tolist())) + list(range(first_tag, first_tag + 4))
        weights = torch.cat([net.lm_head.weight, labeller.net["head"]["outputs"].weight])[known]
        scores = hidden[0] @ weights.T
    expected = torch.nn.functional.cross_entropy(scores, torch.tensor([known.index(token) for token in tokens]))
    assert loss == pytest.approx(float(expected), rel=1e-4)


def test_what_is_missing_has_no_loss(model):
    nlp = make_labeller(model)
    before = weights_of(nlp)
    doc = make_doc(nlp, "Maria lives in Lisbon .")
    assert nlp.update([Example(make_doc(nlp, doc.text), doc)], sgd=make_optimizer()) == {"xlt_seq2seq_ner": 0.0}
    assert same(before, weights_of(nlp), rtol=0, atol=0)


def test_a_word_whose_annotation_is_missing_may_be_anything(model):
    """Lisbon is left open in one sentence, and found as in the others."""
    nlp = make_labeller(model)
    examples = make_examples(nlp)
    doc = make_doc(nlp, SENTENCES[0][0])
    doc.set_ents([Span(doc, 0, 1, "PER")], missing=[doc[3:4]], default="outside")
    examples[0] = Example(make_doc(nlp, SENTENCES[0][0]), doc)
    component = labeller_of(nlp)
    assert component.entity_tags(examples[0]).tolist() == [3, 0, 0, -1, 0]
    text, batch = read_windows(component, doc)
    written, losses = component.model._to_learn(
        batch, [text], [component.entity_tags(examples[0])], [component._weights(examples[0])]
    )
    assert set(losses[0][written[0].words == 3]) == {0.0} and set(losses[0][written[0].words != 3]) == {1.0}


def test_the_rest_of_an_entity_that_began_before_a_window_is_not_learnt(model):
    nlp = make_labeller(model, window=16, overlap=4)
    text = "a b c d e f g h i j k l m n o p"
    (example,) = make_examples(nlp, [(text, [(4, 12, "PER")])])
    component = labeller_of(nlp)
    (encoded,) = component.model.encode([example.predicted])
    learnt: dict[int, list[int]] = {}
    for batch in component.model.batches([encoded]):
        tags, weights = component.entity_tags(example), component._weights(example)
        written, losses = component.model._to_learn(batch, [encoded], [tags], [weights])
        for window, each, row in zip(batch.windows, written, losses, strict=True):
            learnt[window.start] = (window.start + np.unique(each.words[row[: len(each.words)] > 0])).tolist()
            assert window.end - window.start < 12
    first, *others = sorted(learnt)
    assert learnt[first] == list(range(len(learnt[first]))) and any(4 < start < 12 for start in others)
    assert all(words[:1] in ([12 if 4 < start < 12 else start], []) for start, words in learnt.items())


def test_a_score_of_zero_leaves_a_span_out(model):
    """The wrong label has the score 0, and the right one 1."""
    nlp = make_labeller(model, span_scores="linear")
    examples = make_examples(nlp, [("Maria sings .", [(0, 1, "PER")]), ("Maria sings .", [(0, 1, "LOC")])])
    for example, score in zip(examples, (1.0, 0.0), strict=True):
        example.reference.spans["xlt_ents"] = list(example.reference.ents)
        example.reference.spans["xlt_ents"].attrs["scores"] = [score]
    learn(nlp, examples=examples)
    assert found(nlp, "Maria sings .") == [("Maria", "PER")]


def test_examples_with_other_tokens_are_aligned(model):
    nlp = make_labeller(model)
    reference = make_doc(nlp, SENTENCES[2][0], SENTENCES[2][1])
    predicted = Doc(nlp.vocab, words=["Maria", "Sil", "va", "sings", "."], spaces=[True, False, True, True, False])
    assert labeller_of(nlp).entity_tags(Example(predicted, reference)).tolist() == [3, 6, 6, 0, 0]
    assert nlp.update([Example(predicted, reference)], sgd=make_optimizer())["xlt_seq2seq_ner"] > 0


def test_documents_without_words_are_passed_over(model):
    nlp = make_labeller(model)
    empty = Example(nlp.make_doc(""), nlp.make_doc(""))
    assert nlp.update([empty], sgd=make_optimizer()) == {"xlt_seq2seq_ner": 0.0}
    assert nlp.update([empty, *make_examples(nlp)], sgd=make_optimizer())["xlt_seq2seq_ner"] > 0


def test_a_label_that_is_added_changes_nothing_until_it_is_trained(model):
    nlp = learn(make_labeller(model))
    before = [found(nlp, text) for text, _ in SENTENCES]
    assert [labeller_of(nlp).add_label("MISC") for _ in range(2)] == [1, 0]
    assert labeller_of(nlp).labels == ("LOC", "MISC", "ORG", "PER")
    assert [found(nlp, text) for text, _ in SENTENCES] == before
    examples = make_examples(nlp, [*SENTENCES, ("John reads Nature .", [(2, 3, "MISC")])])
    learn(nlp, times=120, examples=examples)
    other = copy_of(nlp)
    assert found(other, "John reads Nature .") == [("Nature", "MISC")]
    assert [found(other, text) for text, _ in SENTENCES] == before


def test_probabilities_are_calibrated_on_other_examples(model):
    """A quarter of what it finds there is wrong, and so it is less sure, of the same spans."""
    nlp = learn(make_labeller(model))
    component = labeller_of(nlp)
    text, ents = SENTENCES[0]
    others = make_examples(nlp, [(text, ents), (text, ents[:1])] * 20)
    before = component.predict([make_doc(nlp, text)])[0]
    assert component.calibrate(others[:4]) == 1.0
    assert component.calibrate(others) == component.calibrate(others) > 1.5
    after = labeller_of(copy_of(nlp)).predict([make_doc(nlp, text)])[0]
    assert [span[:3] for span in after] == [span[:3] for span in before]
    assert all(new[3] < old[3] - 0.001 for new, old in zip(after, before, strict=True))


def test_averaged_weights_are_there_inside_the_block_alone(model):
    nlp = make_labeller(model)
    sgd = make_optimizer(use_averages=True)
    learn(nlp, times=5, sgd=sgd)
    last = weights_of(nlp)
    with nlp.use_params(sgd.averages):
        assert not same(last, weights_of(nlp))
    assert same(last, weights_of(nlp), rtol=0, atol=0)


def test_lora_leaves_the_model_as_it_is_and_is_merged_at_save(model):
    pytest.importorskip("peft")
    nlp = make_labeller(model, init={"lora_rank": 4})
    before = weights_of(nlp)
    learn(nlp, sgd=make_optimizer(0.01))
    after = weights_of(nlp)
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed and all(".lora_" in name or name.startswith("head.") for name in changed)
    loaded = copy_of(nlp)
    assert not any("lora" in name or "base_layer" in name for name in weights_of(loaded))
    doc = make_doc(nlp, SENTENCES[3][0])
    expected = labeller_of(nlp).predict([doc])[0]
    assert [span[:3] for span in labeller_of(loaded).predict([doc])[0]] == [span[:3] for span in expected]


@pytest.mark.filterwarnings("ignore:.*XLT-W170")
def test_half_precision_learns_as_well(model):
    nlp = learn(make_labeller(model, precision="bfloat16"))
    assert nlp.evaluate(make_examples(nlp))["ents_f"] == 1.0
    assert {values.dtype for values in weights_of(nlp).values()} == {torch.float32}


def test_copies_and_files_keep_everything(trained, tmp_path):
    doc = make_doc(trained, SENTENCES[3][0])
    expected = labeller_of(trained).predict([doc])
    trained.to_disk(tmp_path / "pipeline")
    names = {path.name for path in (tmp_path / "pipeline" / "xlt_seq2seq_ner").rglob("*") if path.is_file()}
    assert {"cfg", "model.safetensors", "head.safetensors", "tokenizer.json"} <= names
    for nlp in (spacy.load(tmp_path / "pipeline"), copy_of(trained)):
        assert labeller_of(nlp).predict([doc]) == expected
    assert copy.deepcopy(labeller_of(trained).model).label(labeller_of(trained).model.encode([doc]), 1)


def test_training_goes_on_where_it_ended(trained):
    nlp = copy_of(trained)
    sgd = nlp.resume_training(sgd=make_optimizer(0.0003))
    learn(nlp, times=5, sgd=sgd)
    assert nlp.evaluate(make_examples(nlp))["ents_f"] == 1.0


def test_processes_give_the_same(trained):
    texts = [text for text, _ in SENTENCES]
    docs = trained.pipe(texts, n_process=2, batch_size=2)
    assert [[ent.text for ent in doc.ents] for doc in docs] == [[ent.text for ent in trained(t).ents] for t in texts]


def test_entities_that_are_there_stay(trained):
    doc = make_doc(trained, "Maria lives in Lisbon .")
    doc.set_ents([Span(doc, 2, 4, label="RULE")], default="missing")
    assert [(ent.text, ent.label_) for ent in trained(doc).ents] == [("Maria", "PER"), ("in Lisbon", "RULE")]


def test_without_weights_it_says_so():
    nlp = spacy.blank("en")
    nlp.add_pipe("xlt_seq2seq_ner")
    with pytest.raises(ValueError, match=r"XLT-E172"):
        nlp("Maria")


def test_a_model_must_be_named():
    nlp = spacy.blank("en")
    nlp.add_pipe("xlt_seq2seq_ner")
    with pytest.raises(ValueError, match=r"XLT-E181.*none is named.*components.xlt_seq2seq_ner\] model"):
        nlp.initialize(lambda: make_examples(nlp))


def test_a_model_that_is_none_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"XLT-E181.*no/such/model.*no such folder"):
        make_labeller(tmp_path / "no/such/model")
    with pytest.raises(ValueError, match=r"XLT-E181.*encoder.*BertConfig"):
        make_labeller(make_tiny_encoder(tmp_path / "encoder"))


def test_a_model_that_computes_its_scores_in_another_way_is_refused(model, monkeypatch):
    from transformers import MT5ForConditionalGeneration

    forward = MT5ForConditionalGeneration.forward

    def doubled(*args, **kwargs):
        output = forward(*args, **kwargs)
        output.logits = 2 * output.logits
        return output

    monkeypatch.setattr(MT5ForConditionalGeneration, "forward", doubled)
    with pytest.raises(ValueError, match=r"XLT-E181.*scores"):
        make_labeller(model)


def test_half_precision_does_not_make_a_model_look_like_another(model, monkeypatch):
    """Where it is computed in as well as trained in, as on a GPU."""
    from contextlib import contextmanager

    from spacy_xlt.ner.xlt_seq2seq_ner import TextLabeller

    @contextmanager
    def computing(self, *, training):
        with torch.autocast("cpu", torch.bfloat16, enabled=self.settings.precision == "bfloat16"):
            yield

    monkeypatch.setattr(TextLabeller, "_computing", computing)
    nlp = make_labeller(model, precision="bfloat16")
    assert labeller_of(nlp).model.settings.precision == "bfloat16"
    assert nlp(make_doc(nlp, SENTENCES[0][0])).has_annotation("ENT_IOB")


def test_a_label_that_is_not_known_is_named(model):
    nlp = make_labeller(model, init={"labels": ["PER"]})
    with pytest.raises(ValueError, match=r"XLT-E174.*'LOC'"):
        nlp.update(make_examples(nlp), sgd=make_optimizer())


def test_without_labels_there_is_nothing_to_learn(model):
    with pytest.raises(ValueError, match=r"XLT-E175.*no example has an entity"):
        make_labeller(model, examples=SENTENCES[-1:])


@pytest.mark.parametrize(
    ("setting", "value"), [("candidates", 0), ("window", 2), ("span_scores", "x"), ("precision", "float16")]
)
def test_an_invalid_setting_is_named(setting, value):
    with pytest.raises(ValueError, match=rf"XLT-E170.*{setting}.*{value}"):
        spacy.blank("en").add_pipe("xlt_seq2seq_ner", config={setting: value})


@pytest.mark.parametrize("text", ["{", "[]", '{"labels": ["A"], "calibration": 0}', '{"labels": ["A"]}'])
def test_broken_settings_are_named(trained, tmp_path, text):
    trained.to_disk(tmp_path / "pipeline")
    (tmp_path / "pipeline" / "xlt_seq2seq_ner" / "cfg").write_text(text)
    with pytest.raises(ValueError, match=r"XLT-E178.*xlt_seq2seq_ner.*cfg"):
        spacy.load(tmp_path / "pipeline")


def test_weights_of_other_labels_are_an_error(trained, tmp_path):
    trained.to_disk(tmp_path / "pipeline")
    cfg = tmp_path / "pipeline" / "xlt_seq2seq_ner" / "cfg"
    cfg.write_text(json.dumps({**json.loads(cfg.read_text()), "labels": ["LOC"]}))
    with pytest.raises(ValueError, match="XLT-E178"):
        spacy.load(tmp_path / "pipeline")


def test_rounding_cannot_keep_it_from_ending(eager, monkeypatch):
    """Decisions that swing for ever: the draft that it ends with is valid as every one is."""
    model = labeller_of(eager).model
    calls: list[int] = []

    def swinging(read, mask, words, written):
        calls.append(1)
        likely = np.array([0.0, NEVER, -((-1.0) ** len(calls)), NEVER])
        return [np.tile(likely, (len(each.places), 1)) for each in written]

    monkeypatch.setattr(model, "_decide", swinging)
    ((_, (output,)),) = model.label(model.encode([make_doc(eager, "a b c d")]), 1)[0]
    assert valid_tags(output.tags, 2).tolist() == output.tags.tolist() and len(calls) == 9
