"""Small files that would take hours or all of the memory are refused, with the file and the limit."""

from __future__ import annotations

import bz2
import gzip
import lzma
import time
import zlib
from pathlib import Path

import numpy as np
import pytest
import spacy
import srsly
from spacy.cli._util import app
from spacy.tokens import Doc, DocBin
from typer.testing import CliRunner

import spacy_xlt.cli  # noqa: F401
from spacy_xlt.errors import XltError
from spacy_xlt.limits import LINE, MARKS, TEXT, TOKEN
from spacy_xlt.readers.docbin import read_bin, read_docs
from spacy_xlt.textfiles import read_bytes, text_lines
from spacy_xlt.translation.parallel import ParallelTranslator

MIB = 1 << 20


def xlt(*arguments) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["xlt", *map(str, arguments)])
    return result.exit_code, " ".join(result.output.split())


def packed_words(path: Path, word: str, *, n: int, docs: int = 1) -> Path:
    """A corpus that stores a long word once and has it again and again."""
    doc = Doc(spacy.blank("xx").vocab, words=["W"] * n)
    data = srsly.msgpack_loads(zlib.decompress(DocBin(docs=[doc] * docs).to_bytes()))
    old, new = (np.uint64(spacy.strings.hash_string(text)) for text in ("W", word))
    tokens = np.frombuffer(data["tokens"], np.uint64).copy()
    tokens[tokens == old] = new
    data |= {"tokens": tokens.tobytes(), "strings": [*data["strings"], word, "w"]}
    path.write_bytes(zlib.compress(srsly.msgpack_dumps(data), 9))
    return path


def test_a_line_without_end_is_refused_before_it_is_read_whole(tmp_path):
    path = tmp_path / "long.conll.gz"
    path.write_bytes(gzip.compress(b"a O\n" + b"x" * (67 * MIB) + b" O\n"))
    start = time.perf_counter()
    with pytest.raises(XltError, match=r"E542.*long.conll.gz.*line 2 in characters.*16,777,216"):
        list(text_lines(path))
    code, output = xlt("convert", path, tmp_path / "out.spacy", "--lang", "en")
    assert code == 1 and "XLT-E542" in output and not (tmp_path / "out.spacy").exists()
    assert time.perf_counter() - start < 30


@pytest.mark.parametrize("form", ["conll", "jsonl"])
def test_a_token_as_long_as_a_book_is_refused_in_each_format(form, tmp_path):
    path = tmp_path / f"a.{form}"
    word = "x" * (TOKEN + 1)
    path.write_text(f"{word} B-PER\n" if form == "conll" else f'{{"text": "{word}", "spans": []}}\n')
    code, output = xlt("convert", path, tmp_path / "out.spacy", "--lang", "en")
    assert code == 1 and "XLT-E542" in output and "100,001" in output and "100,000" in output
    path.write_text(path.read_text().replace(word, word[1:]))
    assert xlt("convert", path, tmp_path / "out.spacy", "--lang", "en")[0] == 0


@pytest.mark.parametrize("pack", [gzip, bz2, lzma])
def test_what_unpacks_to_far_more_than_there_is_in_it_is_refused(pack, tmp_path):
    path = tmp_path / f"a.txt{ {gzip: '.gz', bz2: '.bz2', lzma: '.xz'}[pack] }"
    with pack.open(path, "wb") as file:
        for _ in range(17):
            file.write(bytes(16 * MIB))
    with pytest.raises(XltError, match="E542.*bytes unpacked.*268,435,456"):
        read_bytes(path)


def test_packed_text_that_is_like_itself_is_read_whole(tmp_path):
    path = tmp_path / "a.txt.gz"
    path.write_bytes(gzip.compress(b"The same sentence again .\n" * 400_000))
    assert sum(1 for _ in text_lines(path)) == 400_000
    assert read_bytes(path).count(b"\n") == 400_000


def test_a_corpus_that_unpacks_to_far_more_is_refused(tmp_path):
    path = tmp_path / "bomb.spacy"
    packing = zlib.compressobj(9)
    path.write_bytes(b"".join([*(packing.compress(bytes(MIB)) for _ in range(300)), packing.flush()]))
    with pytest.raises(XltError, match="E542.*bomb.spacy.*bytes unpacked"):
        read_bin(path)


@pytest.mark.parametrize(
    ("length", "n", "docs", "what"),
    [
        (4 * MIB, 40, 1, "a token in characters"),
        (TOKEN, 400, 1, "a text in characters"),
        (TOKEN, 150, 20, "all texts in characters"),
    ],
)
def test_a_long_word_that_is_stored_once_and_used_often_is_refused(length, n, docs, what, tmp_path):
    path = packed_words(tmp_path / "a.spacy", "x" * length, n=n, docs=docs)
    assert path.stat().st_size < 100_000
    start = time.perf_counter()
    with pytest.raises(XltError, match=f"E542.*a.spacy: {what}"):
        list(read_docs(path))
    code, output = xlt("view", path, tmp_path / "page.html")
    assert code == 1 and "XLT-E542" in output and time.perf_counter() - start < 20


def test_words_and_texts_up_to_the_limits_are_read(tmp_path):
    (doc,) = read_docs(packed_words(tmp_path / "a.spacy", "x" * TOKEN, n=100))
    assert len(doc) == 100 and len(doc.text) >= 100 * TOKEN
    assert TEXT >= 100 * (TOKEN + 1) and LINE >= TEXT


def test_a_memory_of_very_many_languages_takes_no_square_of_them(tmp_path):
    # Three letters each, most of which are known languages
    letters = "abcdefghijklmnopqrstuvwxyz"
    codes = [a + b + c for a in letters for b in letters for c in letters][:6000]
    body = "".join(f'<tuv xml:lang="{code}"><seg>{code}</seg></tuv>' for code in codes)
    path = tmp_path / "m.tmx"
    path.write_text(f'<tmx version="1.4"><header/><body><tu>{body}</tu></body></tmx>')
    engine = ParallelTranslator(memory=str(path))
    with pytest.raises(XltError, match="E201") as caught:
        engine.translate(["aaa"], source="en", target="pt")
    assert len(str(caught.value)) < 10_000


def test_marks_without_end_are_refused_before_a_tokenizer_takes_hours(tmp_path):
    path = tmp_path / "a.jsonl"
    for n, expected in ((MARKS, 0), (200_000, 1)):
        path.write_text('{"text": "Ana %s end", "spans": []}\n' % ("(" * n))
        start = time.perf_counter()
        code, output = xlt("convert", path, tmp_path / "out.spacy", "--lang", "en")
        assert code == expected and time.perf_counter() - start < 20
    assert "line 1" in output and "200,000 marks in a row" in output and "limit is 5,000" in output
    path.write_text('{"text": "Ana%s", "spans": []}\n' % ("'s" * 30_000))
    code, output = xlt("convert", path, tmp_path / "out.spacy", "--lang", "en")
    assert code == 1 and "60,000 marks in a row" in output
    folder = tmp_path / "brat"
    folder.mkdir()
    (folder / "a.txt").write_text("_" * 200_000)
    (folder / "a.ann").touch()
    code, output = xlt("convert", folder, tmp_path / "out.spacy", "--lang", "en")
    assert code == 1 and "XLT-E542" in output and "a.txt" in output


def test_a_corpus_of_more_documents_than_bytes_is_refused(tmp_path):
    path = packed_words(tmp_path / "a.spacy", "x", n=1)
    data = srsly.msgpack_loads(zlib.decompress(path.read_bytes()))
    for n, is_refused in ((1000, False), (1_000_000, True)):
        data |= {"tokens": b"", "spaces": b"", "lengths": bytes(4 * n), "span_groups": [b""] * n, "user_data": []}
        data |= {"cats": [{}] * n, "flags": [{"has_unknown_spaces": False}] * n}
        path.write_bytes(zlib.compress(srsly.msgpack_dumps(data), 9))
        if not is_refused:
            assert len(list(read_docs(path))) == n
            continue
        with pytest.raises(XltError, match="E542.*documents: 1,000,000"):
            list(read_docs(path))
