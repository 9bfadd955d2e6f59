"""Labels of documents, and slots with intents, trained with the configs that ship in small."""

from __future__ import annotations

from pathlib import Path

import pytest
import spacy
from helpers.tiny_encoder import make_tiny_encoder
from helpers.trainings import trained
from spacy.language import Language

from spacy_xlt.build.builder import build
from spacy_xlt.evaluation.intents import chosen
from spacy_xlt.io import write_docs
from spacy_xlt.readers import read_corpus

COMMANDS = """# intent = alarm/set
1\twake\talarm/set\tO
2\tme\talarm/set\tO
3\tat\talarm/set\tO
4\tsix\talarm/set\tB-datetime

# intent = PlayMusic
1\tplay\tPlayMusic\tO
2\tBlack\tPlayMusic\tB-track
3\tDog\tPlayMusic\tI-track

# intent = alarm/cancel
1\tcancel\talarm/cancel\tO
2\tthe\talarm/cancel\tO
3\talarm\talarm/cancel\tO
"""


@pytest.fixture(scope="module")
def encoder(tmp_path_factory) -> str:
    return str(make_tiny_encoder(tmp_path_factory.mktemp("encoder")))


def train_on(corpus: Path, encoder: str, *overlays: str, **settings) -> Language:
    common = {
        "paths__projected": str(corpus),
        "paths__dev": str(corpus),
        "paths__encoder": encoder,
        "training__max_steps": 80,
        "training__eval_frequency": 80,
        "training__optimizer__learn_rate__initial_rate": 0.01,
        "initialize__after_init__embeddings": False,
    }
    return trained(*overlays, **{**common, **settings})


@pytest.fixture
def commands(tmp_path) -> Path:
    (tmp_path / "commands.conll").write_text(COMMANDS, encoding="utf8")
    columns = {"format": "conll", "token_col": 2, "tag_col": 4, "lang": "en"}
    write_docs(tmp_path / "commands.spacy", read_corpus(tmp_path / "commands.conll", **columns))
    return tmp_path / "commands.spacy"


# The blocks of docs/slots_and_intents.md go the same way
@pytest.mark.long
def test_slots_and_intents_that_a_build_projected_are_learnt_together(nlp, encoder, commands, tmp_path):
    build(nlp, commands, tmp_path / "built")
    both = train_on(
        tmp_path / "built/target", encoder, "textcat", "slots_and_intents", output=tmp_path / "trained",
        # A command without a slot has an intent to learn
        reading__keep_empty=0.0,
    )  # fmt: skip
    found = {
        doc.text: ([(ent.text, ent.label_) for ent in doc.ents], *chosen(doc.cats))
        for doc in both.pipe(["WAKE ME AT SIX", "PLAY BLACK DOG", "CANCEL THE ALARM"])
    }
    assert found == {
        "WAKE ME AT SIX": ([("SIX", "datetime")], "alarm/set"),
        "PLAY BLACK DOG": ([("BLACK DOG", "track")], "PlayMusic"),
        "CANCEL THE ALARM": ([], "alarm/cancel"),
    }
    saved = spacy.load(tmp_path / "trained/model-last")
    assert saved.meta["performance"]["ents_f"] == saved.meta["performance"]["cats_macro_f"] == 1.0
    assert saved.pipe_names == ["xlt_ner", "transformer", "textcat", "doc_cleaner"]


def test_the_embeddings_of_both_encoders_are_frozen(encoder, commands):
    settings = {"training__max_steps": 1, "initialize__after_init__embeddings": True}
    both = train_on(commands, encoder, "textcat", "slots_and_intents", **settings)
    for name in ("xlt_ner", "transformer"):
        module = both.get_pipe(name).model.transformer
        assert not module.get_input_embeddings().weight.requires_grad
        assert any(weight.requires_grad for weight in module.parameters())


LABELLED = "goal by six\tsports\ntaxes rise\tpolitics\ntaxes on goal\tsports|politics\nit is late\tnone\n"


def test_a_document_may_have_several_labels(encoder, tmp_path):
    (tmp_path / "labelled.tsv").write_text(LABELLED, encoding="utf8")
    write_docs(tmp_path / "labelled.spacy", read_corpus(tmp_path / "labelled.tsv", format="texts", lang="en"))
    several = train_on(
        tmp_path / "labelled.spacy", encoder, "textcat",
        components__textcat__factory="textcat_multilabel", components__textcat__model__exclusive_classes=False,
    )  # fmt: skip
    texts = ["goal by six", "taxes rise", "taxes on goal"]
    assert [chosen(doc.cats) for doc in several.pipe(texts)] == [{"sports"}, {"politics"}, {"sports", "politics"}]


def test_only_what_spacy_knows_is_in_a_pipeline_of_labels(encoder, tmp_path):
    (tmp_path / "labelled.tsv").write_text("goal\tsports\ntaxes\tpolitics\n", encoding="utf8")
    write_docs(tmp_path / "labelled.spacy", read_corpus(tmp_path / "labelled.tsv", format="texts", lang="en"))
    labels = train_on(tmp_path / "labelled.spacy", encoder, "textcat", training__max_steps=2)
    assert labels.pipe_names == ["transformer", "textcat", "doc_cleaner"]
    assert "xlt" not in str(dict(labels.config["components"]))
