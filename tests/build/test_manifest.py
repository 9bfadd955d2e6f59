"""The manifest: a header and a line a shard, whatever a kill leaves of them."""

from __future__ import annotations

import pytest

from spacy_xlt.build.manifest import FILE_NAME, FORMAT, Manifest, read_manifest
from spacy_xlt.errors import XltError


def make(folder, *shards, **header):
    manifest = Manifest(folder, {"a": 1, **header})
    manifest.open()
    for shard in shards:
        manifest.add(shard, {}, {"docs": 1})
    return manifest


def test_lines_are_read_back_in_order_and_the_last_of_a_shard_counts(tmp_path):
    make(tmp_path, "100000", "00001").add("100000", {}, {"docs": 7})
    header, records = read_manifest(tmp_path)
    assert header == {"format": FORMAT, "a": 1}
    assert [(name, record["docs"]) for name, record in records.items()] == [("00001", 1), ("100000", 7)]
    assert all(record["time"].endswith("+00:00") for record in records.values())
    assert Manifest(tmp_path, {"a": 1}).records == records


def test_shard_is_finished_while_its_files_are_as_they_were_written(tmp_path):
    manifest = make(tmp_path)
    (tmp_path / "x").write_bytes(b"data")
    manifest.add("00000", {"x": "3a6eb0790f39ac87c94f3856b2dd2c5d110e6811602261a9a923d3bb23adc8b7"}, {})
    assert manifest.is_finished("00000") and not manifest.is_finished("00001")
    (tmp_path / "x").write_bytes(b"date")
    assert not manifest.is_finished("00000")


def test_header_that_differs_is_named_in_full(tmp_path):
    make(tmp_path, "00000", b={"c": 1, "d": 2})
    with pytest.raises(XltError, match="E505.*Different: a was 1 and is 2; b.c was 1 and is None"):
        Manifest(tmp_path, {"a": 2, "b": {"d": 2}})
    # Without any shard there is nothing to protect
    make(tmp_path / "other")
    assert Manifest(tmp_path / "other", {"a": 2}).records == {}


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (None, "E580"),
        (b"", "E580"),
        (b"no json\n", "E581"),
        (b"[]\n", "E581"),
        (b'{"format": 99}\n', "E582"),
        (b'{"format": 2}\n', "E582"),
        (b'{"format": 3}\n{"shard": 3}\n{"shard": "00000", "files": {}}\n', "E581"),
        (b'{"format": 3}\n\0\0\0}\n{"shard": "00000", "files": {}}\n', "E581"),
    ],
)
def test_manifest_that_cannot_be_read_is_refused(tmp_path, content, code):
    if content is not None:
        (tmp_path / FILE_NAME).write_bytes(content)
    with pytest.raises(XltError, match=code):
        read_manifest(tmp_path)
