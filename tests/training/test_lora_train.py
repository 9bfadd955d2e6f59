"""`spacy train` with the parts for adapters and the like; what comes out runs where there is neither us nor peft."""

from __future__ import annotations

from pathlib import Path

import pytest
import spacy
from helpers.cli import spacy_cli
from helpers.paths import CONFIGS
from helpers.tiny_encoder import make_tiny_encoder
from spacy.tokens import Doc, DocBin, Span
from spacy.util import load_model_from_config
from thinc.api import Config

from spacy_xlt.config import merge_configs

PARTS = ("lora", "checkpointing", "half_precision")
SENTENCES = [
    (["Maria", "mora", "em", "Lisboa", "."], [(0, 1, "PER"), (3, 4, "LOC")]),
    (["Maria", "canta", "."], [(0, 1, "PER")]),
    (["O", "Banco", "fica", "em", "Lisboa", "."], [(1, 2, "ORG"), (4, 5, "LOC")]),
]


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Path:
    """What `spacy train` made of the CPU config and all parts."""
    folder = tmp_path_factory.mktemp("peft")
    vocab = spacy.blank("pt").vocab
    docs = []
    for words, ents in SENTENCES * 8:
        doc = Doc(vocab, words=words, spaces=[True] * (len(words) - 2) + [False, False])
        doc.set_ents([Span(doc, *ent) for ent in ents], default="outside")
        docs.append(doc)
    DocBin(docs=docs).to_disk(folder / "corpus.spacy")
    settings = {
        "paths.projected": str(folder / "corpus.spacy"),
        "corpora.train.use": ["projected"],
        "paths.dev": str(folder / "corpus.spacy"),
        "paths.encoder": str(make_tiny_encoder(folder / "encoder")),
        "nlp.lang": "pt",
        "components.transformer.model.transformer_config": {"num_hidden_layers": 2},
        "training.max_steps": 30,
        "training.eval_frequency": 15,
        "training.optimizer.learn_rate.initial_rate": 0.01,
    }
    parts = [CONFIGS / "parts" / f"{part}.cfg" for part in PARTS]
    merge_configs([CONFIGS / "train.cfg", CONFIGS / "ner.cfg", *parts], settings).to_disk(
        folder / "train.cfg", interpolate=False
    )
    spacy_cli("train", folder / "train.cfg", "-o", folder / "training")
    return folder


@pytest.mark.parametrize("checkpoint", ["model-best", "model-last"])
def test_a_checkpoint_is_an_ordinary_pipeline(trained, checkpoint):
    config = Config().from_disk(trained / "training" / checkpoint / "config.cfg")
    assert "spacy_xlt" not in str(config["components"]) + str(config["nlp"])
    block = config["components"]["transformer"]["model"]
    assert block["@architectures"] == "spacy-transformers.TransformerModel.v3"
    assert block["transformer_config"] == {"num_hidden_layers": 2}
    nlp = spacy.load(trained / "training" / checkpoint)
    encoder = nlp.get_pipe("transformer").model.transformer
    assert encoder.config.num_hidden_layers == 2
    before = encoder.__class__.from_pretrained(trained / "encoder").state_dict()
    changed = {name for name, value in encoder.state_dict().items() if not value.equal(before[name])}
    # The same names as before; only what has an adapter differs.
    assert changed and {name.split(".")[-2] for name in changed} == {"query", "value"}


@pytest.mark.parametrize("base", [["train", "ner"], ["train", "ner", "gpu"]], ids="-".join)
@pytest.mark.parametrize("parts", [[part] for part in PARTS] + [list(PARTS), list(PARTS[::-1])])
@pytest.mark.filterwarnings("ignore::spacy_xlt.errors.XltWarning")
def test_parts_change_only_what_they_are_for_in_any_order(base, parts):
    stock = merge_configs([CONFIGS / f"{name}.cfg" for name in base])
    merged = merge_configs([CONFIGS / f"{name}.cfg" for name in (*base, *(f"parts/{part}" for part in parts))])
    block, old = (config["components"]["transformer"]["model"] for config in (merged, stock))
    for key in ("name", "get_spans", "tokenizer_config", "transformer_config"):
        assert block[key] == old[key]
    assert block.get("peft") == ("lora" if "lora" in parts else None)
    assert block.get("gradient_checkpointing", False) == ("checkpointing" in parts)
    assert block.get("mixed_precision", True) == ("bfloat16" if "half_precision" in parts else True)
    training = dict(merged["training"])
    assert training["before_to_disk"]["callbacks"]["merge_lora"] == {"@callbacks": "spacy_xlt.merge_lora.v1"}
    training["before_to_disk"] = None
    assert (training != {**stock["training"], "before_to_disk": None}) == ("lora" in parts)
    assert [name for name in merged if merged[name] != stock[name]] == ["components", "training"]
    nlp = load_model_from_config(merged, auto_fill=True)
    assert nlp.config["components"]["transformer"]["model"]["@architectures"] == "spacy_xlt.PeftTransformerModel.v1"
