"""Romanised pieces: which are added, with which vectors, and that the others stay as they are."""

import numpy as np
import pytest
import spacy
from safetensors.numpy import load_file
from transformers import AutoTokenizer

from spacy_xlt.errors import XltError
from spacy_xlt.vocabulary import romanise

KEY = "embeddings.word_embeddings.weight"
nlp = spacy.blank("xx")


def _docs(texts):
    return map(nlp.make_doc, texts)


def _read(folder):
    return AutoTokenizer.from_pretrained(folder), load_file(folder / "model.safetensors")[KEY]


@pytest.mark.parametrize(("kind", "mark"), [("Unigram", ""), ("WordPiece", "##")])
def test_forms_are_added_with_the_vectors_of_their_pieces(kind, mark, make_encoder, tmp_path):
    folder = make_encoder(kind)
    summary = romanise(str(folder), None, tmp_path / "out")
    (old, before), (new, after) = _read(folder), _read(tmp_path / "out")
    assert np.array_equal(after[: len(before)], before) and summary["added"] == len(after) - len(before) > 0
    ids = new.get_vocab()
    assert old.get_vocab().items() <= ids.items()
    assert np.array_equal(after[ids[f"{mark}kva"]], before[ids[f"{mark}ква"]])
    assert new.tokenize("Moskva")[-1] == f"{mark}kva" != old.tokenize("Moskva")[-1]
    assert len(new.tokenize("Moskva")) == len(old.tokenize("Москва")) == 2
    for text in ("Москва", "Maria mora em Lisboa"):
        assert new.tokenize(text) == old.tokenize(text)


def test_pieces_with_one_form_share_it_by_how_often_they_are_used(make_encoder, tmp_path):
    folder = make_encoder("Unigram")
    romanise(str(folder), _docs(["ёлка"] * 3 + ["елка"]), tmp_path / "out")
    (old, before), (new, after) = _read(folder), _read(tmp_path / "out")
    assert set(new.get_vocab()) - set(old.get_vocab()) == {"elka"}
    ids = new.get_vocab()
    mean = 0.75 * before[ids["ёлка"]] + 0.25 * before[ids["елка"]]
    assert np.allclose(after[ids["elka"]], mean, atol=1e-7) and not np.allclose(mean, before[ids["елка"]])
    romanise(str(folder), None, tmp_path / "all")
    alike = (before[ids["ёлка"]] + before[ids["елка"]]) / 2
    new, after = _read(tmp_path / "all")
    assert np.allclose(after[new.get_vocab()["elka"]], alike, atol=1e-7)


def test_other_ways_to_read_letters_and_errors(make_encoder, tmp_path):
    folder = make_encoder("Unigram")
    romanise(str(folder), _docs(["ёлка"]), tmp_path / "ru", lang="ru")
    assert "yolka" in AutoTokenizer.from_pretrained(tmp_path / "ru").get_vocab()
    with pytest.raises(XltError, match="E862.*outside Latin"):
        romanise(str(folder), _docs(["Maria"]), tmp_path / "out")
    with pytest.raises(XltError, match="E860.*BPE"):
        romanise(str(make_encoder("BPE")), None, tmp_path / "out")
    with pytest.raises(XltError, match="E010"):
        romanise(str(folder), None, tmp_path / "out", lang="nothing")
    assert not (tmp_path / "out").exists()


def test_without_uroman_the_error_names_the_extra(make_encoder, tmp_path, monkeypatch):
    monkeypatch.setattr("spacy_xlt.romanisation.find_spec", lambda name: None)
    with pytest.raises(XltError, match=r"E106.*spacy-xlt\[romanise\]"):
        romanise("model", None, tmp_path / "out")
