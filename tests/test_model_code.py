"""Code that comes with a model is never run, whatever is on standard input."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path

import pytest
import spacy
import torch
from helpers.tiny_encoder import make_tiny_encoder
from typer.testing import CliRunner

from spacy_xlt.alignment.embedding import EmbeddingAligner
from spacy_xlt.alignment.simalign import SimAlignAligner
from spacy_xlt.cli import app
from spacy_xlt.config import read_config
from spacy_xlt.device import loading
from spacy_xlt.errors import XltError
from spacy_xlt.llm.api import Request
from spacy_xlt.llm.causal import CausalModel
from spacy_xlt.projection.generator import LoadedGenerator
from spacy_xlt.training.windows import PieceCounter
from spacy_xlt.translation.huggingface import read_files

CONFIGS = Path(__file__).parents[1] / "configs"
PAIR = (["a"], ["b"])
CODE = """
from pathlib import Path
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast
Path(__file__).with_name("ran").touch()
Path({ran!r}).touch()
class OddConfig(BertConfig):
    model_type = "odd"
class OddModel(BertModel):
    config_class = OddConfig
class OddTokenizer(PreTrainedTokenizerFast):
    pass
"""


@pytest.fixture
def ran(tmp_path):
    """The file that the model's code would write."""
    return tmp_path / "ran"


def with_code(folder: Path, ran: Path, part: str) -> Path:
    """A model folder that has code for its model or for its tokenizer."""
    make_tiny_encoder(folder)
    (folder / "odd.py").write_text(CODE.format(ran=str(ran)))
    name, change = {
        "model": (
            "config.json",
            {"model_type": "odd", "auto_map": {"AutoConfig": "odd.OddConfig", "AutoModel": "odd.OddModel"}},
        ),
        "tokenizer": (
            "tokenizer_config.json",
            {"tokenizer_class": "OddTokenizer", "auto_map": {"AutoTokenizer": [None, "odd.OddTokenizer"]}},
        ),
    }[part]
    path = folder / name
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    return folder


def read_translator(folder):
    with loading("E221", engine="Seq2SeqTranslator", model=folder):
        read_files(folder)


def initialize(folder, architecture="spacy_xlt.PeftTransformerModel.v1"):
    """With the settings that a training's config has."""
    block = read_config(CONFIGS / "ner.cfg")["components"]["transformer"]["model"]
    model = {name: block[name] for name in ("get_spans", "tokenizer_config", "transformer_config")}
    nlp = spacy.blank("xx")
    nlp.add_pipe("transformer", config={"model": {"@architectures": architecture, "name": folder, **model}})
    nlp.initialize()


LOADERS = {
    "embedding": lambda folder: EmbeddingAligner(model=folder, layer=1).align([PAIR]),
    "simalign": lambda folder: SimAlignAligner(model=folder, layer=1).align([PAIR]),
    "translator": read_translator,
    "peft": initialize,
    "generator": lambda folder: LoadedGenerator.read(folder, torch.device("cpu")),
    "causal": lambda folder: CausalModel(model=folder).complete([Request(prompt="a")]),
    "windows": lambda folder: PieceCounter(encoder=folder).n_special_tokens,
}


@pytest.mark.parametrize("part", ["model", "tokenizer"])
@pytest.mark.parametrize("loader", LOADERS)
def test_code_of_a_model_is_an_error_and_not_a_question(loader, part, tmp_path, ran, monkeypatch):
    folder = with_code(tmp_path / "model", ran, part)
    monkeypatch.setattr(sys, "stdin", io.StringIO("y\n" * 20))
    with pytest.raises(XltError, match=r"E(221|303).*model") as caught:
        LOADERS[loader](str(folder))
    assert str(folder) in str(caught.value) and sys.stdin.read(2) == "y\n"
    assert not ran.exists()


@pytest.mark.parametrize("part", ["model", "tokenizer"])
def test_a_training_config_does_not_run_the_code_of_its_encoder(part, tmp_path, ran, monkeypatch):
    folder = with_code(tmp_path / "model", ran, part)
    monkeypatch.setattr(sys, "stdin", io.StringIO("y\n" * 20))
    with pytest.raises(ValueError, match="custom code"):
        initialize(str(folder), "spacy-transformers.TransformerModel.v3")
    assert sys.stdin.read(2) == "y\n" and not ran.exists()


def test_adapting_names_the_folder_whose_code_would_have_to_be_run(tmp_path, ran):
    folder = with_code(tmp_path / "model", ran, "model")
    text = tmp_path / "text"
    text.write_text("a b\n")
    args = ["adapt-aligner", str(text), str(text), str(tmp_path / "out"), "--model", str(folder), "--silent"]
    result = CliRunner().invoke(app, args, input="y\n" * 20)
    assert result.exit_code == 1 and not ran.exists() and not (tmp_path / "out").exists()
    assert "XLT-E303" in result.output and "run the custom code" not in result.output


def test_a_model_with_code_that_is_not_needed_is_loaded_without(tmp_path, ran):
    folder = make_tiny_encoder(tmp_path / "model")
    (folder / "odd.py").write_text(CODE.format(ran=str(ran)))
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"auto_map": {"AutoModel": "odd.OddModel"}}))
    for aligner in (EmbeddingAligner, SimAlignAligner):
        assert len(aligner(model=str(folder), layer=1).align([PAIR])) == 1
    assert not ran.exists()
