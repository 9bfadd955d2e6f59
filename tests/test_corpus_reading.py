"""Which files a corpus is made of, and in which order."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
import spacy
from spacy.tokens import DocBin

from spacy_xlt.build.sharding import shard_id
from spacy_xlt.errors import XltError
from spacy_xlt.readers.docbin import corpus_files, in_order, read_docs


def test_shards_are_read_in_the_order_of_their_numbers_however_many_there_are(tmp_path: Path) -> None:
    numbers = [0, 9, 10, 99_998, 99_999, 100_000, 100_001, 1_000_000]
    nlp = spacy.blank("pt")
    for number in random.Random(0).sample(numbers, len(numbers)):
        DocBin(docs=[nlp(str(number))]).to_disk(tmp_path / f"{shard_id(number)}.spacy")
    (tmp_path / ".100002.spacy").write_bytes(b"not finished")
    assert [path.stem for path in corpus_files(tmp_path)] == [shard_id(number) for number in numbers]
    assert [int(doc.text) for doc in read_docs(tmp_path)] == numbers


def test_names_with_and_without_numbers_have_an_order() -> None:
    names = ["", "a", "a/b", "a1", "a01", "a2b", "a10", "a10b2", "a10b10", "b", "\u0661", "10", "9"]
    paths = sorted(map(Path, names), key=in_order)
    found = [path.as_posix() for path in paths]
    assert found.index("a2b") < found.index("a10") < found.index("a10b2") < found.index("a10b10") < found.index("b")
    assert found.index("9") < found.index("10")
    assert sorted(random.Random(1).sample(paths, len(paths)), key=in_order) == paths


def test_a_folder_without_a_corpus_is_refused(tmp_path: Path) -> None:
    with pytest.raises(XltError, match="E502"):
        corpus_files(tmp_path / "none")
    with pytest.raises(XltError, match="E503"):
        corpus_files(tmp_path)
