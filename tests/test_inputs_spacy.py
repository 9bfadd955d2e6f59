"""`.spacy` files: what is wrong in one is found, and a large one is never in memory."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import zlib
from pathlib import Path

import pytest
import spacy
import srsly
from helpers.inputs_corpora import docs_of, opened, spacy_bytes
from helpers.paths import ROOT
from spacy.tokens import Doc, DocBin, Span

from spacy_xlt.build.inputs import FileInfo, unpacked
from spacy_xlt.errors import XltError

BENCHMARK = ROOT / "benchmarks" / "input_memory.py"


def saved(data: bytes, tmp_path: Path) -> Path:
    path = tmp_path / "corpus.spacy"
    path.write_bytes(data)
    return path


def changed(**values) -> bytes:
    """A corpus in which some of the values are others."""
    msg = srsly.msgpack_loads(zlib.decompress(spacy_bytes()))
    msg.update(values)
    return zlib.compress(srsly.msgpack_dumps({key: value for key, value in msg.items() if value is not None}))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "E503"),
        (spacy_bytes()[:-20], "E504.*cut short"),
        (spacy_bytes() + b"more", "E504.*bytes after its end"),
        (spacy_bytes() * 2, "E504.*bytes after its end"),
        (b"a B-PER\n", "E504"),
        (zlib.compress(b"no map"), "E504"),
        (zlib.compress(srsly.msgpack_dumps({"attrs": [65]})), "E504.*has no tokens"),
        (zlib.compress(zlib.decompress(spacy_bytes())[:-30]), "E504"),
        (changed(tokens=b"12345678"), "E504.*lengths"),
        (changed(spaces=b""), "E504.*spaces"),
        (changed(cats=[]), "E504.*0 cats"),
        (changed(span_groups=["a"] * 12), "E504.*span_groups"),
        (changed(span_groups=[b"\xc1"] * 12), "E504"),
        (changed(strings=["a"]), "E504.*not among its strings"),
        (changed(strings=[1]), "E504.*strings"),
        (changed(attrs="ORTH"), "E504.*attributes"),
        (changed(tokens=3), "E504.*not in bytes"),
    ],
)
def test_a_broken_file_is_named_with_what_is_wrong(tmp_path, data, message):
    with pytest.raises(XltError, match=message) as raised:
        opened(saved(data, tmp_path)).scan()
    assert "corpus.spacy" in str(raised.value)


def test_a_broken_file_is_named_where_only_a_slice_is_read(tmp_path):
    with pytest.raises(XltError, match="E504.*corpus.spacy"):
        list(opened(saved(spacy_bytes()[:-20], tmp_path)).slices([(0, 1)]))


def test_damage_in_the_middle_is_found_or_harmless(tmp_path):
    data = spacy_bytes()
    for place in range(2, len(data), 97):
        broken = data[:place] + bytes([data[place] ^ 0x55]) + data[place + 1 :]
        with pytest.raises(XltError, match="E504"):
            opened(saved(broken, tmp_path)).scan()


def test_a_corpus_without_documents_and_one_with_empty_ones(tmp_path):
    assert opened(saved(DocBin().to_bytes(), tmp_path)).scan() == FileInfo(0, 0)
    vocab = spacy.blank("xx").vocab
    docs = [Doc(vocab), Doc(vocab, words=["a"]), Doc(vocab), Doc(vocab)]
    docs[1].set_ents([Span(docs[1], 0, 1, label="PER")])
    file = opened(saved(DocBin(docs=docs).to_bytes(), tmp_path))
    assert file.scan() == FileInfo(4, 1)
    found = list(file.slices([(0, 1), (1, 1), (1, 3), (3, 4)]))
    assert [[doc.text for doc in docs_of(one)] for one in found] == [[""], [], ["a ", ""], [""]]


def test_files_of_older_versions_lack_columns(tmp_path):
    data = changed(flags=None, span_groups=None, user_data=None)
    (found,) = opened(saved(data, tmp_path)).slices([(1, 3)])
    assert [doc[1].text for doc in docs_of(found)] == ["name1", "name2"] and not found.store_user_data


def test_a_blocked_token_is_no_entity(tmp_path):
    doc = Doc(spacy.blank("xx").vocab, words=["a", "b"])
    doc.set_ents([], blocked=[doc[0:1]], default="outside")
    assert opened(saved(DocBin(docs=[doc]).to_bytes(), tmp_path)).scan() == FileInfo(1, 0)


def test_no_room_to_unpack_names_the_folder(tmp_path, monkeypatch):
    class Full(tempfile.SpooledTemporaryFile):
        def write(self, data):
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(unpacked.tempfile, "SpooledTemporaryFile", Full)
    with pytest.raises(XltError, match="E540.*No space left.*TMPDIR"):
        opened(saved(spacy_bytes(), tmp_path)).scan()


@pytest.mark.long
@pytest.mark.skipif(sys.platform != "linux", reason="peak memory is told in another way elsewhere")
def test_memory_does_not_grow_with_a_spacy_file():
    command = [sys.executable, str(BENCHMARK), "--docs", "60000", "--step", "10000"]
    found = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    # Together: what is unpacked before it goes to the disk (8 MB), the piece of 64,000 tokens that is looked at with
    # its columns (20 MB), 40 bytes a string while they are sorted and what is read ahead. DocBin needs several times
    # the unpacked size.
    assert found["inputs"]["docs"] == 60000 and found["unpacked"] > 60
    assert found["inputs"]["grown"] < 50 < found["docbin"]["grown"]
