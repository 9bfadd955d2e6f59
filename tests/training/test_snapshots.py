"""Snapshots: whole pipelines while another is trained, never half of one, and the training is the same with them."""

from __future__ import annotations

import errno
import io
import os
import warnings
from pathlib import Path

import numpy as np
import pytest
import spacy
from helpers.paths import CONFIGS
from hypothesis import given
from hypothesis import strategies as st
from spacy.language import Language
from spacy.tokens import Doc, DocBin, Span
from spacy.training.initialize import init_nlp
from spacy.training.loop import train

from spacy_xlt.config import merge_configs
from spacy_xlt.errors import XltError, XltWarning
from spacy_xlt.training.average import average_pipelines, find_members, read_weights
from spacy_xlt.training.snapshots import Snapshots, due_steps, snapshot_folders

SENTENCES = [
    ("Maria Silva mora em Lisboa .", [(0, 2, "PER"), (4, 5, "LOC")]),
    ("O Banco Central fica no Porto .", [(1, 3, "ORG"), (5, 6, "LOC")]),
    ("Nada acontece aqui .", []),
]


@pytest.fixture(scope="module")
def corpus(tmp_path_factory) -> Path:
    docs = []
    for text, ents in SENTENCES:
        doc = Doc(spacy.blank("pt").vocab, words=text.split())
        doc.set_ents([Span(doc, *ent) for ent in ents], default="outside")
        docs.append(doc)
    path = tmp_path_factory.mktemp("corpus") / "corpus.spacy"
    DocBin(docs=docs).to_disk(path)
    return path


def initialized(corpus: Path, snapshots: Path | None, *parts: str, **overrides) -> Language:
    """The tok2vec config in small, ready to be trained for 8 updates."""
    settings = {
        "paths.projected": str(corpus),
        "paths.dev": str(corpus),
        "corpora.train.use": ["projected"],
        "training.max_steps": 8,
        "training.eval_frequency": 4,
        "training.batcher.size": 12,
        "components.tok2vec.model.embed.width": 16,
        "components.tok2vec.model.embed.rows": [50, 50, 50, 50],
        **{name.replace("__", "."): value for name, value in overrides.items()},
    }
    names = [*parts, *(["snapshots"] if snapshots else [])]
    if snapshots:
        settings["paths.snapshots"] = str(snapshots)
    paths = [
        CONFIGS / "train.cfg",
        CONFIGS / "ner.cfg",
        CONFIGS / "tok2vec.cfg",
        *(CONFIGS / "parts" / f"{name}.cfg" for name in names),
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        return init_nlp(merge_configs(paths, settings))


def run(nlp: Language, output: Path | None = None) -> Language:
    if output:
        output.mkdir()
    return train(nlp, output, stdout=io.StringIO(), stderr=io.StringIO())[0]


def weights_of(nlp: Language) -> dict[str, np.ndarray]:
    return {name: values.copy() for name, values in read_weights(nlp)}


def same(first: dict[str, np.ndarray], second: dict[str, np.ndarray]) -> bool:
    return set(first) == set(second) and all(np.array_equal(first[name], second[name]) for name in first)


def steps(folder: Path) -> list[int]:
    return [int(path.name.removeprefix("step-")) for path in snapshot_folders(folder)]


def test_snapshots_are_pipelines_and_the_training_is_the_same_with_them(corpus, tmp_path):
    folder = tmp_path / "snapshots"
    trained = run(initialized(corpus, folder), tmp_path / "trained")
    assert steps(folder) == [4, 5, 6, 7, 8]
    assert same(weights_of(trained), weights_of(run(initialized(corpus, None))))
    last = spacy.load(folder / "step-000008")
    assert last.meta["snapshot"] == {"updates": 8} and last.meta["performance"] == {}
    assert "snapshot" not in spacy.load(tmp_path / "trained/model-last").meta
    first = weights_of(spacy.load(folder / "step-000004"))
    assert not same(first, weights_of(last)) and not same(weights_of(last), weights_of(trained))
    assert sorted(os.listdir(folder)) == ["snapshots.json", *(f"step-00000{i}" for i in range(4, 9))]
    _, average = average_pipelines(find_members([folder])[-2:])
    assert [member.name for member in average.members] == ["step-000007", "step-000008"]


def killed_while_writing(nlp: Language, *, at: int) -> int:
    """Train in another process that ends, with nothing tidied up, in the middle of the snapshot number `at`."""
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    tok2vec = nlp.get_pipe("tok2vec")
    to_disk, written = tok2vec.to_disk, []

    def die(path: Path, **options) -> None:
        written.append(path)
        if len(written) == at:
            os._exit(9)
        to_disk(path, **options)

    tok2vec.to_disk = die
    try:
        run(nlp)
    finally:
        os._exit(1)


def test_a_kill_leaves_whole_snapshots_and_the_training_can_begin_anew(corpus, tmp_path):
    folder = tmp_path / "snapshots"
    assert killed_while_writing(initialized(corpus, folder), at=3) == 9
    assert steps(folder) == [4, 5]
    (part,) = folder.glob(".step-000006.*.part")
    assert (part / "config.cfg").exists() and not (part / "tok2vec").exists()
    # What is there can be averaged
    assert find_members([folder]) == snapshot_folders(folder)
    average_pipelines(find_members([folder]))
    run(initialized(corpus, folder))
    assert steps(folder) == [4, 5, 6, 7, 8] and not part.exists()


def test_a_full_disk_is_said_and_costs_no_training(corpus, tmp_path, monkeypatch):
    to_disk = Language.to_disk

    def full(self: Language, path: Path, **options) -> None:
        to_disk(self, path, **options)
        if "step-000006" in str(path) or "step-000007" in str(path):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))

    monkeypatch.setattr(Language, "to_disk", full)
    folder = tmp_path / "snapshots"
    with pytest.warns(XltWarning, match="W630.*step-000006: No space left on device.*training goes on"):
        run(initialized(corpus, folder), tmp_path / "trained")
    assert steps(folder) == [4, 5, 8] and not list(folder.glob(".*"))
    assert spacy.load(tmp_path / "trained/model-last").pipe_names == ["tok2vec", "ner"]


def refused(nlp: Language) -> XltError:
    """What is said at the first update; nothing has been trained by then."""
    before = weights_of(nlp)
    with pytest.raises(XltError) as caught:
        run(nlp)
    assert same(weights_of(nlp), before)
    return caught.value


def test_the_snapshots_of_another_training_are_not_touched(corpus, tmp_path):
    folder = tmp_path / "snapshots"
    run(initialized(corpus, folder))
    first = weights_of(spacy.load(folder / "step-000008"))
    err = refused(initialized(corpus, folder, system__seed=1))
    assert err.code == "E641" and "system.seed was 0 and is 1" in err.message
    assert steps(folder) == [4, 5, 6, 7, 8] and same(weights_of(spacy.load(folder / "step-000008")), first)


def test_a_folder_of_something_else_is_not_touched(corpus, tmp_path):
    (tmp_path / "mine").write_text("mine")
    assert "holds no snapshots" in refused(initialized(corpus, tmp_path)).message
    assert (tmp_path / "mine").read_text() == "mine"
    (tmp_path / "photos").mkdir()
    for notes in ('{"config": {"camera": 1}}', "[]", "mine", '{"config": "mine"}'):
        (tmp_path / "photos/snapshots.json").write_text(notes)
        assert refused(initialized(corpus, tmp_path / "photos")).code == "E641"
        assert (tmp_path / "photos/snapshots.json").read_text() == notes
    # a file in the place of a folder
    assert refused(initialized(corpus, tmp_path / "mine" / "snapshots")).code == "E501"


def test_what_is_no_snapshot_stays_in_the_folder(corpus, tmp_path):
    folder = tmp_path / "snapshots"
    run(initialized(corpus, folder))
    others = [".step-notes", "step-mine", "step-1", ".step-000004.7.part"]
    for name in others:
        (folder / name).mkdir()
    run(initialized(corpus, folder))
    assert steps(folder) == [4, 5, 6, 7, 8] and all((folder / name).is_dir() for name in others)


@given(max_steps=st.integers(1, 3000), start=st.floats(0, 0.99), keep=st.integers(1, 12))
def test_spread_snapshots_end_with_the_training_and_are_never_more_than_are_kept(max_steps, start, keep):
    due = sorted(due_steps(max_steps, start=start, keep=keep))
    assert due[-1] == max_steps and 1 <= len(due) <= keep
    if keep > 1:
        assert due[0] == (round(start * max_steps) or -(-max_steps // keep))
    gaps = np.diff(due)
    assert not len(gaps) or gaps.max() - gaps.min() <= 1


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"keep": 0}, "keep"),
        ({"start": 1.0}, "start"),
        ({"path": None}, "--paths.snapshots"),
    ],
)
def test_an_invalid_setting_is_named(settings, said):
    with pytest.raises(XltError, match="E150") as caught:
        Snapshots(**{"path": "snapshots", **settings})
    assert said in caught.value.message


def test_a_training_without_an_end_is_refused():
    with pytest.raises(XltError, match="E150.*max_steps"):
        due_steps(0, start=0.5, keep=5)


def test_runs_with_the_same_head_differ_in_the_rest_alone(corpus):
    first, second = (initialized(corpus, None, "same_head", system__seed=seed) for seed in (1, 2))
    assert same(weights_of(first), weights_of(second))
    assert first.get_pipe("ner").move_names == second.get_pipe("ner").move_names
    assert not same(weights_of(run(first)), weights_of(run(second)))
    apart = [initialized(corpus, None, system__seed=seed) for seed in (1, 2)]
    assert not same(*map(weights_of, apart))


def test_snapshots_go_through_what_the_training_does_before_it_saves(corpus, tmp_path):
    @spacy.registry.callbacks("test.renamed.v1")
    def create():
        def rename(nlp: Language) -> Language:
            nlp.meta["name"] = "saved"
            return nlp

        return rename

    block = {"@callbacks": "test.renamed.v1"}
    run(initialized(corpus, tmp_path / "snapshots", training__before_to_disk=block, training__max_steps=2))
    (first, *_) = snapshot_folders(tmp_path / "snapshots")
    assert spacy.load(first).meta["name"] == "saved"
