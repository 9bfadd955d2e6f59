"""Training: the optimizer, parts of a batch, losses, frozen weights, averages, rehearsal."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from helpers.tiny_ner import SENTENCES, copy_of, found, make_doc, make_examples, make_ner, make_optimizer, train
from spacy.training import Example
from thinc.api import Optimizer

from spacy_xlt.ner.xlt_ner import set_soft_labels


def weights_of(nlp) -> dict[str, torch.Tensor]:
    state = nlp.get_pipe("xlt_ner").model.state_dict()
    return {name: values.clone() for name, values in state.items() if values.is_floating_point()}


def same(first, second, **tolerance) -> bool:
    return all(torch.allclose(first[name], second[name], **tolerance) for name in first)


def test_it_learns_its_examples(trained):
    scores = trained.evaluate(make_examples(trained))
    assert scores["ents_f"] == 1.0
    assert found(trained, "The Bank of Lisbon is in New York .") == [("Bank of Lisbon", "ORG"), ("New York", "LOC")]


def test_the_same_seed_gives_the_same_weights(encoder):
    first, second = (weights_of(train(make_ner(encoder), times=3)) for _ in range(2))
    assert same(first, second, rtol=0, atol=0)


def test_the_output_layer_begins_at_zero(encoder):
    state = make_ner(encoder).get_pipe("xlt_ner").model.state_dict()
    assert not state["head.weight"].any() and not state["head.bias"].any()


def test_a_batch_in_parts_is_updated_as_the_whole(encoder):
    """Of parts with different numbers of words, as `accumulate_gradient` and `batch_pieces` make them."""
    whole, parts, pieces = make_ner(encoder), make_ner(encoder), make_ner(encoder, batch_pieces=16)
    # So that the encoder has gradients
    for nlp in (whole, parts, pieces):
        torch.nn.init.ones_(nlp.get_pipe("xlt_ner").model.net["head"].weight[:3])
    # Adam's first step is as large for a gradient of nearly 0, unless eps is larger
    whole.update(make_examples(whole), sgd=make_optimizer(eps=1e-3))
    pieces.update(make_examples(pieces), sgd=make_optimizer(eps=1e-3))
    examples = make_examples(parts)
    parts.update(examples[:1], sgd=False)
    parts.update(examples[1:], sgd=False)
    parts.get_pipe("xlt_ner").finish_update(make_optimizer(eps=1e-3))
    assert same(weights_of(whole), weights_of(parts), atol=1e-5)
    assert same(weights_of(whole), weights_of(pieces), atol=1e-5)


def test_an_update_is_that_of_pytorch(encoder):
    nlp, plain = make_ner(encoder), make_ner(encoder)
    net = plain.get_pipe("xlt_ner").model.net
    # Biases and scales don't decay, and the output layer learns ten times as fast
    groups = [
        {"params": [weight], "weight_decay": 0.1 if weight.ndim > 1 else 0.0, "lr": 0.1 if "head" in name else 0.01}
        for name, weight in net.named_parameters()
    ]
    adam = torch.optim.AdamW(groups, betas=(0.8, 0.9), eps=1e-6)
    sgd = Optimizer(0.01, beta1=0.8, beta2=0.9, eps=1e-6, L2=0.1, grad_clip=0.5, use_averages=False)
    for _ in range(3):
        nlp.update(make_examples(nlp), sgd=sgd)
        plain.update(make_examples(plain), sgd=False)
        model = plain.get_pipe("xlt_ner").model
        for weight in net.parameters():
            weight.grad /= model._n_learnt
        torch.nn.utils.clip_grad_norm_(net.parameters(), 0.5)
        adam.step()
        adam.zero_grad()
        model._n_learnt = 0
    assert same(weights_of(nlp), weights_of(plain), atol=1e-6)


def test_the_learning_rate_follows_its_schedule(encoder):
    nlp = make_ner(encoder)
    before = weights_of(nlp)
    sgd = make_optimizer(iter([0.0, 0.01]))
    nlp.update(make_examples(nlp), sgd=sgd)
    assert same(before, weights_of(nlp), rtol=0, atol=0)
    sgd.step_schedules()
    nlp.update(make_examples(nlp), sgd=sgd)
    assert not same(before, weights_of(nlp))


@pytest.mark.parametrize("settings", [{"use_radam": True}, {"beta1": 0.0}, {"beta2": 1.0}, {"eps": 0.0}])
def test_another_optimizer_is_an_error(encoder, settings):
    nlp = make_ner(encoder)
    with pytest.raises(ValueError, match=r"XLT-E179.*Adam\.v1"):
        nlp.update(make_examples(nlp), sgd=make_optimizer(**settings))


def test_a_learning_rate_that_is_no_number_is_an_error(encoder):
    nlp = make_ner(encoder)
    with pytest.raises(ValueError, match=r"XLT-E179.*nan"):
        nlp.update(make_examples(nlp), sgd=make_optimizer(float("nan")))


def test_what_is_missing_has_no_loss(encoder):
    nlp = make_ner(encoder)
    before = weights_of(nlp)
    doc = make_doc(nlp, "Maria lives in Lisbon .")
    assert nlp.update([Example(make_doc(nlp, doc.text), doc)], sgd=make_optimizer()) == {"xlt_ner": 0.0}
    assert same(before, weights_of(nlp), rtol=0, atol=0)


def test_documents_without_words_are_passed_over(encoder):
    nlp = make_ner(encoder)
    empty = Example(nlp.make_doc(""), nlp.make_doc(""))
    assert nlp.update([empty], sgd=make_optimizer()) == {"xlt_ner": 0.0}
    assert nlp.update([empty, *make_examples(nlp)], sgd=make_optimizer())["xlt_ner"] > 0


def test_a_document_in_windows_is_learnt_in_all_of_them(encoder):
    text = "Nobody is there . " * 30
    n = len(text.split())
    nlp = make_ner(encoder, window=32, overlap=8)
    ents = [(i, i + 1, "PER") for i in range(0, n, 4)]
    train(nlp, times=40, examples=make_examples(nlp, [(text.strip(), ents)]))
    assert [ent.start for ent in nlp(make_doc(nlp, text.strip())).ents] == list(range(0, n, 4))


def test_a_frozen_component_stays_as_it_is(encoder):
    nlp = make_ner(encoder)
    before = weights_of(nlp)
    nlp.update(make_examples(nlp), sgd=make_optimizer(), exclude=["xlt_ner"])
    assert same(before, weights_of(nlp), rtol=0, atol=0)


def test_averaged_weights_are_there_inside_the_block_alone(encoder):
    nlp = make_ner(encoder)
    sgd = make_optimizer(use_averages=True)
    train(nlp, times=5, sgd=sgd)
    last = weights_of(nlp)
    with nlp.use_params(sgd.averages):
        averaged = weights_of(nlp)
    assert same(last, weights_of(nlp), rtol=0, atol=0)
    assert not same(last, averaged)


def test_a_second_pipeline_has_averages_of_its_own(encoder):
    first, second = make_ner(encoder), make_ner(encoder)
    sgd = make_optimizer(use_averages=True)
    train(first, times=2, sgd=sgd)
    before = weights_of(second)
    with second.use_params(sgd.averages):
        assert same(before, weights_of(second), rtol=0, atol=0)


@pytest.mark.parametrize(("loss", "calibration"), [("kl", 1.0), ("kl", 2.0), ("mse", 1.0)])
def test_a_student_learns_the_distributions_of_its_teacher(trained, encoder, loss, calibration):
    teacher = copy_of(trained).get_pipe("xlt_ner")
    teacher.cfg["calibration"] = calibration
    student = make_ner(encoder, soft_loss=loss, temperature=2.0)
    examples = []
    for text, _ in SENTENCES:
        reference = make_doc(student, text)
        set_soft_labels(reference, teacher.tags, teacher.tag_probabilities([make_doc(trained, text)])[0])
        examples.append(Example(make_doc(student, text), reference))
    train(student, times=80, examples=examples)
    learnt = student.get_pipe("xlt_ner").tag_probabilities([eg.predicted for eg in examples])
    taught = [np.array(teacher.tag_probabilities([make_doc(trained, text)])[0]) for text, _ in SENTENCES]
    for ours, theirs in zip(learnt, taught, strict=True):
        assert np.abs(ours.astype(float) - theirs.astype(float)).max() < 0.1


def test_a_score_of_zero_leaves_a_span_out(encoder):
    """The wrong label has the score 0, and the right one 1."""
    nlp = make_ner(encoder, span_scores="linear")
    examples = make_examples(nlp, [("Maria sings .", [(0, 1, "PER")]), ("Maria sings .", [(0, 1, "LOC")])])
    for example, score in zip(examples, (1.0, 0.0), strict=True):
        doc = example.reference
        doc.spans["xlt_ents"] = list(doc.ents)
        doc.spans["xlt_ents"].attrs["scores"] = [score]
    train(nlp, examples=examples)
    assert found(nlp, "Maria sings .") == [("Maria", "PER")]


def test_smoothing_makes_it_less_sure(trained, encoder):
    smooth = train(make_ner(encoder, label_smoothing=0.3))
    docs = [make_doc(trained, "Maria lives in Lisbon .")]
    sure, less = (nlp.get_pipe("xlt_ner").predict(docs) for nlp in (trained, smooth))
    assert [span[:3] for span in sure[0]] == [span[:3] for span in less[0]]
    assert min(span[3] for span in sure[0]) > max(span[3] for span in less[0])


def test_two_passes_that_differ_cost_more(encoder):
    losses = []
    for r_drop in (0.0, 5.0):
        nlp = make_ner(encoder, r_drop=r_drop)
        torch.nn.init.normal_(nlp.get_pipe("xlt_ner").model.net["head"].weight, generator=torch.manual_seed(0))
        losses.append(nlp.update(make_examples(nlp), drop=0.5, sgd=make_optimizer())["xlt_ner"])
    assert losses[1] > losses[0] + 0.1


def test_rehearsal_keeps_what_was_known(trained):
    """A pipeline that is trained on one thing alone forgets the others, and less so when it rehearses."""
    forgetful, rehearsing = copy_of(trained), copy_of(trained)
    texts = [text for text, _ in SENTENCES]
    new = make_examples(rehearsing, [("Nobody is there .", [(0, 1, "PER")])])
    sgd = rehearsing.resume_training(sgd=make_optimizer(0.002))
    for _ in range(30):
        rehearsing.update(new, sgd=sgd)
        rehearsing.rehearse([Example(make_doc(rehearsing, t), make_doc(rehearsing, t)) for t in texts[:4]], sgd=sgd)
    train(forgetful, times=30, examples=make_examples(forgetful, [("Nobody is there .", [(0, 1, "PER")])]))
    f_scores = [nlp.evaluate(make_examples(nlp, SENTENCES[:4]))["ents_f"] for nlp in (rehearsing, forgetful)]
    assert f_scores[0] == 1.0 and f_scores[1] < 0.9
    assert found(rehearsing, "Nobody is there .") == [("Nobody", "PER")]


@pytest.mark.filterwarnings("ignore:.*XLT-W170")
def test_half_precision_learns_as_well(encoder):
    nlp = train(make_ner(encoder, precision="bfloat16"))
    assert nlp.evaluate(make_examples(nlp))["ents_f"] == 1.0
    assert nlp.get_pipe("xlt_ner").model.net["head"].weight.dtype == torch.float32


def test_a_label_that_is_added_changes_nothing_until_it_is_trained(encoder):
    nlp = train(make_ner(encoder))
    before = [found(nlp, text) for text, _ in SENTENCES]
    assert nlp.get_pipe("xlt_ner").add_label("MISC") == 1
    assert nlp.get_pipe("xlt_ner").add_label("MISC") == 0
    assert nlp.get_pipe("xlt_ner").labels == ("LOC", "MISC", "ORG", "PER")
    assert [found(nlp, text) for text, _ in SENTENCES] == before
    train(nlp, times=60, examples=make_examples(nlp, [*SENTENCES, ("John reads Nature .", [(2, 3, "MISC")])]))
    assert found(nlp, "John reads Nature .") == [("Nature", "MISC")]
    assert [found(nlp, text) for text, _ in SENTENCES] == before


def test_lora_leaves_the_encoder_as_it_is_and_is_merged_at_save(encoder):
    pytest.importorskip("peft")
    nlp = make_ner(encoder, init={"lora_rank": 4})
    before = weights_of(nlp)
    train(nlp, times=60, sgd=make_optimizer(0.02))
    after = weights_of(nlp)
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed and all(".lora_" in name or name.startswith("head.") for name in changed)
    loaded = copy_of(nlp)
    assert not any("lora" in name or "base_layer" in name for name in weights_of(loaded))
    docs = [make_doc(nlp, text) for text, _ in SENTENCES]
    for ours, theirs in zip(*(n.get_pipe("xlt_ner").tag_probabilities(docs) for n in (nlp, loaded)), strict=True):
        assert np.abs(ours.astype(float) - theirs.astype(float)).max() < 0.01
