"""`spacy xlt shards split`: a text is on one side, whatever its shard, its language and its copies."""

from __future__ import annotations

import json

import pytest
import spacy
from helpers.shards_build import COPY, N_DOCS, ONLY_PT, files_of, make_docs
from spacy.cli._util import app
from spacy.training import Corpus
from typer.testing import CliRunner

import spacy_xlt.cli  # noqa: F401
from spacy_xlt.build.shards.records import Records
from spacy_xlt.build.shards.splitting import Splitter
from spacy_xlt.errors import XltError, XltWarning
from spacy_xlt.readers.docbin import corpus_files, read_docs


def split(folder, output, **settings):
    """Texts without the language, by side and language."""
    splitter = Splitter(Records(folder), **{"dev": 0.4, **settings})
    splitter.write(output, overwrite=True)
    found = {}
    for side in ("train", "dev"):
        for file in corpus_files(output / side):
            lang = file.name.split("-")[0]
            found.setdefault((side, lang), []).extend(doc.text.replace(f"-{lang}", "") for doc in read_docs(file))
    return found


def test_every_document_is_on_one_side_and_empty_ones_on_none(build_shards, tmp_path):
    found = split(build_shards(4), tmp_path / "out")
    for lang, n in (("pt", N_DOCS - 1), ("es", N_DOCS - 2)):
        train, dev = found["train", lang], found["dev", lang]
        assert train and dev and len(train) + len(dev) == n
        assert not set(train) & set(dev)
        assert "" not in train + dev


def test_all_languages_and_copies_of_a_text_are_on_the_same_side(build_shards, tmp_path):
    docs = make_docs()
    assert docs[COPY].text == docs[0].text
    for seed in range(6):
        found = split(build_shards(4), tmp_path / "out", seed=seed)
        for side in ("train", "dev"):
            only_pt = docs[ONLY_PT].text
            assert [text for text in found.get((side, "pt"), []) if text != only_pt] == found.get((side, "es"), [])
            assert found.get((side, "pt"), []).count(docs[0].text) in (0, 2)


@pytest.mark.parametrize("size", [1, 5, 100])
def test_the_sides_do_not_depend_on_the_size_of_shards(build_shards, tmp_path, size):
    assert split(build_shards(size), tmp_path / "a") == split(build_shards(4), tmp_path / "b")


def test_one_language_has_the_sides_of_all(build_shards, tmp_path):
    both, one = split(build_shards(4), tmp_path / "a"), split(build_shards(4), tmp_path / "b", lang="es")
    assert one == {key: texts for key, texts in both.items() if key[1] == "es"}


def test_another_seed_splits_otherwise_and_a_larger_share_takes_more(build_shards, tmp_path):
    splits = [split(build_shards(4), tmp_path / "out", seed=seed)["train", "pt"] for seed in range(4)]
    assert any(other != splits[0] for other in splits[1:])
    small, large = (split(build_shards(4), tmp_path / "out", dev=dev)["dev", "pt"] for dev in (0.4, 0.8))
    assert set(small) < set(large)


def test_the_share_is_kept_over_many_texts(built_shards):
    splitter = Splitter(Records(built_shards), dev=0.1, seed=3)
    n = sum(splitter.side_of(f"{i:016x}") == "dev" for i in range(20_000))
    # Standard deviation 42
    assert abs(n - 2000) < 210


def test_spacy_train_reads_both_sides_with_their_annotation(build_shards, tmp_path):
    split(build_shards(4), tmp_path / "out", lang="pt")
    docs = {doc.text: doc for doc in read_docs(build_shards(4) / "target")}
    for side in ("train", "dev"):
        for example in Corpus(tmp_path / "out" / side)(spacy.blank("pt")):
            reference = example.reference
            assert reference.to_json() == docs[reference.text].to_json()


def test_what_was_split_is_said(build_shards, tmp_path):
    arguments = ["xlt", "shards", "split", str(build_shards(4)), str(tmp_path / "out"), "--dev", "0.4"]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    said = json.loads((tmp_path / "out" / "split.json").read_text(encoding="utf8"))
    assert said["train"]["sources"] + said["dev"]["sources"] == N_DOCS - 1 and said["left_out_empty"] == 2
    for side in ("train", "dev"):
        docs = list(read_docs(tmp_path / "out" / side))
        assert sum(said[side]["docs"].values()) == len(docs)
        assert sum(said[side]["tokens"].values()) == sum(map(len, docs))
        assert sum(said[side]["entities"].values()) == sum(len(doc.ents) for doc in docs)
        assert f"pt {said[side]['docs']['pt']}" in result.output


def test_a_split_is_replaced_when_asked_and_nothing_else_ever(built_shards, tmp_path):
    out, mine = tmp_path / "out", tmp_path / "mine"
    arguments = ["xlt", "shards", "split", str(built_shards)]
    assert CliRunner().invoke(app, [*arguments, str(out)]).exit_code == 0
    before = files_of(out)
    result = CliRunner().invoke(app, [*arguments, str(out), "--seed", "5"])
    assert result.exit_code == 1 and "XLT-E554" in result.output and files_of(out) == before
    result = CliRunner().invoke(app, [*arguments, str(out), "--seed", "5", "--overwrite"])
    assert result.exit_code == 0 and files_of(out) != before
    mine.mkdir()
    (mine / "thesis.txt").write_text("years of work")
    for other in (mine, built_shards, built_shards / "target", tmp_path, mine / "thesis.txt"):
        result = CliRunner().invoke(app, [*arguments, str(other), "--overwrite"])
        assert result.exit_code == 1 and "XLT-E553" in result.output
    assert (mine / "thesis.txt").exists() and (built_shards / "target").is_dir()


def test_a_split_that_is_interrupted_leaves_what_was_there(built_shards, tmp_path):
    def interrupt(n_shards):
        raise KeyboardInterrupt

    split(built_shards, tmp_path / "out")
    before = files_of(tmp_path)
    with pytest.raises(KeyboardInterrupt):
        Splitter(Records(built_shards), seed=9).write(tmp_path / "out", overwrite=True, progress=interrupt)
    assert files_of(tmp_path) == before


def test_targets_that_do_not_fit_the_sources_are_named(built_shards, tmp_path, monkeypatch):
    record = next(iter(Records(built_shards)))
    # As a faulty program might write: another shard's file, with its checksum
    other = built_shards / "target" / "pt-00003.spacy"
    (built_shards / "target" / "pt-00000.spacy").write_bytes(other.read_bytes())
    manifest = built_shards / "manifest.jsonl"
    digests = {r.shard: r.files[r.target("pt")] for r in Records(built_shards)}
    manifest.write_text(manifest.read_text().replace(digests["00000"], digests["00003"]))
    with pytest.raises(XltError, match="E550.*shard 00000.*it has 2 documents, and 4"):
        split(built_shards, tmp_path / "out")
    assert record.shard == "00000" and not (tmp_path / "out").exists()


def test_a_side_without_documents_is_warned_of_and_settings_that_cannot_be_are_refused(built_shards, tmp_path):
    with pytest.warns(XltWarning, match="W550.*dev has no documents"):
        Splitter(Records(built_shards), dev=1e-9).write(tmp_path / "out")
    assert (tmp_path / "out" / "dev").is_dir()
    for dev in (0.0, 1.0, -1.0, float("nan")):
        with pytest.raises(XltError, match="E510.*--dev"):
            Splitter(Records(built_shards), dev=dev)
    with pytest.raises(XltError, match="E552"):
        split(built_shards, tmp_path / "none", lang="de")
    assert not (tmp_path / "none").exists()
