"""`spacy xlt shards`: listing, sampling, splitting and exporting a build."""

from __future__ import annotations

import json

import pytest
import spacy
from helpers.shards_build import (
    COPY,
    CUT,
    DOCS_PER_SHARD,
    EMPTY,
    GROUPED,
    N_DOCS,
    ONLY_PT,
    PARTLY,
    UNKNOWN,
    files_of,
    make_docs,
)
from spacy.cli._util import app
from spacy.tokens import Doc, DocBin
from spacy.training import Corpus
from typer.testing import CliRunner

import spacy_xlt.cli  # noqa: F401
from spacy_xlt.build import exports
from spacy_xlt.build import shards as shards_module
from spacy_xlt.build.builder import build
from spacy_xlt.build.built import BuiltShard, BuiltShards
from spacy_xlt.build.manifest import FILE_NAME
from spacy_xlt.build.shards import side_of
from spacy_xlt.errors import XltError, XltWarning
from spacy_xlt.readers import read_corpus
from spacy_xlt.readers.docbin import corpus_files, read_docs
from spacy_xlt.span_links import End, Link, SpanLinks


def run(*arguments):
    return CliRunner().invoke(app, ["xlt", "shards", *map(str, arguments)])


def sample(folder, path, **settings):
    shards_module.sample(BuiltShards(folder), path, overwrite=True, **settings)
    return [doc.text for doc in read_docs(path)]


def split(folder, output, **settings):
    """Texts without the language, by side and language."""
    shards_module.split(BuiltShards(folder), output, overwrite=True, **{"dev": 0.4, **settings})
    texts = {}
    for side in ("train", "dev"):
        for file in corpus_files(output / side):
            lang = file.name.split("-")[0]
            texts.setdefault((side, lang), []).extend(doc.text.replace(f"-{lang}", "") for doc in read_docs(file))
    return texts


def export(folder, path, **settings):
    n_rows = exports.export(BuiltShards(folder), path, overwrite=True, **settings)
    rows = [json.loads(line) for line in path.read_text(encoding="utf8").splitlines()]
    assert len(rows) == n_rows
    return rows


def in_pt(rows):
    """Rows by the number of their document in the input."""
    return {int(row["shard"]) * DOCS_PER_SHARD + row["doc"]: row for row in rows if row["lang"] == "pt"}


def test_list_has_a_line_a_shard_and_the_totals_in_80_columns(built_shards):
    result = run("list", built_shards)
    assert result.exit_code == 0, result.output
    header, *lines, rule, total = result.output.splitlines()
    assert [line.split()[:2] for line in lines] == [["00000", "4"], ["00001", "4"], ["00002", "4"], ["00003", "2"]]
    assert max(map(len, result.output.splitlines())) == 80
    assert total.split()[:2] == ["total", str(N_DOCS)] and "no_links 4" in total


def test_list_as_json_says_what_the_build_counted(built_shards):
    *shards, last = map(json.loads, run("list", built_shards, "--json").output.splitlines())
    first, total = shards[0], last["total"]
    assert first["lost_reasons"] == {"no_links": 4} and first["spans_in"] == {"LOC": 3, "PER": 2}
    assert first["files"]["bitext/00000.spacy"] == (built_shards / "bitext" / "00000.spacy").stat().st_size
    assert total["docs"] == sum(one["docs"] for one in shards) == N_DOCS
    assert total["bytes"] == sum(size for one in shards for size in one["files"].values())
    assert (total["shards"], total["shards_expected"], total["finished"]) == (4, 4, True)


def test_list_has_links_only_where_there_are_any(built_shards, tmp_path):
    assert "  links" not in run("list", built_shards).output
    assert "links_in" not in run("list", built_shards, "--json").output
    docs = make_docs()[: CUT + 1]
    for doc in docs:
        doc._.xlt_links = SpanLinks([Link(End("ents", 0), End("ents", 1), "in")])
    DocBin(docs=docs, store_user_data=True).to_disk(tmp_path / "linked.spacy")
    nlp = spacy.blank("en")
    nlp.add_pipe("xlt_projector")
    build(nlp, tmp_path / "linked.spacy", tmp_path / "linked")
    _, line, links, _, total, of_total = run("list", tmp_path / "linked").output.splitlines()
    n_docs, n_lost = len(docs), 2  # in both languages
    assert line.split()[:2] == ["00000", str(n_docs)] and total.split()[0] == "total"
    assert links == of_total and links.split() == ["links", str(n_docs), str(2 * n_docs - n_lost), "2", "no_links", "2"]
    *_, last = map(json.loads, run("list", tmp_path / "linked", "--json").output.splitlines())
    assert last["total"]["lost_link_reasons"] == {"no_links": 2} and last["total"]["links_in"] == {"in": n_docs}


def test_list_names_missing_files_and_what_is_not_finished(built_shards):
    (built_shards / "target" / "pt-00001.spacy").unlink()
    result = run("list", built_shards, "--files")
    assert "missing  target/pt-00001.spacy" in result.output and "1 files are missing" in result.output
    assert f"{(built_shards / 'lost' / '00000.jsonl').stat().st_size} B  lost/00000.jsonl" in result.output
    lines = (built_shards / FILE_NAME).read_bytes().splitlines(keepends=True)
    (built_shards / FILE_NAME).write_bytes(b"".join(lines[:3]) + lines[3][:50])
    result = run("list", built_shards)
    assert result.exit_code == 0 and "2 of 4 shards are finished" in result.output
    result = run("list", "no/such/build")
    assert result.exit_code == 1 and "XLT-E502" in result.output


def test_sample_is_in_the_order_of_the_build_and_depends_on_the_seed_alone(built_shards, tmp_path):
    everything = [doc.text for doc in read_docs(built_shards / "target") if "-pt" in doc.text]
    samples = [sample(built_shards, tmp_path / "out.spacy", n=5, seed=seed, lang="pt") for seed in (0, 0, 1)]
    assert samples[0] == samples[1] != samples[2]
    for texts in samples:
        assert len(texts) == 5
        # A text that is there twice has no place of its own
        unique = [text for text in texts if everything.count(text) == 1]
        assert unique == sorted(unique, key=everything.index)
    small, large = (sample(built_shards, tmp_path / "out.spacy", n=n, lang="pt") for n in (3, 9))
    assert set(small) < set(large)


def test_sampled_documents_keep_their_annotation_and_empty_ones_are_not_drawn(built_shards, tmp_path):
    counts = shards_module.sample(BuiltShards(built_shards), tmp_path / "out.spacy", n=100, lang="pt")
    drawn = list(read_docs(tmp_path / "out.spacy"))
    assert counts == (N_DOCS - 1, N_DOCS - 1) and len(drawn) == N_DOCS - 1
    original = [doc for doc in read_docs(built_shards / "target") if "-pt" in doc.text]
    assert [doc.to_json() for doc in drawn] == [doc.to_json() for doc in original]
    assert drawn[0].spans["xlt_ents"].attrs == original[0].spans["xlt_ents"].attrs


def test_sampled_bitexts_come_with_all_languages_or_with_one(built_shards, tmp_path):
    sample(built_shards, tmp_path / "out.spacy", n=100, what="bitext")
    drawn = list(read_docs(tmp_path / "out.spacy"))
    assert [list(doc._.xlt) for doc in drawn] == [["pt"] if i == ONLY_PT else ["pt", "es"] for i in range(N_DOCS)]
    assert [span.reason for span in drawn[EMPTY]._.xlt["es"].lost] == ["no_links"]
    sample(built_shards, tmp_path / "out.spacy", n=100, what="bitext", lang="es")
    assert [list(doc._.xlt) for doc in read_docs(tmp_path / "out.spacy")] == [["es"]] * (N_DOCS - 1)


@pytest.mark.parametrize(
    ("settings", "code"),
    [
        ({}, "E551.*es, pt"),
        ({"lang": "de"}, "E552.*es, pt"),
        ({"n": 0}, "E510.*--limit"),
        ({"what": "lost"}, "E510.*--what"),
    ],
)
def test_what_cannot_be_drawn_is_refused_and_nothing_is_written(built_shards, tmp_path, settings, code):
    with pytest.raises(XltError, match=code):
        sample(built_shards, tmp_path / "out.spacy", **settings)
    assert [path.name for path in tmp_path.iterdir()] == ["built"]


def test_damaged_shard_is_named_and_nothing_is_written(built_shards, tmp_path):
    path = built_shards / "target" / "pt-00002.spacy"
    path.write_bytes((built_shards / "target" / "pt-00001.spacy").read_bytes())
    for function in (sample, split, export):
        with pytest.raises(XltError, match="E550.*shard 00002.*not what the build wrote"):
            function(built_shards, tmp_path / "out", lang="pt")
    path.unlink()
    with pytest.raises(XltError, match="E550.*shard 00002.*No such file"):
        sample(built_shards, tmp_path / "out", lang="pt")
    assert [path.name for path in tmp_path.iterdir()] == ["built"]


@pytest.mark.parametrize("command", [("sample", "--limit", "3", "--lang", "pt"), ("export",)])
def test_commands_replace_no_file_unasked(built_shards, tmp_path, command):
    out, (name, *options) = tmp_path / "out", command
    out.write_bytes(b"somebody's corpus")
    result = run(name, built_shards, out, *options)
    assert result.exit_code == 1 and "XLT-E554" in result.output and out.read_bytes() == b"somebody's corpus"
    result = run(name, built_shards, out, *options, "--overwrite")
    assert result.exit_code == 0
    n_rows = 2 * N_DOCS - 1
    assert (f"3 of {N_DOCS - 1} documents" if name == "sample" else f"{n_rows} rows") in result.output
    inside = built_shards / "target" / "pt-00000.spacy"
    before = inside.read_bytes()
    result = run(name, built_shards, inside, *options, "--overwrite")
    assert result.exit_code == 1 and "XLT-E553" in result.output and inside.read_bytes() == before


@pytest.mark.parametrize("size", [1, 100])
def test_split_has_every_document_on_one_side_whatever_the_size_of_shards(build_shards, tmp_path, size):
    texts = split(build_shards(size), tmp_path / "out")
    for lang, n in (("pt", N_DOCS - 1), ("es", N_DOCS - 2)):
        train, dev = texts["train", lang], texts["dev", lang]
        assert train and dev and len(train) + len(dev) == n
        assert not set(train) & set(dev) and "" not in train + dev
    assert texts == split(build_shards(4), tmp_path / "other")
    only_es = split(build_shards(size), tmp_path / "out", lang="es")
    assert only_es == {key: of_key for key, of_key in texts.items() if key[1] == "es"}


def test_split_has_all_languages_and_copies_of_a_text_on_the_same_side(build_shards, tmp_path):
    docs = make_docs()
    assert docs[COPY].text == docs[0].text
    splits = [split(build_shards(4), tmp_path / "out", seed=seed) for seed in range(6)]
    for texts in splits:
        for side in ("train", "dev"):
            only_pt = docs[ONLY_PT].text
            assert [text for text in texts.get((side, "pt"), []) if text != only_pt] == texts.get((side, "es"), [])
            assert texts.get((side, "pt"), []).count(docs[0].text) in (0, 2)
    assert any(texts["train", "pt"] != splits[0]["train", "pt"] for texts in splits[1:])
    small, large = (split(build_shards(4), tmp_path / "out", dev=dev)["dev", "pt"] for dev in (0.4, 0.8))
    assert set(small) < set(large)


def test_split_keeps_the_share_over_many_texts():
    vocab = spacy.blank("en").vocab
    docs = [Doc(vocab, words=[f"{i:016x}"]) for i in range(2_000)]
    # Standard deviation 13
    assert abs(sum(side_of(doc, dev=0.1, seed=3) == "dev" for doc in docs) - 200) < 65


def test_spacy_train_reads_both_sides_with_their_annotation(build_shards, tmp_path):
    split(build_shards(4), tmp_path / "out", lang="pt")
    docs = {doc.text: doc for doc in read_docs(build_shards(4) / "target")}
    for side in ("train", "dev"):
        for example in Corpus(tmp_path / "out" / side)(spacy.blank("pt")):
            assert example.reference.to_json() == docs[example.reference.text].to_json()


def test_split_says_what_it_wrote(build_shards, tmp_path):
    result = run("split", build_shards(4), tmp_path / "out", "--dev", "0.4")
    assert result.exit_code == 0, result.output
    said = json.loads((tmp_path / "out" / "split.json").read_text(encoding="utf8"))
    assert said["train"]["sources"] + said["dev"]["sources"] == N_DOCS - 1 and said["left_out_empty"] == 2
    for side in ("train", "dev"):
        docs = list(read_docs(tmp_path / "out" / side))
        assert sum(said[side]["docs"].values()) == len(docs)
        assert f"pt {said[side]['docs']['pt']}" in result.output


def test_split_is_replaced_when_asked_and_nothing_else_ever(built_shards, tmp_path):
    out, mine = tmp_path / "out", tmp_path / "mine"
    assert run("split", built_shards, out).exit_code == 0
    before = files_of(out)
    result = run("split", built_shards, out, "--seed", "5")
    assert result.exit_code == 1 and "XLT-E554" in result.output and files_of(out) == before
    result = run("split", built_shards, out, "--seed", "5", "--overwrite")
    assert result.exit_code == 0 and files_of(out) != before
    mine.mkdir()
    (mine / "thesis.txt").write_text("years of work")
    for other in (mine, built_shards, built_shards / "target", tmp_path, mine / "thesis.txt"):
        result = run("split", built_shards, other, "--overwrite")
        assert result.exit_code == 1 and "XLT-E553" in result.output
    assert (mine / "thesis.txt").exists() and (built_shards / "target").is_dir()


@pytest.mark.parametrize("function", [split, export])
def test_what_is_interrupted_leaves_what_was_there(built_shards, tmp_path, monkeypatch, function):
    function(built_shards, tmp_path / "out")
    before = files_of(tmp_path)

    def interrupt(shard, translated):
        if shard.name == "00002":
            raise KeyboardInterrupt
        return targets(shard, translated)

    targets = BuiltShard.targets
    monkeypatch.setattr(BuiltShard, "targets", interrupt)
    with pytest.raises(KeyboardInterrupt):
        function(built_shards, tmp_path / "out")
    assert files_of(tmp_path) == before


def test_targets_that_do_not_fit_the_sources_are_named(built_shards, tmp_path):
    # As a faulty program might write: another shard's file, with its checksum
    other = built_shards / "target" / "pt-00003.spacy"
    (built_shards / "target" / "pt-00000.spacy").write_bytes(other.read_bytes())
    manifest = built_shards / "manifest.jsonl"
    digests = {shard.name: shard.files[shard.target("pt")] for shard in BuiltShards(built_shards)}
    manifest.write_text(manifest.read_text().replace(digests["00000"], digests["00003"]))
    with pytest.raises(XltError, match="E550.*shard 00000.*it has 2 documents, and 4"):
        split(built_shards, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_split_warns_of_a_side_without_documents_and_refuses_invalid_shares(built_shards, tmp_path):
    with pytest.warns(XltWarning, match="W550.*dev has no documents"):
        shards_module.split(BuiltShards(built_shards), tmp_path / "out", dev=1e-9)
    assert (tmp_path / "out" / "dev").is_dir()
    for dev in (0.0, 1.0, -1.0, float("nan")):
        with pytest.raises(XltError, match="E510.*--dev"):
            split(built_shards, tmp_path / "none", dev=dev)
    with pytest.raises(XltError, match="E552"):
        split(built_shards, tmp_path / "none", lang="de")
    assert not (tmp_path / "none").exists()


def test_export_has_a_row_for_each_document_and_language(built_shards, tmp_path):
    for what in ("target", "bitext"):
        rows = export(built_shards, tmp_path / "out", what=what)
        assert len(rows) == 2 * N_DOCS - 1
        assert [row["lang"] for row in rows if (row["shard"], row["doc"]) == ("00001", ONLY_PT - 4)] == ["pt"]
        assert list(in_pt(rows)) == list(range(N_DOCS))
    assert len(export(built_shards, tmp_path / "out", lang="es")) == N_DOCS - 1


def test_offsets_of_tokens_spans_and_sentences_give_their_text(built_shards, tmp_path):
    n_sides = 0
    for row in export(built_shards, tmp_path / "out", what="bitext"):
        for side in (row, row["source"]):
            text, tokens = side["text"], side["tokens"]
            assert "".join(token["text"] + " " * token["ws"] for token in tokens) == text
            assert all(text[token["start"] : token["end"]] == token["text"] for token in tokens)
            for span in [*(side["spans"] or []), *(side["sentences"] or []), *side["missing"]]:
                assert span["start"] == tokens[span["token_start"]]["start"]
                assert span["end"] == tokens[span["token_end"]]["end"]
            n_sides += bool(side["spans"])
    assert n_sides > 40


def test_exported_target_is_what_is_trained_on_with_its_source(built_shards, tmp_path):
    rows = in_pt(export(built_shards, tmp_path / "out"))
    assert rows[CUT]["text"] == "Maria-pt sleeps-pt .-pt " and rows[CUT]["source"]["text"] == "Maria sleeps . In Rio . "
    (span,) = rows[CUT]["spans"]
    assert span["label"] == "PER" and 0 < span["score"] < 1
    assert [span["label"] for span in rows[CUT]["source"]["spans"]] == ["PER", "LOC"]
    (lost,) = rows[CUT]["lost"]
    assert (lost["text"], lost["label"], lost["reason"], lost["side"]) == ("Rio", "LOC", "no_links", "source")
    assert rows[CUT]["source"]["text"][lost["start"] : lost["end"]] == "Rio"
    assert "dropped" in rows[CUT]["flags"] and rows[0]["flags"] == [] and rows[0]["translation_score"] == -0.25
    assert rows[EMPTY]["text"] == "" and rows[EMPTY]["tokens"] == [] and rows[EMPTY]["lost"]
    grouped = rows[GROUPED]
    assert grouped["annotated"] == ["ents", "sc"] and all(0.0 < span["score"] <= 1.0 for span in grouped["spans"])
    spans = [(span["label"], span["key"], span["token_end"]) for span in grouped["spans"]]
    assert spans == [("PER", "ents", 0), ("LOC", "ents", 2), ("FACT", "sc", 2)]


def test_unknown_annotation_does_not_look_like_no_entity(built_shards, tmp_path):
    for what in ("target", "bitext"):
        rows = in_pt(export(built_shards, tmp_path / "out", what=what))
        unknown, partly = rows[UNKNOWN], rows[PARTLY]
        assert unknown["spans"] is None and unknown["annotated"] == []
        assert [token["tag"] for token in unknown["tokens"]] == [None] * 3
        assert [(one["token_start"], one["token_end"]) for one in unknown["missing"]] == [(0, 2)]
        assert unknown["source"]["spans"] is None
        assert [token["tag"] for token in partly["tokens"]] == ["B-PER", "O", None, None]
        assert [(one["token_start"], one["token_end"]) for one in partly["missing"]] == [(2, 3)]
        assert rows[0]["missing"] == [] and rows[0]["annotated"] == ["ents"]


def test_links_and_pairs_of_bitexts_are_exported(built_shards, tmp_path):
    rows = in_pt(export(built_shards, tmp_path / "out", what="bitext"))
    assert [(link["source"], link["target"]) for link in rows[CUT]["links"]] == [(i, i) for i in range(3)]
    assert rows[CUT]["links"][0]["score"] == 0.5
    first, second = rows[CUT]["pairs"]
    assert (second["source_start"], second["source_end"], second["score"]) == (3, 6, -0.25)
    assert first["flags"] == [] and "dropped" in second["flags"]
    assert rows[CUT]["text"] == "Maria-pt sleeps-pt .-pt other-pt other-pt other-pt "


def test_exported_lines_can_be_read_back_as_those_of_prodigy(built_shards, tmp_path):
    export(built_shards, tmp_path / "out.jsonl", lang="es")
    docs = [doc for doc in read_docs(built_shards / "target") if "-es" in doc.text]
    rows = [line for line in (tmp_path / "out.jsonl").read_text().splitlines() if '"tokens": []' not in line]
    (tmp_path / "some.jsonl").write_text("\n".join(rows))
    again = list(read_corpus(tmp_path / "some.jsonl", format="prodigy", lang="es"))
    assert [[token.text_with_ws for token in doc] for doc in again] == [[t.text_with_ws for t in doc] for doc in docs]
    assert [[str(ent) for ent in doc.ents] for doc in again] == [[str(ent) for ent in doc.ents] for doc in docs]
    assert any("sc" in doc.spans for doc in again)


def test_a_build_is_exported_in_the_formats_that_are_read(built_shards, tmp_path):
    docs = [doc for doc in read_docs(built_shards / "target") if "-es" in doc.text]
    for format, how in (("brat", {}), ("slots", {"format": "conll", "token_col": 2, "tag_col": 4})):
        out = tmp_path / format
        result = run("export", built_shards, out, "--format", format, "--lang", "es")
        assert result.exit_code == 0 and f"{len(docs)} rows" in result.output
        again = list(read_corpus(out, **{"format": format, "lang": "es", **how}))
        assert [doc.text.strip() for doc in again] == [doc.text.strip() for doc in docs]
        if format == "slots":
            assert [[str(ent) for ent in doc.ents] for doc in again] == [[str(e) for e in doc.ents] for doc in docs]
        assert run("export", built_shards, out, "--format", format, "--lang", "es").exit_code == 1
        assert run("export", built_shards, out, "--format", format, "--lang", "es", "--overwrite").exit_code == 0
    assert "XLT-E551" in run("export", built_shards, tmp_path / "out", "--format", "slots").output


def test_other_people_s_folders_are_not_replaced_by_brat_s(built_shards, tmp_path):
    (tmp_path / "thesis.txt").write_text("mine")
    result = run("export", built_shards, tmp_path, "--format", "brat", "--lang", "es", "--overwrite")
    assert "XLT-E553" in result.output and (tmp_path / "thesis.txt").read_text() == "mine"
