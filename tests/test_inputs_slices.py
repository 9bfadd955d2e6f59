"""Corpora of every format: slices are the whole, in pieces."""

from __future__ import annotations

import hashlib
import itertools
import os

import pytest
from helpers.inputs_corpora import FORMATS, N_DOCS, PACK, docs_of, opened, plain, spacy_bytes, write
from hypothesis import given, settings
from hypothesis import strategies as st

from spacy_xlt.build.inputs import FileInfo
from spacy_xlt.docs import select_docs
from spacy_xlt.errors import XltError
from spacy_xlt.readers.docbin import has_annotation_to_project, read_bin


@pytest.fixture(scope="module")
def corpora(tmp_path_factory):
    """By format and compression: the file, and its documents as plain data."""
    made = {}
    for format, packed in itertools.product(FORMATS, PACK):
        file = opened(write(tmp_path_factory.mktemp("corpus"), format, packed))
        (whole,) = file.slices([(0, N_DOCS)])
        made[format, packed] = file, plain(docs_of(whole))
    return made


@st.composite
def ascending(draw):
    edges = sorted(draw(st.lists(st.integers(0, N_DOCS), max_size=8)))
    return list(zip(edges[::2], edges[1::2], strict=False))


@settings(max_examples=60, deadline=None)
@given(which=st.sampled_from(list(itertools.product(FORMATS, PACK))), ranges=ascending())
def test_slices_are_parts_of_the_whole(corpora, which, ranges):
    file, whole = corpora[which]
    slices = [plain(docs_of(found)) for found in file.slices(ranges)]
    assert slices == [whole[start:stop] for start, stop in ranges]


@pytest.mark.parametrize("format", FORMATS)
def test_the_documents_are_the_same_however_they_are_compressed(corpora, format):
    first, *others = (corpora[format, packed][1] for packed in PACK)
    assert len(first) == N_DOCS and all(other == first for other in others)


@pytest.mark.parametrize("which", list(itertools.product(FORMATS, ("", ".gz"))))
def test_scanning_counts_what_the_slices_hold(corpora, which):
    file, whole = corpora[which]
    (found,) = file.slices([(0, N_DOCS)])
    assert file.scan() == FileInfo(N_DOCS, sum(has_annotation_to_project([doc]) for doc in docs_of(found)))
    assert 0 < file.scan().annotated < len(whole)


def test_a_digest_is_that_of_the_bytes_on_the_disk(corpora):
    for packed in PACK:
        file, _ = corpora["jsonl", packed]
        assert file.digest() == hashlib.sha256(file.path.read_bytes()).hexdigest()


def test_a_folder_of_brat_has_another_digest_when_a_text_or_a_name_is_another(tmp_path):
    folder = write(tmp_path, "brat")
    first = opened(folder).digest()
    assert opened(folder).digest() == first
    os.rename(folder, tmp_path / "moved")
    assert opened(tmp_path / "moved").digest() == first
    (tmp_path / "moved" / "doc 000.txt").write_text("São other")
    second = opened(tmp_path / "moved").digest()
    for end in ("txt", "ann"):
        os.rename(tmp_path / "moved" / f"doc 000.{end}", tmp_path / "moved" / f"doc 000a.{end}")
    assert len({first, second, opened(tmp_path / "moved").digest()}) == 3


def test_slices_of_a_spacy_file_are_what_its_documents_are(tmp_path):
    path = write(tmp_path, "spacy")
    whole = read_bin(path)
    for start, stop in ((0, 1), (3, 9), (11, 12), (0, 12)):
        (found,) = opened(path).slices([(start, stop)])
        expected = list(select_docs(whole, range(start, stop)).get_docs(docs_of(found)[0].vocab))
        assert plain(docs_of(found)) == plain(expected)
        assert found.store_user_data and found.strings <= whole.strings


def test_a_slice_of_a_spacy_file_has_only_its_own_strings(tmp_path):
    (found,) = opened(write(tmp_path, "spacy")).slices([(5, 6)])
    assert {"name5", "G5", "id5", "Q5", "LOC"} <= found.strings
    assert not {text for text in found.strings if text.startswith("name")} - {"name5"}


def test_ranges_are_asked_for_one_by_one(tmp_path):
    asked = []

    def ranges():
        for number in range(3):
            asked.append(number)
            yield number, number + 1

    slices = opened(write(tmp_path, "conll")).slices(ranges())
    next(slices)
    assert asked == [0]


@pytest.mark.parametrize("ranges", [[(2, 1)], [(0, 2), (1, 3)], [(-1, 2)]])
def test_ranges_that_go_back_are_no_ranges(tmp_path, ranges):
    with pytest.raises(ValueError, match="does not come after"):
        list(opened(write(tmp_path, "spacy")).slices(ranges))


@pytest.mark.parametrize("format", FORMATS)
def test_a_file_that_changed_between_two_calls_is_an_error(tmp_path, format):
    path = write(tmp_path, format)
    changed = path / "doc 005.ann" if format == "brat" else path
    for second in ("scan", "digest", "slices"):
        file = opened(path)
        assert file.scan().docs == N_DOCS
        data = changed.read_bytes()
        os.utime(changed, ns=(1, changed.stat().st_mtime_ns + 10**9))
        with pytest.raises(XltError, match="E538.*corpus|E538.*brat"):
            list(file.slices([(0, 1)])) if second == "slices" else getattr(file, second)()
        assert changed.read_bytes() == data


@pytest.mark.parametrize("format", FORMATS)
def test_more_documents_than_there_are_is_an_error(tmp_path, format):
    with pytest.raises(XltError, match=f"E538.*it has {N_DOCS} documents, and {N_DOCS + 1} were asked for"):
        list(opened(write(tmp_path, format)).slices([(0, 2), (4, N_DOCS + 1)]))


def test_a_file_that_is_written_to_while_it_is_sliced_is_an_error(tmp_path):
    path = write(tmp_path, "spacy")
    slices = opened(path).slices([(0, 2), (2, 4)])
    next(slices)
    path.write_bytes(spacy_bytes(3))
    with pytest.raises(XltError, match="E538"):
        next(slices)
