"""Translate-test as an assembled pipeline: the config that ships, with the real translator and small pipelines."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import spacy
from helpers.children import without
from helpers.cli import spacy_cli
from helpers.engines import DIAGONAL
from helpers.paths import CONFIGS
from helpers.tiny_pipelines import recogniser, saved_ruler
from spacy.cli._util import app
from spacy.language import Language
from typer.testing import CliRunner

from spacy_xlt.errors import XltError
from spacy_xlt.links import Alignment
from spacy_xlt.projection.component import ProjectorPipe
from spacy_xlt.projection.links.projector import LinkProjector
from spacy_xlt.protocols import Translation
from spacy_xlt.requirements import extras_of, merge_requirements

TEXTS = [
    "A Maria mora em Lisboa.",
    "",
    "O Pedro não conhece a Maria.",
    " \n ",
    "Está frio. O Pedro foi para Lisboa ontem.",
    "😀\u200b",
]
EXPECTED = [
    [("Maria", "PER"), ("Lisboa", "LOC")], [], [("Pedro", "PER"), ("Maria", "PER")],
    [], [("Pedro", "PER"), ("Lisboa", "LOC")], [],
]  # fmt: skip
# The translator translates first names, too
ENGLISH = {"Maria": "PER", "Mary": "PER", "Pedro": "PER", "Peter": "PER", "Lisbon": "LOC"}


def ents(doc):
    return [(ent.text, ent.label_) for ent in doc.ents]


@pytest.fixture(scope="module")
def assembled(tmp_path_factory) -> Path:
    """The pipeline of the config, from an annotating pipeline that is gone by now."""
    folder = tmp_path_factory.mktemp("assembled")
    annotator = saved_ruler(folder / "annotator", "en", ENGLISH)
    config = CONFIGS / "translate_test_pt_en.cfg"
    spacy_cli("assemble", config, folder / "pipeline", "--paths.annotator", annotator)
    shutil.rmtree(annotator)
    return folder / "pipeline"


@pytest.fixture(scope="module")
def ensemble(tmp_path_factory) -> Path:
    """The pipeline of the ensemble's config."""
    folder = tmp_path_factory.mktemp("ensemble")
    recogniser().to_disk(folder / "annotator")
    saved_ruler(folder / "pipeline", "pt", {"Maria": "PER", "Porto": "LOC"})
    paths = ["--paths.annotator", folder / "annotator", "--paths.pipeline", folder / "pipeline"]
    spacy_cli("assemble", CONFIGS / "ensemble_pt_en.cfg", folder / "ensemble", *paths)
    shutil.rmtree(folder / "annotator")
    shutil.rmtree(folder / "pipeline")
    return folder / "ensemble"


@pytest.fixture(scope="module")
def nlp(assembled) -> Language:
    """It, loaded."""
    return spacy.load(assembled)


def test_the_assembled_pipeline_annotates_the_text_itself(nlp):
    docs = list(nlp.pipe(TEXTS, batch_size=4))
    assert [doc.text for doc in docs] == TEXTS
    assert [ents(doc) for doc in docs] == EXPECTED
    assert [ents(nlp(text)) for text in TEXTS] == EXPECTED
    assert "Lisbon" in docs[0]._.xlt["en"].target.text


def test_other_processes_find_the_same(nlp):
    docs = list(nlp.pipe(iter(TEXTS), batch_size=2, n_process=2))
    assert [ents(doc) for doc in docs] == EXPECTED


def test_a_package_requires_what_the_pipelines_inside_need(assembled, ensemble, tmp_path):
    for name, path in (("one", assembled), ("two", ensemble)):
        spacy_cli("package", path, tmp_path, "--name", name, "--build", "none")
        meta = json.loads((tmp_path / f"pt_{name}-0.0.0" / "meta.json").read_text())
        own = [line for line in meta["requirements"] if line.startswith("spacy-xlt")]
        assert len(own) == 1 and own[0].startswith("spacy-xlt[bundled]")


def test_requirements_are_merged_by_package():
    lines = ["spacy-transformers>=1", "spacy_xlt>=0.1", "spacy-xlt[bundled]>=0.1", "spacy-transformers>=1"]
    assert merge_requirements(lines) == ["spacy-transformers>=1", "spacy_xlt[bundled]>=0.1"]


@pytest.mark.parametrize(
    ("settings", "extras"),
    [
        ({"@misc": "spacy_xlt.BergamotTranslator.v1", "models": None}, {"bundled"}),
        ({"@misc": "spacy_xlt.BergamotTranslator.v1", "models": "folder"}, {"bundled"}),  # sentencepiece
        ({"@misc": "spacy_xlt.EmbeddingAligner.v1", "model": "bundled:encoder"}, {"bundled"}),
        ({"@misc": "spacy_xlt.EmbeddingAligner.v1", "model": "xlm-roberta-base"}, set()),
        ({"a": [{"@misc": "spacy_xlt.StatisticalAligner.v1"}], "model": "bundled:x"}, {"bundled", "statistical"}),
    ],
)
def test_extras_of_engines(settings, extras):
    assert extras_of({"factory": "xlt_aligner", "engine": settings}) == extras


@pytest.mark.parametrize(
    ("paths", "message"),
    [
        ([], "E160.*xlt_annotator.*paths.annotator"),
        (["--paths.annotator", "no/such/folder"], "E104.*no/such/folder.*`pipeline`"),
    ],
)
def test_an_annotator_that_is_missing_is_named_when_assembling(paths, message, tmp_path):
    arguments = ["assemble", CONFIGS / "translate_test_pt_en.cfg", tmp_path / "pipeline", *paths]
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    with pytest.raises(XltError, match=message):
        raise result.exception
    assert not (tmp_path / "pipeline").exists()


def test_the_annotating_pipeline_is_in_the_bytes_too(tmp_path):
    recogniser().to_disk(tmp_path / "english")
    nlp = spacy.blank("pt")
    nlp.add_pipe("xlt_annotator", config={"pipeline": str(tmp_path / "english")})
    data, config = nlp.to_bytes(), nlp.config
    shutil.rmtree(tmp_path / "english")
    again = spacy.blank("pt").from_config(config).from_bytes(data)
    assert again.get_pipe("xlt_annotator").engine.nlp.pipe_names == ["ner"]
    assert again.get_pipe("xlt_annotator").found_labels == ("LOC", "PER")


def test_the_ensemble_keeps_what_is_probable_and_says_who_found_it(ensemble):
    nlp = spacy.load(ensemble)
    doc = nlp("A Maria mora no Porto e em Lisboa.")
    group = doc.spans["xlt_ensemble"]
    found = {span.text: who for span, who in zip(group, group.attrs["members"], strict=True)}
    assert ents(doc) == [(span.text, span.label_) for span in group]
    assert found["Maria"].keys() == {"translate_train", "translate_test"} and "translate_train" in found["Porto"]
    assert 0 < found["Maria"]["translate_test"] < 1 == found["Maria"]["translate_train"]
    assert all(0.4 <= score <= 1 for score in group.attrs["scores"])
    texts = ["A Maria mora no Porto e em Lisboa.", "", "O Porto é longe.", "😀"]
    together = [ents(doc) for doc in nlp.pipe(texts)]
    assert together == [ents(nlp(text)) for text in texts] and together[1] == []


class Failing:
    """Loses every sentence that names Pedro."""

    signature = "failing"

    def translate(self, texts, *, source, target):
        return [Translation("" if "Pedro" in text else text, flags=("seen",)) for text in texts]


def translate_test(engine, folder, **projector):
    nlp = spacy.blank("pt")
    nlp.add_pipe("xlt_translator", config={"target": "en", "quality": None})
    nlp.get_pipe("xlt_translator").engine = engine
    nlp.add_pipe("xlt_annotator", config={"pipeline": str(saved_ruler(folder, "en", {"Maria": "PER"}))})
    nlp.add_pipe("xlt_aligner", config={"engine": DIAGONAL})
    nlp.add_pipe("xlt_projector", config={"direction": "target_to_source", **projector})
    return nlp


def test_a_sentence_without_a_translation_is_missing_and_not_without_entities(tmp_path):
    nlp = translate_test(Failing(), tmp_path / "english")
    doc = nlp("A Maria chegou. O Pedro saiu. Choveu.")
    assert ents(doc) == [("Maria", "PER")]
    assert [token.ent_iob for token in doc] == [2, 3, 2, 2, 0, 0, 0, 0, 2, 2]
    assert [token.ent_iob for token in nlp("O Pedro saiu.")] == [0, 0, 0, 0]


def test_doubtful_translations_are_missing_where_the_config_says_so(tmp_path):
    doc = translate_test(Failing(), tmp_path / "english", missing_flags=["seen"])("A Maria chegou.")
    assert [token.ent_iob for token in doc] == [0, 3, 0, 0]
    with pytest.raises(XltError, match="E150.*missing_flags"):
        ProjectorPipe("p", LinkProjector(), missing_flags="seen")


def test_a_user_sees_which_spans_were_lost(tmp_path):
    class Unaligned:
        signature = "unaligned"

        def align(self, pairs, *, contexts=None):
            return [Alignment() for _ in pairs]

    class Other:
        signature = "other"

        def translate(self, texts, *, source, target):
            return [Translation("Mary is Maria") for _ in texts]

    nlp = translate_test(Other(), tmp_path / "english", on_lost="missing")
    nlp.get_pipe("xlt_aligner").engine = Unaligned()
    doc = nlp("Ela chegou.")
    bitext = doc._.xlt["en"]
    assert [(bitext.target[s.start : s.end].text, s.label, s.reason, s.side) for s in bitext.lost] == [
        ("Maria", "PER", "no_links", "target")
    ]
    assert [token.ent_iob for token in doc] == [0, 0, 0]


def test_candidates_are_carried_with_their_probabilities(tmp_path):
    class Same:
        signature = "same"

        def translate(self, texts, *, source, target):
            return [Translation(text) for text in texts]

    nlp = translate_test(Same(), tmp_path / "english", on_lost="drop")
    recogniser(updates=8).to_disk(tmp_path / "unsure")
    nlp.remove_pipe("xlt_annotator")
    config = {"pipeline": str(tmp_path / "unsure"), "beam_width": 8}
    nlp.add_pipe("xlt_annotator", config=config, after="xlt_translator")
    doc = nlp("Maria lives in Lisbon.")
    bitext = doc._.xlt["en"]
    group, source = doc.spans["xlt_candidates"], bitext.target.spans["xlt_candidates"]
    assert len(group) > len(doc.ents) and {s.text for s in doc.ents} <= {s.text for s in group}
    assert group.attrs["source_scores"] == [source.attrs["scores"][n] for n in group.attrs["sources"]]
    assert [span.text for span in group] == [source[n].text for n in group.attrs["sources"]]
    assert not bitext.lost and not bitext.flags
    json.dumps(doc.user_data["xlt"])


@pytest.mark.long
@pytest.mark.slow
def test_the_package_works_where_the_folders_are_gone(ensemble, tmp_path):
    spacy_cli("package", ensemble, tmp_path, "--name", "both", "--build", "wheel")
    (wheel,) = tmp_path.rglob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "site")
    shutil.rmtree(tmp_path / "pt_both-0.0.0")
    code = (
        f"import json, sys; sys.path.insert(0, {str(tmp_path / 'site')!r}); import spacy;"
        "print(json.dumps([e.text for e in spacy.load('pt_both')('A Maria foi ao Porto.').ents]))"
    )
    env = {**os.environ, **without("spacy_transformers"), "OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, env=env)
    assert json.loads(done.stdout.splitlines()[-1]) == ["Maria", "Porto"]
