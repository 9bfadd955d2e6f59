"""Translation with Debian's Apertium."""

from __future__ import annotations

import gc
import multiprocessing
import os
import pickle
import shutil
import signal
import sys
import threading
import time
from pathlib import Path

import pytest
import spacy
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from spacy_xlt.errors import XltError
from spacy_xlt.protocols import Translator
from spacy_xlt.translation.apertium.engine import ApertiumTranslator
from spacy_xlt.translation.apertium.escaping import end_mark, protect, restore
from spacy_xlt.translation.apertium.modes import choose_mode, find_modes, package_for, split_at_tagger
from spacy_xlt.translation.apertium.process import Pipeline, PipelineFailure
from spacy_xlt.translation.apertium.runner import Runner

INSTALLED = ApertiumTranslator().directions if shutil.which("lt-proc") else []
SENTENCES = ["I have a black cat.", "They have gone home.", "This is well known.", "Mr Blemmings said it was damage."]


def needs(source: str, target: str):
    package = package_for(source, target)
    return pytest.mark.skipif(
        (source, target) not in INSTALLED, reason=f"Apertium is not here: apt-get install apertium {package}"
    )


@pytest.fixture(scope="module")
def engine() -> ApertiumTranslator:
    return ApertiumTranslator()


def texts(engine: ApertiumTranslator, *asked: str, source: str = "en", target: str = "es") -> list[str]:
    return [translation.text for translation in engine.translate(asked, source=source, target=target)]


def copying(*programs: str, timeout: float = 20.0) -> Runner:
    """A pipeline of small Python programs instead of Apertium's; each sees a text as `text` and gives back `text`."""
    frame = (
        "import os, sys, time\nout = sys.stdout.buffer\ndata = b''\n"
        "while chunk := os.read(0, 65536):\n    data += chunk\n    while b'\\0' in data:\n"
        "        text, data = data.split(b'\\0', 1)\n        {}\n        out.write(text + b'\\0'); out.flush()\n"
    )
    return Runner([[sys.executable, "-c", frame.format(program)] for program in programs], timeout=timeout)


# Without Apertium


def test_it_is_registered_and_made_with_defaults_alone():
    engine = spacy.registry.misc.get("spacy_xlt.ApertiumTranslator.v1")()
    assert isinstance(engine, Translator)
    assert engine.signature.startswith("apertium|")


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
def folder(tmp_path: Path) -> Path:
    names = ["eng-spa", "spa-eng", "spa-eng_US", "eng-cat", "eng-cat_valencia", "hbs-eng", "eng-spa-tagger", "x-y"]
    (tmp_path / "modes").mkdir()
    for name in names:
        (tmp_path / "modes" / f"{name}.mode").write_text("lt-proc 'a b.bin' | apertium-tagger -g $2 p | lt-proc $1 g")
    return tmp_path


def test_modes_become_directions_of_spacy_codes(folder):
    assert ApertiumTranslator(data_dir=str(folder)).directions == [
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


def test_a_mode_is_read_as_programs_that_flush_at_nul(folder):
    mode = choose_mode(find_modes(folder), source="en", target="es", variant=None)
    commands = [["lt-proc", "-z", "a b.bin"], ["apertium-tagger", "-z", "-g", "p"], ["lt-proc", "-z", "-n", "g"]]
    assert mode is not None and mode.commands(generation="-n") == commands
    assert [len(part) for part in split_at_tagger(commands)] == [1, 1, 1]
    assert split_at_tagger([["apertium-tagger", "-z", "-gx", "p"]])[1] == []


def test_a_mode_that_is_more_than_a_pipeline_is_refused(folder):
    (folder / "modes" / "eng-spa.mode").write_text("lt-proc a; rm -r b")
    with pytest.raises(XltError, match="E243"):
        ApertiumTranslator(data_dir=str(folder)).translate(["Hello."], source="en", target="es")


def test_the_error_names_the_debian_package(folder, tmp_path):
    with pytest.raises(XltError, match="apt-get install apertium apertium-eng-spa") as caught:
        ApertiumTranslator(data_dir=str(tmp_path / "none")).translate(["Hi."], source="en", target="es")
    assert caught.value.code == "E238"
    with pytest.raises(XltError, match="eng-spa.*apt-get install apertium-en-gl") as caught:
        ApertiumTranslator(data_dir=str(folder)).translate(["Hi."], source="en", target="gl")
    assert caught.value.code == "E201"
    with pytest.raises(XltError, match="E201.*no package"):
        ApertiumTranslator(data_dir=str(folder)).translate(["Hi."], source="en", target="ja")


def test_a_missing_program_is_an_error(folder):
    (folder / "modes" / "eng-spa.mode").write_text("no-such-program | cat")
    with pytest.raises(XltError, match="E238.*no-such-program"):
        ApertiumTranslator(data_dir=str(folder)).translate(["Hi."], source="en", target="es")


def test_settings_that_cannot_be():
    with pytest.raises(XltError, match="E239"):
        ApertiumTranslator(timeout=0)


def test_much_more_than_the_pipes_hold_does_not_block():
    asked = [f"{i} " + "word " * 20_000 for i in range(30)]
    assert copying("pass", "pass").translate([text.strip() for text in asked])[29][0] == asked[29].strip()


def test_a_program_that_dies_once_is_started_again(tmp_path):
    once = (
        f"p = {str(tmp_path / 'done')!r}\n        if b'bad' in text and not os.path.exists(p): os.mkdir(p); os._exit(3)"
    )
    assert [text for text, _ in copying(once, "pass").translate(["a", "bad", "c"])] == ["a", "bad", "c"]


def test_a_text_that_always_ends_a_program_is_named():
    runner = copying("pass", "if b'bad' in text: sys.exit('it broke')", "pass")
    with pytest.raises(XltError, match="E240.*'bad'.*it broke"):
        runner.translate(["a", "b", "bad", "c"])
    assert runner.translate(["d"]) == [("d", True)]


def test_a_program_that_hangs_is_given_up():
    runner = copying("if b'slow' in text: time.sleep(60)", timeout=0.5)
    start = time.monotonic()
    with pytest.raises(XltError, match=r"E240.*'slow'.*0\.5 seconds"):
        runner.translate(["a", "slow"])
    assert time.monotonic() - start < 10


def test_answers_out_of_step_are_noticed():
    with pytest.raises(XltError, match="E240.*out of step"):
        copying("text = text.replace(b'[end', b'[')").translate(["a"])


def test_the_programs_end_with_the_pipeline():
    pipeline = Pipeline([[sys.executable, "-c", "import time; time.sleep(60)"]] * 2, timeout=5.0)
    processes = pipeline._processes
    del pipeline
    gc.collect()
    assert [process.returncode for process in processes] == [-signal.SIGKILL] * 2


def test_a_pipeline_that_ended_says_so():
    pipeline = Pipeline([[sys.executable, "-c", "raise SystemExit('nothing to do')"]], timeout=5.0)
    with pytest.raises(PipelineFailure, match="nothing to do"):
        pipeline.exchange([b"a"], print)


# With it


@needs("en", "es")
def test_english_becomes_spanish(engine):
    assert texts(engine, "I have a black cat.", "") == ["Tengo un gato negro.", ""]
    assert texts(engine, "I have a black cat.", source="eng", target="spa_Latn") == ["Tengo un gato negro."]


@needs("en", "es")
def test_unknown_words_are_marked_only_when_wanted(engine):
    assert texts(engine, "I have a foobarium.") == ["Tengo un foobarium."]
    assert texts(ApertiumTranslator(mark_unknown=True), "I have a foobarium.") == ["Tengo un *foobarium."]


@needs("en", "es")
def test_what_is_no_word_comes_back_whole(engine):
    text = " \n[x] ^q$ @w {z} \\ / q~q  *f <b>q</b>\n\nq\tq\u00a0q\0q \ud800 q😀 q👩‍👧 \u200bq # qq "
    assert texts(engine, text) == [text]
    assert engine.translate([text], source="en", target="es")[0].flags == ()


@needs("en", "es")
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.text(alphabet="zqž#+*@[]{}^$\\/<>~_|&%'\"´  \n\t\0\u200d\u0301😀⚽ß1"), max_size=4))
def test_no_character_is_lost_among_unknown_words(engine, asked):
    translated = engine.translate(asked, source="en", target="es")
    assert len(translated) == len(asked)
    for text, translation in zip(asked, translated, strict=True):
        for character in "[]{}^$\\/<>~\n\t\0\u200d😀⚽|&":
            assert translation.text.count(character) == text.count(character), (text, translation)


@needs("en", "es")
def test_a_translation_does_not_depend_on_the_texts_before(engine):
    # "known" spoils Apertium's tagger for unknown words after it ("Blemmings")
    alone = [ApertiumTranslator().translate([text], source="en", target="es")[0].text for text in SENTENCES]
    assert texts(engine, *SENTENCES) == alone
    assert texts(engine, *reversed(SENTENCES)) == alone[::-1]


@needs("en", "es")
def test_it_runs_in_threads_and_forked_processes_and_after_pickling(engine):
    expected = texts(engine, *SENTENCES)
    results: dict[int, list[str]] = {}
    threads = [threading.Thread(target=lambda i=i: results.update({i: texts(engine, *SENTENCES)})) for i in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert list(results.values()) == [expected] * 3
    assert texts(pickle.loads(pickle.dumps(engine)), *SENTENCES) == expected
    if hasattr(os, "fork"):
        with multiprocessing.get_context("fork").Pool(1) as pool:
            assert pool.apply(_Forked(engine)) == expected
    assert texts(engine, *SENTENCES) == expected


_SHARED: list[ApertiumTranslator] = []


class _Forked:
    """Calls the very engine of the parent, with its running programs, in the child."""

    def __init__(self, engine: ApertiumTranslator):
        _SHARED[:] = [engine]

    def __call__(self) -> list[str]:
        return texts(_SHARED[0] if _SHARED else ApertiumTranslator(), *SENTENCES)


@needs("en", "ca")
@needs("en", "gl")
@needs("eu", "en")
def test_other_directions(engine):
    assert texts(engine, "I have a black cat.", "Good night!", target="ca") == ["Tinc un gat negre.", "Bona nit!"]
    assert texts(engine, "I have a black cat.", target="gl") == ["Teño un gato negro."]
    assert "house" in texts(engine, "Etxea handia da.", source="eu", target="en")[0].lower()


@needs("en", "es")
def test_documents_are_translated_in_one_and_two_processes():
    nlp = spacy.blank("en")
    nlp.add_pipe("xlt_translator", config={"engine": {"@misc": "spacy_xlt.ApertiumTranslator.v1"}, "target": "es"})
    expected = ["Tengo un gato negro.", "Han ido casa."]
    for n_process in (1, 2):
        docs = list(nlp.pipe(SENTENCES[:2], n_process=n_process))
        assert [doc._.xlt["es"].target.text for doc in docs] == expected
