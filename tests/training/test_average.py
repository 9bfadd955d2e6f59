"""The average of pipelines: the mean of all weights, only of pipelines that are made alike."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import spacy
from helpers.tiny_encoder import make_tiny_encoder
from spacy.cli.evaluate import evaluate
from spacy.cli.package import package
from spacy.language import Language
from spacy.tokens import Doc, DocBin, Span, SpanGroup
from spacy.training import Example
from thinc.api import fix_random_seed
from typer.testing import CliRunner

from spacy_xlt.cli import app
from spacy_xlt.errors import XltError, XltWarning
from spacy_xlt.training.average import (
    average_pipelines,
    check_weights,
    find_members,
    read_weights,
    write_average,
    write_weights,
)

TEXT = "Maria Silva mora em Lisboa e trabalha no Banco Central ."
ENTS = [(0, 2, "PER"), (4, 5, "LOC"), (8, 10, "ORG")]


def examples(nlp: Language, labels: dict[str, str] | None = None) -> list[Example]:
    doc = Doc(nlp.vocab, words=TEXT.split())
    doc.set_ents([Span(doc, start, end, (labels or {}).get(label, label)) for start, end, label in ENTS])
    doc.spans["sc"] = SpanGroup(doc, name="sc", spans=[*doc.ents, doc[3:5], Span(doc, 0, 5, "LOC")][:3])
    return [Example(nlp.make_doc(doc.text), doc)]


def make(folder: Path, *, seed: int = 0, steps: int = 2, then: int = 0, kind: str = "tok2vec", **options) -> Path:
    """A small trained pipeline: head from `seed`, then the dropout of `then`."""
    nlp = spacy.blank(options.get("lang", "pt"))
    fix_random_seed(seed)
    if kind == "tok2vec":
        size = {"width": options.get("width", 16), "depth": 1, "embed_size": 50}
        nlp.add_pipe("tok2vec", config={"model": size})
        listener = {"@architectures": "spacy.Tok2VecListener.v1", "width": options.get("width", 16)}
    else:
        nlp.add_pipe("transformer", config={"model": {"name": str(options["encoder"])}})
        pooling = {"@layers": "reduce_mean.v1"}
        listener = {
            "@architectures": "spacy-transformers.TransformerListener.v1",
            "grad_factor": 1.0,
            "pooling": pooling,
        }
    head = options.get("head", "ner")
    nlp.add_pipe(head, config={"model": {"tok2vec": listener}})
    data = examples(nlp, options.get("labels"))
    nlp.initialize(lambda: data)
    fix_random_seed(then)
    optimizer = nlp.resume_training()
    for _ in range(steps):
        nlp.update(data, sgd=optimizer, drop=0.3)
    nlp.meta["performance"] = {"ents_f": 0.99}
    nlp.to_disk(folder)
    return folder


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> list[Path]:
    """Three runs from the same beginning, and one from another."""
    folder = tmp_path_factory.mktemp("runs")
    same = [make(folder / f"run-{i}", then=i, steps=2 + i) for i in range(3)]
    return [*same, make(folder / "apart", seed=7)]


@pytest.fixture(scope="module")
def encoder(tmp_path_factory) -> Path:
    return make_tiny_encoder(tmp_path_factory.mktemp("encoder"))


def weights_of(folder: Path) -> dict[str, np.ndarray]:
    return {name: values.copy() for name, values in read_weights(spacy.load(folder))}


@pytest.mark.parametrize("weights", [None, [30, 0, 45.5]])
def test_the_mean_of_every_weight_is_taken(runs, weights):
    nlp, average = average_pipelines(runs[:3], weights=weights)
    assert sum(average.weights) == pytest.approx(1)
    members = [weights_of(run) for run in runs[:3]]
    found = dict(read_weights(nlp))
    assert set(found) == set(members[0]) and average.n_changed > 0
    for name, values in found.items():
        expected = np.average([member[name].astype(np.float64) for member in members], axis=0, weights=weights)
        np.testing.assert_allclose(values, expected, rtol=1e-6, atol=1e-9)
    assert any("ner" in name for name in found) and any("tok2vec" in name for name in found)


def test_the_average_of_copies_is_the_same_to_the_last_bit(runs, tmp_path):
    spacy.load(runs[0]).to_disk(tmp_path / "copy")
    nlp, average = average_pipelines([runs[0], tmp_path / "copy"])
    expected = weights_of(runs[0])
    assert average.n_changed == 0
    assert all(np.array_equal(values, expected[name]) for name, values in read_weights(nlp))


@pytest.mark.parametrize("head", ["ner", "spancat"])
def test_transformers_are_averaged_with_their_head(encoder, tmp_path, head):
    folders = [make(tmp_path / str(i), kind="trf", head=head, encoder=encoder, then=i, steps=1 + i) for i in range(2)]
    nlp, _ = average_pipelines(folders)
    write_average(nlp, tmp_path / "average")
    found, first, second = map(weights_of, (tmp_path / "average", *folders))
    name = "transformer: encoder.layer.0.attention.self.query.weight"
    assert not np.array_equal(first[name], second[name])
    for name, values in found.items():
        np.testing.assert_allclose(values, (first[name].astype(np.float64) + second[name]) / 2, rtol=1e-6, atol=1e-9)
    doc = spacy.load(tmp_path / "average")(TEXT)
    expected = nlp(TEXT)
    assert [(e.start, e.end, e.label_) for e in doc.ents] == [(e.start, e.end, e.label_) for e in expected.ents]


def test_evaluate_and_package_take_the_average(runs, tmp_path):
    nlp, _ = average_pipelines(runs[:2])
    write_average(nlp, tmp_path / "average")
    docs = DocBin(docs=[example.reference for example in examples(nlp)])
    docs.to_disk(tmp_path / "dev.spacy")
    assert "ents_f" in evaluate(str(tmp_path / "average"), tmp_path / "dev.spacy", silent=True)
    (tmp_path / "packages").mkdir()
    package(tmp_path / "average", tmp_path / "packages", create_sdist=False, name="averaged", silent=True)
    meta = json.loads((tmp_path / "packages/pt_averaged-0.0.0/meta.json").read_text(encoding="utf8"))
    assert meta["average"]["members"] == [{"name": "run-0", "weight": 0.5}, {"name": "run-1", "weight": 0.5}]
    # those were the members' scores
    assert meta["performance"] == {} and "2 pipelines" in meta["description"]


def refuse(code: str, *members: Path, **options) -> str:
    with pytest.raises(XltError) as caught:
        average_pipelines(members, **options)
    assert caught.value.code == code
    return caught.value.message


def test_other_labels_are_refused_by_name(runs, tmp_path):
    other = make(tmp_path / "other", labels={"ORG": "MISC"})
    said = refuse("E643", runs[0], other)
    assert "labels of ner: " in said and "B-MISC" in said and "B-ORG" in said and "head_seed" in said


def test_another_language_pipeline_or_width_is_refused(runs, tmp_path):
    assert "[nlp] lang: es and not pt" in refuse("E643", runs[0], make(tmp_path / "es", lang="es"))
    assert "[nlp] pipeline: tok2vec, spancat and not tok2vec, ner" in refuse(
        "E643", runs[0], make(tmp_path / "spancat", head="spancat")
    )
    assert "float32 (50, 24) and not float32 (50, 16)" in refuse("E643", runs[0], make(tmp_path / "wide", width=24))


def test_another_vocabulary_of_the_encoder_is_refused(encoder, tmp_path):
    other = make_tiny_encoder(tmp_path / "other", mask=True)
    folders = [make(tmp_path / name, kind="trf", encoder=path) for name, path in (("a", encoder), ("b", other))]
    assert "word pieces of the encoder in transformer: " in refuse("E643", *folders)


def test_weights_that_are_no_numbers_are_refused(runs, tmp_path):
    nlp = spacy.load(runs[1])
    name, values = next((name, values.copy()) for name, values in read_weights(nlp) if name.startswith("ner"))
    values.flat[0] = np.nan
    write_weights(nlp, [(name, values)])
    nlp.to_disk(tmp_path / "broken")
    assert name in refuse("E644", runs[0], tmp_path / "broken")


def test_pipelines_without_weights_are_refused(tmp_path):
    for name in ("a", "b"):
        spacy.blank("pt").to_disk(tmp_path / name)
    assert "no weights" in refuse("E640", tmp_path / "a", tmp_path / "b")


def test_heads_that_started_apart_are_said(runs):
    with pytest.warns(XltWarning, match="W632.*(ner|tok2vec) of .*apart.* cosine") as said:
        average_pipelines([runs[0], runs[3]])
    assert len(said) == 2


def test_a_broken_pipeline_is_no_traceback(runs, tmp_path):
    spacy.load(runs[0]).to_disk(tmp_path / "broken")
    model = tmp_path / "broken" / "ner" / "model"
    model.write_bytes(model.read_bytes()[:100])
    assert "cannot be loaded" in refuse("E640", runs[0], tmp_path / "broken")


@pytest.mark.parametrize("weights", [[1], [1, -1], [0, 0], [float("nan"), 1], [float("inf"), 1]])
def test_weights_that_cannot_be_are_refused(weights):
    with pytest.raises(XltError, match="--weights"):
        check_weights(weights, 2)


def test_the_average_of_one_pipeline_is_that_pipeline_and_says_so(runs):
    with pytest.warns(XltWarning, match="W633"):
        nlp, average = average_pipelines(find_members(runs[:1]))
    alone = dict(read_weights(spacy.load(runs[0])))
    assert all((values == alone[name]).all() for name, values in read_weights(nlp)) and average.n_changed == 0


def test_members_are_found_or_refused_by_name(runs, tmp_path):
    assert find_members(runs[:2]) == runs[:2]
    for paths, said in (
        ([runs[0], runs[0]], "each pipeline once"),
        ([runs[0], tmp_path / "none"], "it is not there"),
        ([runs[0], runs[0].parent], "Give the pipelines in it by name: apart, run-0, run-1, run-2"),
    ):
        with pytest.raises(XltError) as caught:
            find_members(paths)
        assert said in caught.value.message


def xlt(*arguments: str | Path) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["average", *map(str, arguments)])
    return result.exit_code, " ".join(result.output.split())


def test_the_command_writes_and_does_not_write_over(runs, tmp_path):
    code, said = xlt(tmp_path / "out", *runs[:2], "--weights", "3,1")
    assert code == 0 and "Average of 2 pipelines" in said and "0.750" in said
    assert (
        json.loads((tmp_path / "out/meta.json").read_text(encoding="utf8"))["average"]["members"][0]["weight"] == 0.75
    )
    before = (tmp_path / "out/ner/model").read_bytes()
    code, said = xlt(tmp_path / "out", *runs[:2])
    assert code == 1 and "holds a pipeline already" in said and (tmp_path / "out/ner/model").read_bytes() == before
    assert xlt(tmp_path / "out", *runs[:2], "--force")[0] == 0
    assert (tmp_path / "out/ner/model").read_bytes() != before
    assert xlt(runs[0], *runs[:2], "--force")[0] == 1
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/file").write_text("mine")
    assert xlt(tmp_path / "mine", *runs[:2], "--force")[0] == 1 and (tmp_path / "mine/file").exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine", "out"]
