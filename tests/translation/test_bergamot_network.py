"""The Marian network and its searches: one way of computing checked against another, and models of other shapes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers import marian_writer
from helpers.paths import ASSETS
from numpy.typing import NDArray

from spacy_xlt.errors import XltError
from spacy_xlt.translation.bergamot.decoding import (
    Padded,
    forced_attention,
    forced_log_probs,
    greedy_search,
)
from spacy_xlt.translation.bergamot.engine import BergamotModel, BergamotTranslator
from spacy_xlt.translation.bergamot.files import ModelFolder, bundled_models, find_models, read_model
from spacy_xlt.translation.neural import Hypothesis

CPU = torch.device("cpu")
TEXTS = ["The committee met in Geneva on Tuesday.", "Yes.", "Two dogs ran over the old bridge, and one came back."]
TARGETS = ["Sim.", "", "Dois cães correram sobre a ponte."]
# Width, width of the feed-forward part, layers of encoder and decoder; all have 8 heads
SHAPES = {"tiny": (256, 1536, 6, 2), "base-memory": (384, 1536, 6, 4), "base": (512, 2048, 6, 2)}
N_SOURCE, N_TARGET = 300, 260


@pytest.fixture(scope="module")
def bundled() -> ModelFolder:
    return find_models(bundled_models())["en", "pt"]


@pytest.fixture(scope="module")
def model(bundled: ModelFolder) -> BergamotModel:
    return BergamotModel(bundled, int8=False, shortlist=False, device=CPU)


@pytest.fixture(scope="module")
def batch(model: BergamotModel) -> Padded:
    return Padded.pad([pieces.ids for pieces in model.source.encode(TEXTS)], model.source.eos)


def search(model: BergamotModel, batch: Padded, *, limits: Any = (60, 60, 60)) -> list[Hypothesis]:
    return greedy_search(model.network, batch, np.asarray(limits), eos=model.target.eos, unk=model.target.unk)


def assert_same(first: list[Hypothesis], second: list[Hypothesis]) -> None:
    for a, b in zip(first, second, strict=True):
        assert a.ids.tolist() == b.ids.tolist() and a.truncated == b.truncated
        assert a.score == pytest.approx(b.score, abs=1e-3)
        np.testing.assert_allclose(a.weights, b.weights, atol=1e-4)


# searches


def test_search_has_the_scores_and_the_attention_of_the_forced_run(model: BergamotModel, batch: Padded) -> None:
    hypotheses = search(model, batch)
    targets = Padded.pad([hypothesis.ids[:-1] for hypothesis in hypotheses], model.target.eos)
    log_probs = forced_log_probs(model.network, batch, targets)
    weights = forced_attention(model.network, batch, targets)
    for hypothesis, scores, looked in zip(hypotheses, log_probs, weights, strict=True):
        assert hypothesis.ids[-1] == model.target.eos and hypothesis.weights is not None
        assert hypothesis.score == pytest.approx(scores.sum(), abs=1e-3)
        np.testing.assert_allclose(hypothesis.weights[:-1, :-1], looked, atol=1e-4)
        np.testing.assert_allclose(hypothesis.weights.sum(axis=1), 1, atol=1e-4)


def test_row_is_translated_alone_as_in_its_batch(model: BergamotModel, batch: Padded) -> None:
    for row, hypothesis in enumerate(search(model, batch)):
        alone = Padded(batch.ids[row : row + 1, : int(batch.lengths[row])], batch.lengths[row : row + 1])
        assert_same(search(model, alone, limits=[60]), [hypothesis])


def test_hypothesis_at_its_limit_is_truncated(model: BergamotModel, batch: Padded) -> None:
    cut, *whole = search(model, batch, limits=[4, 60, 60])
    assert cut.truncated and len(cut.ids) == 4 and model.target.eos not in cut.ids
    assert not any(hypothesis.truncated for hypothesis in whole)


# models of other shapes


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


@pytest.mark.parametrize(
    "shape, separate, int8", [("tiny", False, False), ("base-memory", True, True), ("base", True, False)]
)
def test_model_of_each_shape_computes_what_the_plain_network_does(
    vocabularies: tuple[Path, Path], tmp_path: Path, shape: str, separate: bool, int8: bool
) -> None:
    tensors = write(tmp_path / "enpt", vocabularies, shape, separate=separate, int8=int8)
    (folder,) = find_models(tmp_path).values()
    model = BergamotModel(folder, int8=False, shortlist=True, device=CPU)
    assert (model.source is model.target) is not separate
    sources, targets = ([p.ids for p in c.encode(t)] for c, t in ((model.source, TEXTS), (model.target, TARGETS)))
    _, _, encoder, decoder = SHAPES[shape]
    forced, attended = model.force(sources, targets), model.attend(sources, targets)
    for source, target, log_probs, weights in zip(sources, targets, forced, attended, strict=True):
        expected, looked = marian_writer.plain_log_probs(
            tensors,
            np.append(source, model.source.eos),
            np.append(target, model.target.eos),
            heads=8,
            encoder=encoder,
            decoder=decoder,
        )
        np.testing.assert_allclose(log_probs, expected, atol=2e-4)
        np.testing.assert_allclose(weights, looked[:-1, :-1], atol=1e-5)


@pytest.mark.parametrize("shape", ["tiny", "base-memory"])
def test_folder_of_each_shape_translates_scores_and_aligns_in_8_bits(
    vocabularies: tuple[Path, Path], tmp_path: Path, shape: str
) -> None:
    write(tmp_path / "enpt", vocabularies, shape, separate=True, int8=True)
    languages = {"source": "en", "target": "pt"}
    translator = BergamotTranslator(models=str(tmp_path))
    exact = BergamotTranslator(models=str(tmp_path), precision="float32")
    ours, theirs = (t.translate(TEXTS, **languages) for t in (translator, exact))
    model = translator.load("en", "pt", device=CPU, exact=False)
    assert isinstance(model, BergamotModel) and model.network.int8
    for fast, slow in zip(ours, theirs, strict=True):
        assert fast.text and fast.score is not None and fast.score == pytest.approx(slow.score, abs=0.5)
    # What is most probable in 8 bits is nearly so in floats
    assert [t.text[:1] for t in ours] == [t.text[:1] for t in theirs]
    assert np.isfinite(translator.score(TEXTS, [t.text for t in ours], **languages)).all()
    (weights,) = translator.attend([["a", "cat"]], [["um", "gato", "."]], **languages)
    assert weights.shape == (2, 3)


def test_scale_of_an_input_may_itself_be_quantised(vocabularies: tuple[Path, Path], tmp_path: Path) -> None:
    write(tmp_path / "enpt", vocabularies, "tiny", separate=True, int8=True)
    model = read_model(tmp_path / "enpt" / "model.enpt.intgemm.alphas.bin")
    assert model["decoder_Wemb_QuantMultA"].values.dtype == np.int8
    assert model.activation_scale("decoder_Wemb") == pytest.approx(127 / 6)


def test_separate_vocabularies_and_untied_embeddings_are_read(bundled: ModelFolder, tmp_path: Path) -> None:
    tensors = marian_writer.random_tensors(dim=16, ffn=24, n_vocab=32_000)
    tied = marian_writer.write_folder(tmp_path / "tied" / "ende", bundled, tensors)
    table = tensors.pop("Wemb")
    tensors |= {"encoder_Wemb": table, "decoder_Wemb": table, "decoder_ff_logit_out_Wt": table}
    untied = marian_writer.write_folder(tmp_path / "untied" / "ende", bundled, tensors, separate=True)
    results = []
    for folder in (tied, untied):
        translator = BergamotTranslator(models=str(folder))
        assert translator.directions == [("en", "de")]
        results.append([t.text for t in translator.translate(TEXTS, source="en", target="de")])
    assert results[0] == results[1] and all(results[0])


@pytest.mark.parametrize(
    "key, value",
    [
        ("transformer-decoder-autoreg", "self-attention"),
        ("transformer-preprocess", "n"),
        ("transformer-ffn-activation", "swish"),
        ("enc-depth", 0),
        ("type", "s2s"),
    ],
)
def test_unsupported_architecture_is_named(bundled: ModelFolder, tmp_path: Path, key: str, value: object) -> None:
    tensors = marian_writer.random_tensors(dim=4, ffn=4, n_vocab=10)
    folder = marian_writer.write_folder(tmp_path / "ende", bundled, tensors, config={key: value})
    with pytest.raises(XltError, match=f"E212.*{key}: {value}"):
        BergamotTranslator(models=str(folder)).translate(["Hello."], source="en", target="de")


def test_vocabulary_of_another_size_is_refused(bundled: ModelFolder, tmp_path: Path) -> None:
    tensors = marian_writer.random_tensors(dim=4, ffn=4, n_vocab=10)
    folder = marian_writer.write_folder(tmp_path / "ende", bundled, tensors)
    with pytest.raises(XltError, match="E211.*10.*32000"):
        BergamotTranslator(models=str(folder)).translate(["Hello."], source="en", target="de")
