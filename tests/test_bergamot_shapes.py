"""Models of the shapes that Firefox Translations has, with random weights, against the network written down plainly."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers import marian_writer
from helpers.paths import ASSETS
from numpy.typing import NDArray

from spacy_xlt.translation.bergamot.direction import Direction
from spacy_xlt.translation.bergamot.engine import make_bergamot_translator
from spacy_xlt.translation.bergamot.folders import find_models
from spacy_xlt.translation.bergamot.marian import read_model
from spacy_xlt.translation.bergamot.splitting import Window

# Width, width of the feed-forward part, layers of encoder and decoder; all have 8 heads
SHAPES = {"tiny": (256, 1536, 6, 2), "base-memory": (384, 1536, 6, 4), "base": (512, 2048, 6, 2)}
N_SOURCE, N_TARGET = 300, 260
TEXTS = ["The committee met in Geneva on Tuesday.", "Yes.", "Two dogs ran over the old bridge, and one came back."]


@pytest.fixture(scope="module")
def vocabularies(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("vocabularies")
    names = ("newstest2019-src.eng.txt", N_SOURCE), ("newstest2019-ref.por-BR.txt", N_TARGET)
    source, target = (
        marian_writer.train_vocabulary(
            folder / f"{size}.spm", (ASSETS / "ntrex" / name).read_text(encoding="utf8").splitlines()[:400], size
        )
        for name, size in names
    )
    return source, target


def write(
    folder: Path, vocabularies: tuple[Path, Path], shape: str, *, separate: bool, int8: bool
) -> dict[str, NDArray[np.float32]]:
    """Write a model folder as Firefox has them. RETURNS: The tensors as the file has them."""
    dim, ffn, encoder, decoder = SHAPES[shape]
    tensors = marian_writer.random_tensors(
        dim=dim, ffn=ffn, n_vocab=N_SOURCE, encoder=encoder, decoder=decoder, n_target=N_TARGET if separate else None
    )
    folder.mkdir()
    names = ("srcvocab.enpt.spm", "trgvocab.enpt.spm") if separate else ("vocab.enpt.spm",)
    for name, path in zip(names, vocabularies, strict=False):
        (folder / name).write_bytes(path.read_bytes())
    config: dict[str, Any] = {
        **marian_writer.CONFIG,
        "dim-emb": dim,
        "transformer-dim-ffn": ffn,
        "transformer-heads": 8,
        "enc-depth": encoder,
        "dec-depth": decoder,
        "tied-embeddings-all": not separate,
        "tied-embeddings": separate,
    }
    items = {name: marian_writer.float_item(values) for name, values in tensors.items()}
    path = folder / ("model.enpt.intgemm.alphas.bin" if int8 else "model.enpt.bin")
    marian_writer.write_model(path, marian_writer.quantised(tensors) if int8 else items, config)
    return {name: tensor.to_float() for name, tensor in read_model(path).tensors.items()}


@pytest.mark.parametrize("separate, int8", [(False, False), (True, True)])
@pytest.mark.parametrize("shape", SHAPES)
def test_a_model_of_each_shape_computes_what_the_plain_network_does(
    vocabularies: tuple[Path, Path], tmp_path: Path, shape: str, separate: bool, int8: bool
) -> None:
    tensors = write(tmp_path / "model", vocabularies, shape, separate=separate, int8=int8)
    (folder,) = find_models(tmp_path).values()
    direction = Direction.load(folder, int8=False, shortlist=True, device=torch.device("cpu"))
    assert (direction.source_vocab is direction.target_vocab) is not separate
    sources = direction.source_vocab.encode(TEXTS)
    targets = direction.target_vocab.encode(["Sim.", "", "Dois cães correram sobre a ponte."])
    pairs = enumerate(zip(sources, targets, strict=True))
    windows = [Window(i, slice(0, len(s)), slice(0, len(t))) for i, (s, t) in pairs]
    _, _, encoder, decoder = SHAPES[shape]
    for forced in direction.force(sources, targets, windows, batch_tokens=999, log_probs=True, weights=True):
        pair = forced.window.pair
        log_probs, weights = marian_writer.plain_log_probs(
            tensors,
            np.append(sources[pair].ids, direction.source_vocab.eos),
            np.append(targets[pair].ids, direction.target_vocab.eos),
            heads=8,
            encoder=encoder,
            decoder=decoder,
        )
        assert forced.log_probs is not None and forced.weights is not None
        np.testing.assert_allclose(forced.log_probs, log_probs, atol=2e-4)
        np.testing.assert_allclose(forced.weights, weights, atol=1e-5)


@pytest.mark.parametrize("shape", SHAPES)
def test_a_folder_of_each_shape_translates_scores_and_aligns_in_8_bits(
    vocabularies: tuple[Path, Path], tmp_path: Path, shape: str
) -> None:
    write(tmp_path / "model", vocabularies, shape, separate=True, int8=True)
    languages = {"source": "en", "target": "pt"}
    translator = make_bergamot_translator(models=str(tmp_path))
    exact = make_bergamot_translator(models=str(tmp_path), precision="float32")
    found, expected = (t.translate(TEXTS, **languages) for t in (translator, exact))
    assert translator._direction("en", "pt", exact=False).model.int8
    for ours, theirs in zip(found, expected, strict=True):
        assert ours.text and ours.score is not None and ours.score == pytest.approx(theirs.score, abs=0.5)
    # What is most probable in 8 bits is nearly so in floats
    first = [t.text[:1] for t in found]
    assert first == [t.text[:1] for t in expected]
    assert np.isfinite(translator.score(TEXTS, [t.text for t in found], **languages)).all()
    (weights,) = translator.attend([["a", "cat"]], [["um", "gato", "."]], **languages)
    assert weights.shape == (2, 3)


def test_the_scale_of_an_input_may_itself_be_quantised(vocabularies: tuple[Path, Path], tmp_path: Path) -> None:
    write(tmp_path / "model", vocabularies, "tiny", separate=True, int8=True)
    model = read_model(tmp_path / "model" / "model.enpt.intgemm.alphas.bin")
    assert model["decoder_Wemb_QuantMultA"].values.dtype == np.int8
    assert model.activation_scale("decoder_Wemb") == pytest.approx(127 / 6)
