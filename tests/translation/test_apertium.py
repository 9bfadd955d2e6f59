"""Translation with Debian's Apertium."""

from __future__ import annotations

import shutil
import sys
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from spacy_xlt.errors import DocumentError, XltError
from spacy_xlt.translation.apertium import ApertiumTranslator, choose_mode, end_mark, find_modes, protect, restore

INSTALLED = ApertiumTranslator().directions if shutil.which("lt-proc") else []
SENTENCES = ["I have a black cat.", "They have gone home.", "This is well known."]


def needs(source: str, target: str):
    return pytest.mark.skipif((source, target) not in INSTALLED, reason=f"Apertium has no {source}-{target} here")


@pytest.fixture(scope="module")
def engine() -> ApertiumTranslator:
    return ApertiumTranslator()


def texts(engine: ApertiumTranslator, *asked: str, source: str = "en", target: str = "es") -> list[str]:
    return [translation.text for translation in engine.translate(asked, source=source, target=target)]


@pytest.fixture
def program(folder, tmp_path, monkeypatch):
    """Put a Python program in the place of the command; it sees the texts in `texts` and writes what is there then."""

    def make(code: str, **settings) -> ApertiumTranslator:
        path = tmp_path / "bin" / "apertium"
        path.parent.mkdir(exist_ok=True)
        frame = "import sys, time\ntexts = sys.stdin.buffer.read().split(b'\\0')\n{}\n"
        frame += "sys.stdout.buffer.write(b'\\0'.join(texts))\n"
        path.write_text(f"#!{sys.executable}\n{frame.format(code)}")
        path.chmod(0o755)
        monkeypatch.setenv("PATH", str(path.parent))
        return ApertiumTranslator(**settings)

    return make


# Without Apertium


@given(st.text())
def test_any_text_survives_the_stream_format(text):
    text = text.strip()
    data, kept = protect(text, 7)
    assert b"\0" not in data and data.endswith(end_mark(7))
    assert restore(data.removesuffix(end_mark(7)).decode("utf8"), kept) == (text, True)


def test_a_lost_superblank_is_noticed():
    data, kept = protect("a\tb  c", 0)
    assert restore(data.decode().replace("[1]", " "), kept) == ("a\tb c", False)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    names = ["eng-spa", "spa-eng", "spa-eng_US", "eng-cat", "eng-cat_valencia", "hbs-eng", "eng-spa-tagger", "x-y"]
    (tmp_path / "modes").mkdir()
    monkeypatch.setenv("APERTIUM_DATADIR", str(tmp_path))
    for name in names:
        (tmp_path / "modes" / f"{name}.mode").write_text("lt-proc 'a b.bin' | apertium-tagger -g $2 p | lt-proc $1 g")
    return tmp_path


def test_modes_become_directions_of_spacy_codes(folder):
    assert ApertiumTranslator().directions == [
        ("bs", "en"), ("en", "ca"), ("en", "es"), ("es", "en"), ("hr", "en"), ("sr", "en")
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("target", "variant", "expected"),
    [("ca", None, "eng-cat"), ("cat", None, "eng-cat"), ("ca", "valencia", "eng-cat_valencia"), ("ca", "US", None)],
)
def test_the_usual_variant_is_chosen_where_none_is_set(folder, target, variant, expected):
    mode = choose_mode(find_modes(folder), source="en", target=target, variant=variant)
    assert (mode.path.stem if mode else None) == expected


def test_the_region_of_the_target_chooses_the_variant(folder):
    mode = choose_mode(find_modes(folder), source="es", target="en-US", variant=None)
    assert mode is not None and mode.path.stem == "spa-eng_US"


def test_a_direction_that_is_not_installed_is_an_error(folder, tmp_path, monkeypatch):
    with pytest.raises(XltError, match="E201.*'gl'.*eng-spa"):
        ApertiumTranslator().translate(["Hi."], source="en", target="gl")
    monkeypatch.setenv("APERTIUM_DATADIR", str(tmp_path / "none"))
    with pytest.raises(XltError, match="E238.*has no modes.*apt-get install"):
        ApertiumTranslator().translate(["Hi."], source="en", target="es")


def test_more_texts_than_a_batch_come_back_in_order(program):
    asked = [f"{i} {'word ' * 30}end" for i in range(600)]
    assert texts(program("pass"), *asked) == asked


def test_the_text_at_which_the_programs_end_is_named(program):
    engine = program(
        "at = [b'bad' in text for text in texts].index(True)\ntexts = texts[:at]\nprint('it broke', file=sys.stderr)"
    )
    with pytest.raises(XltError, match="E240.*'bad'.*it broke") as caught:
        engine.translate(["a", "b", "bad", "c"], source="en", target="es")
    assert isinstance(caught.value, DocumentError)


def test_answers_out_of_place_are_noticed(program):
    with pytest.raises(XltError, match="E240.*'a'.*not in the output"):
        texts(program("texts = texts[::-1]"), "a", "b")


def test_a_program_that_hangs_is_ended_with_those_it_started(program, tmp_path):
    code = "import subprocess; p = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
    code += f"open({str(tmp_path / 'pid')!r}, 'w').write(str(p.pid)); time.sleep(60)"
    start = time.monotonic()
    with pytest.raises(XltError, match=r"E240.*'slow'.*5 seconds"):
        texts(program(code, timeout=5), "slow")
    assert time.monotonic() - start < 30
    deadline = time.monotonic() + 10
    while _runs(int((tmp_path / "pid").read_text())) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not _runs(int((tmp_path / "pid").read_text()))


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().split(")")[-1].split()[0] != "Z"
    except OSError:
        return False


# With it


@needs("en", "es")
def test_english_becomes_spanish(engine):
    assert texts(engine, "I have a black cat.", "") == ["Tengo un gato negro.", ""]
    assert texts(engine, "I have a black cat.", source="eng", target="spa_Latn") == ["Tengo un gato negro."]


@needs("en", "es")
def test_what_is_no_word_comes_back_whole(engine):
    text = " \n[x] ^q$ @w {z} \\ / q~q  *f <b>q</b>\n\nq\tq\u00a0q\0q \ud800 q😀 q👩‍👧 \u200bq # qq "
    assert texts(engine, text) == [text]
    assert engine.translate([text], source="en", target="es")[0].flags == ()


@needs("en", "es")
@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.text(alphabet="zqž#+*@[]{}^$\\/<>~_|&%'\"´  \n\t\0\u200d\u0301😀⚽ß1"), max_size=4))
def test_no_character_is_lost_among_unknown_words(engine, asked):
    translated = engine.translate(asked, source="en", target="es")
    assert len(translated) == len(asked)
    for text, translation in zip(asked, translated, strict=True):
        for character in "[]{}^$\\/<>~\n\t\0\u200d😀⚽|&":
            assert translation.text.count(character) == text.count(character), (text, translation)


@needs("en", "ca")
@needs("en", "gl")
@needs("eu", "en")
def test_other_directions(engine):
    assert texts(engine, "I have a black cat.", "Good night!", target="ca") == ["Tinc un gat negre.", "Bona nit!"]
    assert texts(engine, "I have a black cat.", target="gl") == ["Teño un gato negro."]
    assert "house" in texts(engine, "Etxea handia da.", source="eu", target="en")[0].lower()
