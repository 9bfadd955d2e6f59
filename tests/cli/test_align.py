"""`spacy xlt align` for plain files, and `spacy_xlt.align` for lists."""

import gzip
import os
import subprocess
import sys

import pytest
from helpers.children import WITHOUT_TORCH
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

import spacy_xlt
from spacy_xlt.alignment.api import align_stream
from spacy_xlt.cli import app
from spacy_xlt.errors import XltError
from spacy_xlt.evaluation.alignment import read_pairs
from spacy_xlt.links import Alignment
from spacy_xlt.readers.lines import read_line_pairs, split_tokens

CONFIG = """[nlp]
lang = "xx"
pipeline = ["xlt_aligner"]

[components]

[components.xlt_aligner]
factory = "xlt_aligner"

[components.xlt_aligner.engine]
@misc = "spacy_xlt.EmbeddingAligner.v1"
model = "bundled:encoder-en-pt"
"""
ENGLISH = ["Maria lives in Lisbon .", "", "The red house ."]
PORTUGUESE = ["A Maria vive em Lisboa .", "", "A casa vermelha ."]
LINKS = ["0-1 1-2 2-3 3-4 4-5", "", "0-0 1-2 2-1 3-3"]


class Crossing:
    """Links the first token to the last, and so on."""

    signature = "crossing"

    def __init__(self):
        self.sizes = []
        self.contexts = None

    def align(self, pairs, *, contexts=None):
        self.sizes.append(len(pairs))
        self.contexts = contexts
        return [Alignment([(i, len(b) - 1 - i) for i in range(min(len(a), len(b)))]) for a, b in pairs]


@pytest.fixture
def files(tmp_path):
    source, target, config = tmp_path / "a.en", tmp_path / "a.pt", tmp_path / "c.cfg"
    source.write_text("\n".join(ENGLISH) + "\n", encoding="utf8")
    target.write_text("\n".join(PORTUGUESE) + "\n", encoding="utf8")
    config.write_text(CONFIG)
    return source, target, ["--config", str(config)]


def _run(*arguments):
    return CliRunner().invoke(app, ["align", *map(str, arguments)])


def test_two_files_give_a_line_of_links_for_each_pair(files, tmp_path):
    source, target, config = files
    out, scores, tokens = tmp_path / "deep" / "links", tmp_path / "scores", tmp_path / "tokens"
    result = _run(source, target, out, "--scores", scores, "--tokens", tokens, *config)
    assert result.exit_code == 0, result.output
    assert out.read_text(encoding="utf8") == "\n".join(LINKS) + "\n"
    values = [list(map(float, line.split())) for line in scores.read_text().split("\n")[:-1]]
    assert [len(line) for line in values] == [5, 0, 4] and all(0 <= v <= 1 for line in values for v in line)
    # In the form of gold links
    (first, *_) = read_pairs(tokens)
    assert (" ".join(first.source), " ".join(first.target)) == (ENGLISH[0], PORTUGUESE[0])
    assert "3 pairs, 9 links" in result.output


def test_one_file_of_both_sides_gives_the_same_links_and_gzip_works(files, tmp_path):
    *_, config = files
    joined, out = tmp_path / "joined.gz", tmp_path / "out.gz"
    lines = [f"{a} ||| {b}" if a else "" for a, b in zip(ENGLISH, PORTUGUESE, strict=True)]
    joined.write_bytes(gzip.compress(("\r\n".join(lines) + "\r\n").encode("utf8")))
    result = _run(joined, "-o", out, *config)
    assert result.exit_code == 0, result.output
    first = out.read_bytes()
    assert gzip.decompress(first).decode() == "\n".join(LINKS) + "\n"
    _run(joined, "-o", out, *config)
    assert out.read_bytes() == first


def test_text_can_be_cut_by_the_tokenizers_of_spacy(tmp_path, files):
    *_, config = files
    source, target, tokens = tmp_path / "r.en", tmp_path / "r.pt", tmp_path / "tokens"
    source.write_text("Maria lives in Lisbon.\n")
    target.write_text("A Maria vive em Lisboa.\n")
    more = ["--tokenize", "--lang-src", "en", "--lang-tgt", "pt", "--tokens", tokens]
    result = _run(source, target, tmp_path / "out", *more, *config)
    assert result.exit_code == 0, result.output
    assert tokens.read_text().startswith("Maria lives in Lisbon .\tA Maria vive em Lisboa .\t0-")
    assert (tmp_path / "out").read_text() == LINKS[0] + "\n"


def test_settings_can_be_overridden_and_the_output_goes_to_the_terminal(files):
    source, target, config = files
    override = ["--components.xlt_aligner.engine.threshold", "1.0"]
    done = _run(source, target, "--silent", *config, *override)
    assert (done.exit_code, done.stdout) == (0, "\n\n\n"), done.output
    out = source.with_name("out")
    for paths in ((source, target, out), (source, target, "-o", out)):
        assert _run(*paths, *config, *override).exit_code == 0 and out.read_text() == "\n\n\n"
        out.unlink()
    result = _run(source, target, *override)
    assert result.exit_code == 1 and "XLT-E510" in result.output and "--config" in result.output


def test_sides_of_different_length_are_an_error_with_both_counts_and_nothing_is_written(files, tmp_path):
    source, target, config = files
    source.write_text(source.read_text(encoding="utf8") + "more\n", encoding="utf8")
    result = _run(source, target, tmp_path / "out", "--scores", tmp_path / "scores", *config)
    said = " ".join(result.output.split())
    assert result.exit_code == 1 and "has 4" in said and "has 3" in said
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.en", "a.pt", "c.cfg"]


@pytest.mark.parametrize(
    "data, code, message",
    [
        (b"one ||| um\n\xff\xfe two ||| dois\n", "E513", "line 2"),
        (b"one ||| um\n\ntwo dois\n", "E350", "line 3: 0 times"),
        (b"a ||| b ||| c\n", "E350", "line 1: 2 times"),
        ("one ||| um\n".encode("utf-16-le"), "E513", "line 1"),
        (gzip.compress(b"one ||| um\n" * 9999, mtime=0)[:-20], "E535", "damaged or cut short"),
    ],
)
def test_files_that_cannot_be_read_name_the_line(tmp_path, files, data, code, message):
    path, out = tmp_path / ("in.gz" if data.startswith(b"\x1f\x8b") else "in"), tmp_path / "out"
    path.write_bytes(data)
    result = _run(path, "-o", out, *files[2])
    assert result.exit_code == 1 and code in result.output and message in " ".join(result.output.split())
    assert not out.exists() and "Traceback" not in result.output


def test_missing_files_and_two_outputs_are_errors(files, tmp_path):
    source, target, config = files
    assert "E502" in _run(tmp_path / "none", target, *config).output
    assert "E502" in _run(source, tmp_path / "none", *config).output
    assert "E357" in _run(source, target, tmp_path / "o", "-o", tmp_path / "p", *config).output


def test_a_stream_is_aligned_in_parts_without_reading_ahead():
    taken = 0

    def pairs():
        nonlocal taken
        for i in range(2000):
            taken += 1
            yield ["a"] * (i % 3 + 1), ["b"] * (i % 3 + 1)

    engine = Crossing()
    stream = align_stream(engine, pairs(), source_lang="eng", target_lang="por_Latn")
    (first, _), alignment = next(stream)
    assert first == ["a"] and alignment.links.tolist() == [[0, 0]] and taken <= 512
    rest = list(stream)
    assert len(rest) == 1999 and rest[0][1].to_pharaoh() == "0-1 1-0" and max(engine.sizes) <= 512
    assert (engine.contexts[0].source_lang, engine.contexts[0].target_lang) == ("en", "pt")


def test_lists_of_texts_and_of_tokens_are_aligned():
    engine = Crossing()
    found = spacy_xlt.align(["a b", ["c d", "e"], ""], [["x", "y"], "z w", "q"], aligner=engine)
    assert [alignment.to_pharaoh() for alignment in found] == ["0-1 1-0", "0-1 1-0", ""]
    assert spacy_xlt.align(["It's."], ["a b c"], aligner=engine, tokenize=True, source_lang="en")[0].to_pharaoh() == (
        "0-2 1-1 2-0"
    )
    with pytest.raises(XltError, match="E356.*1 source and 2 target"):
        spacy_xlt.align(["a"], ["b", "c"], aligner=engine)


def test_without_an_engine_the_default_one_is_made_once(monkeypatch):
    from spacy_xlt.alignment import api

    made = []
    monkeypatch.setattr(api, "default_aligner", lambda: made.append(Crossing()) or made[-1])
    assert spacy_xlt.align(["a b"], ["x y"])[0].to_pharaoh() == "0-1 1-0" and len(made) == 1
    monkeypatch.undo()
    assert api.default_aligner() is api.default_aligner()


@given(
    lines=st.lists(
        # Text that is a quarter NUL is taken for UTF-16
        st.tuples(*[st.text(st.characters(codec="utf-8", exclude_characters="\n\r\ufeff|\0"), max_size=12)] * 2),
        max_size=8,
    )
)
def test_lines_are_read_back_as_they_were_written(tmp_path_factory, lines):
    folder = tmp_path_factory.mktemp("lines")
    for name, side in (("a", 0), ("b", 1)):
        (folder / name).write_bytes("".join(pair[side] + "\n" for pair in lines).encode("utf8"))
    assert list(read_line_pairs(folder / "a", folder / "b")) == lines
    assert all(" " not in token and "\t" not in token and token for a, _ in lines for token in split_tokens(a))


def test_a_reader_that_wants_no_more_is_no_error():
    code = (
        "import typer; from spacy_xlt.cli._app import friendly_errors\n"
        "app = typer.Typer()\n"
        "@app.command()\n"
        "@friendly_errors\n"
        "def talk() -> None:\n"
        "    for _ in range(100_000): print('x' * 100)\n"
        "app()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **WITHOUT_TORCH},
    ) as process:
        assert process.stdout.readline().startswith("xxx")
        process.stdout.close()
        assert "Traceback" not in process.stderr.read()
    assert process.returncode == 141
