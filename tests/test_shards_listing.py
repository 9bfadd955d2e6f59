"""`spacy xlt shards list` and `verify`: what a build has, and whether it is as it was written."""

from __future__ import annotations

import json

import pytest
from helpers.shards_build import N_DOCS
from spacy.cli._util import app
from typer.testing import CliRunner

import spacy_xlt.cli  # noqa: F401
from spacy_xlt.build.manifest import FILE_NAME
from spacy_xlt.build.shards.records import Records
from spacy_xlt.build.shards.verifying import Problem, Verifier
from spacy_xlt.errors import XltError


def run(*arguments):
    return CliRunner().invoke(app, ["xlt", "shards", *map(str, arguments)])


def problems(folder):
    return list(Verifier(Records(folder)).problems())


def test_a_line_a_shard_and_the_totals_fit_80_columns(built_shards):
    result = run("list", built_shards)
    assert result.exit_code == 0, result.output
    header, *lines, rule, total = result.output.splitlines()
    assert [line.split()[:2] for line in lines] == [["00000", "4"], ["00001", "4"], ["00002", "4"], ["00003", "2"]]
    assert max(map(len, result.output.splitlines())) == 80
    assert total.split()[:2] == ["total", str(N_DOCS)] and "no_links 4" in total


def test_json_says_what_the_build_counted(built_shards):
    *shards, last = map(json.loads, run("list", built_shards, "--json").output.splitlines())
    first, total = shards[0], last["total"]
    assert first["lost_reasons"] == {"no_links": 4} and first["spans_in"] == {"LOC": 3, "PER": 2}
    assert first["files"]["bitext/00000.spacy"] == (built_shards / "bitext" / "00000.spacy").stat().st_size
    assert total["docs"] == sum(one["docs"] for one in shards) == N_DOCS
    assert total["bytes"] == sum(size for one in shards for size in one["files"].values())
    assert (total["shards"], total["shards_expected"], total["finished"]) == (4, 4, True)


def test_files_are_listed_with_their_sizes_and_those_that_are_missing(built_shards):
    (built_shards / "target" / "pt-00001.spacy").unlink()
    result = run("list", built_shards, "--files")
    assert "missing  target/pt-00001.spacy" in result.output and "1 files are missing" in result.output
    assert f"{(built_shards / 'lost' / '00000.jsonl').stat().st_size} B  lost/00000.jsonl" in result.output


def test_a_build_that_is_not_finished_is_listed_and_says_so(built_shards):
    lines = (built_shards / FILE_NAME).read_bytes().splitlines(keepends=True)
    (built_shards / FILE_NAME).write_bytes(b"".join(lines[:3]) + lines[3][:50])
    result = run("list", built_shards)
    assert result.exit_code == 0 and "2 of 4 shards are finished" in result.output
    (built_shards / FILE_NAME).write_bytes(lines[0])
    result = run("list", built_shards)
    assert result.exit_code == 0 and "0 of 4 shards are finished" in result.output


def test_of_a_shard_that_was_done_again_the_last_record_counts(built_shards):
    lines = (built_shards / FILE_NAME).read_text(encoding="utf8").splitlines(keepends=True)
    again = json.loads(lines[1]) | {"docs": 77}
    (built_shards / FILE_NAME).write_text("".join([*lines, json.dumps(again) + "\n"]), encoding="utf8")
    records = Records(built_shards)
    assert len(records) == 4
    assert {r.shard: r.count("docs") for r in records}[again["shard"]] == 77


def test_records_come_in_order_whatever_the_order_of_the_manifest(built_shards):
    header, *lines = (built_shards / FILE_NAME).read_bytes().splitlines(keepends=True)
    (built_shards / FILE_NAME).write_bytes(b"".join([header, *reversed(lines)]))
    assert [record.shard for record in Records(built_shards)] == ["00000", "00001", "00002", "00003"]


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "E580"),
        (b"no json\n", "E581"),
        (b"[]\n", "E581"),
        (b'{"format": 99}\n', "E582"),
        (b'{"format": 1}\n{"shard": 3}\n', "E581"),
    ],
)
def test_a_folder_that_is_no_build_is_refused(tmp_path, content, code):
    with pytest.raises(XltError, match="E580"):
        Records(tmp_path)
    (tmp_path / FILE_NAME).write_bytes(content)
    with pytest.raises(XltError, match=code):
        Records(tmp_path)


def test_what_is_not_there_is_named():
    result = run("list", "no/such/build")
    assert result.exit_code == 1 and "XLT-E502" in result.output


def test_a_build_as_it_was_written_has_no_problem(built_shards):
    verifier = Verifier(Records(built_shards))
    assert list(verifier.problems()) == []
    known = [path for name in ("target", "bitext", "lost") for path in (built_shards / name).iterdir()]
    assert (verifier.files, verifier.bytes) == (len(known), sum(path.stat().st_size for path in known))
    result = run("verify", built_shards)
    assert result.exit_code == 0 and "all as they were written" in result.output


def test_missing_changed_extra_and_left_over_files_are_named(built_shards):
    (built_shards / "lost" / "00001.jsonl").unlink()
    data = bytearray((built_shards / "bitext" / "00000.spacy").read_bytes())
    data[20] ^= 1
    (built_shards / "bitext" / "00000.spacy").write_bytes(data)
    (built_shards / "target" / "pt-00001.spacy").unlink()
    (built_shards / "target" / "pt-00001.spacy").mkdir()
    (built_shards / "target" / "de-00000.spacy").write_bytes(b"another")
    (built_shards / "target" / ".pt-00009.spacy.123.part").write_bytes(b"half")
    (built_shards / "notes of mine.txt").write_text("not the build's, and not among its shards")
    found = problems(built_shards)
    assert found[0] == Problem("changed", "bitext/00000.spacy", "00000")
    assert found[1] == Problem("missing", "lost/00001.jsonl", "00001")
    assert found[2][:3] == ("unreadable", "target/pt-00001.spacy", "00001") and found[2].reason
    assert found[3:] == [
        Problem("left over", "target/.pt-00009.spacy.123.part"),
        Problem("extra", "target/de-00000.spacy"),
    ]


def test_verify_ends_with_1_and_says_what_repairs(built_shards):
    (built_shards / "target" / "pt-00001.spacy").unlink()
    result = run("verify", built_shards, "--silent")
    assert result.exit_code == 1
    assert "missing     target/pt-00001.spacy" in result.output.splitlines()
    assert "The command that built this folder makes the 1 missing" in result.output
    *found, last = map(json.loads, run("verify", built_shards, "--json", "--silent").output.splitlines())
    assert found == [{"kind": "missing", "file": "target/pt-00001.spacy", "shard": "00001", "reason": ""}]
    assert last["total"]["problems"] == 1


def test_a_file_of_a_shard_that_is_not_finished_is_extra(built_shards):
    lines = (built_shards / FILE_NAME).read_bytes().splitlines(keepends=True)
    (built_shards / FILE_NAME).write_bytes(b"".join(line for line in lines if b'"shard": "00003"' not in line))
    assert {problem.kind for problem in problems(built_shards)} == {"extra"}
    assert {problem.file for problem in problems(built_shards)} == {
        "bitext/00003.spacy",
        "lost/00003.jsonl",
        "target/es-00003.spacy",
        "target/pt-00003.spacy",
    }
