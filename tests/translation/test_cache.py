"""The cache of translations: exact, shared by processes, bounded, and never in the way."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sqlite3
import subprocess
import sys
import time
import warnings
from contextlib import closing

import numpy as np
import pytest
import spacy
from helpers.translators import translator_pipe
from hypothesis import given, settings
from hypothesis import strategies as st
from spacy.cli._util import app
from typer.testing import CliRunner

import spacy_xlt.cli  # noqa: F401
from spacy_xlt.build.builder import build
from spacy_xlt.errors import XltWarning
from spacy_xlt.protocols import SoftAlignment, Translation
from spacy_xlt.translation.cache import CachedTranslator, TranslationCache, entry_key

WHERE = {"source": "en", "target": "pt", "signature": "test"}


class Counting:
    """Upper-cases, with an alignment, and counts the texts."""

    signature = "counting"

    def __init__(self):
        self.texts = 0

    def translate(self, texts, *, source, target):
        self.texts += len(texts)
        return [
            Translation(text.upper(), -0.25, ("odd",) if len(text) % 2 else (), soft(len(text), 2)) for text in texts
        ]


def soft(n_source: int, n_target: int) -> SoftAlignment:
    rng = np.random.default_rng(n_source)
    spans = [np.stack([np.arange(n), np.arange(n) + 1], axis=1).astype(np.int32) for n in (n_source, n_target)]
    return SoftAlignment(rng.random((n_source, n_target), dtype=np.float32), *spans)


def same(first: Translation, second: Translation) -> bool:
    if (first.text, first.score, first.flags) != (second.text, second.score, second.flags):
        return False
    if first.alignment is None or second.alignment is None:
        return first.alignment is second.alignment
    arrays = [[*soft.blocks, soft.source_spans, soft.target_spans] for soft in (first.alignment, second.alignment)]
    return all(a.dtype == b.dtype and np.array_equal(a, b) for a, b in zip(*arrays, strict=True))


@settings(deadline=None, max_examples=20)
@given(
    st.text(), st.text(), st.none() | st.floats(allow_nan=False), st.lists(st.text()), st.booleans(), st.integers(0, 9)
)
def test_what_comes_back_is_exactly_what_was_put_in(tmp_path_factory, text, made, score, flags, aligned, n):
    cache = TranslationCache(tmp_path_factory.mktemp("cache") / "c.sqlite")
    translation = Translation(made, score, tuple(flags), soft(n, 9 - n) if aligned else None)
    key = entry_key(text, **WHERE)
    cache.put([(key, text, translation)], **WHERE)
    (found,) = TranslationCache(cache.path).get([key]).values()
    assert same(found, translation)


def test_lone_surrogates_do_no_harm(tmp_path):
    cache = TranslationCache(tmp_path / "c.sqlite")
    cache.put([(entry_key("a\ud800", **WHERE), "a\ud800", Translation("\udfff"))], **WHERE)
    assert cache.get([entry_key("a\ud800", **WHERE)])[entry_key("a\ud800", **WHERE)].text == "\udfff"


def test_only_what_is_missing_is_translated_once_and_in_order(tmp_path):
    engine = Counting()
    cached = CachedTranslator(engine, cache=TranslationCache(tmp_path / "c.sqlite"), with_attention=True)
    languages = {"source": "en", "target": "pt"}
    assert [t.text for t in cached.translate(["b", "a", "b"], **languages)] == ["B", "A", "B"]
    assert (engine.texts, cached.hits, cached.misses) == (2, 1, 2)
    texts = [str(i) for i in range(600)]
    expected = engine.translate(["c", "a", *texts], **languages)
    engine.texts = 0
    for _ in range(2):
        assert all(map(same, cached.translate(["c", "a", *texts], **languages), expected))
    assert engine.texts == 601


def test_attention_is_kept_only_where_it_is_of_use(tmp_path):
    cache, engine = TranslationCache(tmp_path / "c.sqlite"), Counting()
    for with_attention in (False, True, False, True):
        cached = CachedTranslator(engine, cache=cache, with_attention=with_attention)
        (made,) = cached.translate(["a"], source="en", target="pt")
        assert (made.alignment is not None) is with_attention
    assert engine.texts == 2


def test_a_damaged_entry_is_translated_again(tmp_path):
    cached = CachedTranslator(Counting(), cache=TranslationCache(tmp_path / "c.sqlite"))
    cached.translate(["a"], source="en", target="pt")
    with sqlite3.connect(tmp_path / "c.sqlite") as connection:
        connection.execute("UPDATE translations SET value = x'00'")
    assert cached.translate(["a"], source="en", target="pt")[0].text == "A"
    assert cached.engine.texts == 2 and cached.translate(["a"], source="en", target="pt") and cached.engine.texts == 2


def test_it_stays_below_its_size_and_keeps_what_was_used_last(tmp_path, monkeypatch):
    cache = TranslationCache(tmp_path / "c.sqlite", max_mb=0.5)
    noise = np.random.default_rng(0)
    clock = [1_000_000]
    monkeypatch.setattr(time, "time", lambda: clock[0])
    keys = []
    for _ in range(300):
        clock[0] += 4000
        text = noise.bytes(2000).hex()
        keys.append(entry_key(text, **WHERE))
        cache.put([(keys[-1], text, Translation(text))], **WHERE)
        assert cache.get(keys[:1])
    with sqlite3.connect(cache.path) as connection:
        (total,) = connection.execute("SELECT SUM(size) FROM translations").fetchone()
    cache.close()
    assert total < 0.53 * (1 << 20) and cache.path.stat().st_size < 0.8 * (1 << 20)
    assert keys[0] in cache.get(keys) and keys[-1] in cache.get(keys) and keys[1] not in cache.get(keys)


def _write(path, first):
    cache = TranslationCache(path)
    for i in range(first, first + 60):
        text = f"text {i % 80}"
        cache.put([(entry_key(text, **WHERE), text, Translation(text.upper(), alignment=soft(9, 9)))], **WHERE)
        assert cache.get([entry_key(text, **WHERE)])


def test_many_processes_write_at_once(tmp_path):
    TranslationCache(tmp_path / "c.sqlite").get([b"x"])
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=_write, args=(tmp_path / "c.sqlite", 20 * i)) for i in range(4)]
    with warnings.catch_warnings():
        warnings.simplefilter("error", XltWarning)
        for process in processes:
            process.start()
        for process in processes:
            process.join()
    assert [process.exitcode for process in processes] == [0] * 4
    assert TranslationCache(tmp_path / "c.sqlite").stats().entries == 80


@pytest.mark.skipif(os.name != "posix", reason="kills a process")
def test_a_kill_leaves_a_cache_that_works(tmp_path):
    code = f"""
from spacy_xlt.protocols import Translation
from spacy_xlt.translation.cache import TranslationCache, entry_key
cache, where = TranslationCache({str(tmp_path / "c.sqlite")!r}), {WHERE!r}
for i in range(10**6):
    cache.put([(entry_key(f"{{i}} {{j}}", **where), "text", Translation("t" * 500)) for j in range(50)], **where)
    print(i, flush=True)
"""
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    for _ in range(5):
        process.stdout.readline()
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    cache = TranslationCache(tmp_path / "c.sqlite")
    stats = cache.stats()
    assert stats.entries >= 250 and stats.entries % 50 == 0
    assert len(cache.get([entry_key(f"4 {j}", **WHERE) for j in range(50)])) == 50
    _write(cache.path, 0)


def broken_caches(tmp_path):
    (tmp_path / "text.sqlite").write_text("this is no data base, and long enough for SQLite to see it" * 20)
    (tmp_path / "file").write_text("no folder")
    with sqlite3.connect(tmp_path / "newer.sqlite") as connection:
        connection.execute("PRAGMA user_version = 99")
    return [tmp_path / "text.sqlite", tmp_path / "file" / "c.sqlite", tmp_path / "newer.sqlite"]


def test_a_cache_that_cannot_be_used_is_said_once_and_left_out(tmp_path):
    for path in broken_caches(tmp_path):
        engine = Counting()
        pipe = translator_pipe(engine, cache=str(path))
        nlp = spacy.blank("en")
        with pytest.warns(XltWarning, match=f"W250.*{path.name}") as caught:
            for _ in range(3):
                assert pipe(nlp("go."))._.xlt["pt"].target.text == "GO."
        assert len(caught) == 1 and engine.texts == 3
    assert (tmp_path / "text.sqlite").read_text().startswith("this is no data base")


def test_a_full_disk_is_said_once_and_translating_goes_on(tmp_path):
    cached = CachedTranslator(Counting(), cache=TranslationCache(tmp_path / "c.sqlite"))
    cached.cache._open().execute("PRAGMA max_page_count = 12")
    texts = [f"text {i}" * 50 for i in range(200)]
    with pytest.warns(XltWarning, match="W250.*full"):
        for start in range(0, 200, 20):
            made = cached.translate(texts[start : start + 20], source="en", target="pt")
            assert [t.text for t in made] == [t.upper() for t in texts[start : start + 20]]


def test_where_the_cache_is(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert TranslationCache.located("user") == tmp_path / "spacy_xlt" / "translations.sqlite"
    assert TranslationCache.located(tmp_path) == tmp_path / "translations.sqlite"
    assert TranslationCache.located(tmp_path / "my.sqlite") == tmp_path / "my.sqlite"


@pytest.fixture
def pipeline(tmp_path):
    def make(**config):
        nlp = spacy.blank("en")
        nlp.add_pipe("xlt_translator", config={"target": "pt", "cache": str(tmp_path / "c.sqlite"), **config})
        engine = nlp.get_pipe("xlt_translator").engine = Counting()
        nlp.add_pipe("xlt_projector")
        return nlp, engine

    return make


def test_a_second_build_over_the_same_text_translates_nothing(pipeline, make_doc, write_corpus, tmp_path):
    docs = [make_doc(f"Maria saw {{x}} in Rio {i} . See x.org/{i}", (0, 1, "PER")) for i in range(4)]
    corpus = write_corpus(docs)
    nlp, engine = pipeline()
    first = build(nlp, corpus, tmp_path / "first", docs_per_shard=2)
    assert engine.texts >= 4 and first["cache"]["misses"] == engine.texts - 2
    nlp, engine = pipeline()
    second = build(nlp, corpus, tmp_path / "second", docs_per_shard=2)
    assert engine.texts == 0 and second["cache_hit_share"] == 1.0 and second["cache"]["misses"] == 0
    for name in ("target/pt-00000.spacy", "target/pt-00001.spacy", "bitext/00001.spacy"):
        assert (tmp_path / "first" / name).read_bytes() == (tmp_path / "second" / name).read_bytes()


def test_a_build_goes_on_with_another_cache(pipeline, make_doc, write_corpus, tmp_path):
    corpus = write_corpus([make_doc(f"Maria {i}", (0, 1, "PER")) for i in range(4)])
    build(pipeline()[0], corpus, tmp_path / "built", docs_per_shard=2)
    other, engine = pipeline(cache=str(tmp_path / "other.sqlite"), cache_mb=7)
    assert build(other, corpus, tmp_path / "built", docs_per_shard=2)["docs"] == 4 and engine.texts == 0


def xlt(*arguments) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["xlt", "cache", *map(str, arguments)])
    return result.exit_code, result.output


def test_the_command_shows_and_empties_a_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    path = TranslationCache.located("user")
    code, output = xlt("stats")
    assert code == 1 and "XLT-E502" in output
    CachedTranslator(Counting(), cache=TranslationCache("user")).translate(["one\ntwo", "x"], source="en", target="pt")
    code, output = xlt("stats")
    assert code == 0 and "2 translations" in output and "en-pt" in output and "counting" in output
    # What is long is last, so that it moves nothing
    rows = [line.split() for line in output.splitlines() if "en-pt" in line or "counting" in line]
    assert [row[0] for row in rows] == ["2", "2"]
    assert xlt("list", path, "--limit", 1)[1].count("en-pt") == 1
    assert "en-pt\tone two\tONE TWO (-0.25)" in xlt("list")[1]
    assert "2 translations removed" in xlt("clear")[1] and "0 translations" in xlt("stats")[1]
    assert xlt("explode")[0] == 2
    path.write_text("this is no data base, and long enough for SQLite to see it" * 20)
    code, output = xlt("stats")
    assert code == 1 and "XLT-E535" in output


def foreign(path, schema, *, application=0, wal=False):
    """An SQLite file of another program, with a row in a table that is called as ours is."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA journal_mode = {'WAL' if wal else 'DELETE'}")
        connection.executescript(schema)
        connection.execute(f"PRAGMA application_id = {application}")
        connection.execute("PRAGMA user_version = 1")
        n = len(connection.execute("PRAGMA table_info(translations)").fetchall())
        connection.execute(f"INSERT INTO translations VALUES ({','.join('1' * n)})")
        connection.commit()
    return path


@pytest.mark.parametrize("wal", [False, True])
@pytest.mark.parametrize(
    ("schema", "application"),
    [
        ("CREATE TABLE translations (id INTEGER PRIMARY KEY, source, target, signature, text, value, used)", 0),
        (TranslationCache.schema() + "CREATE TABLE mine (x);", 0),
        (TranslationCache.schema(), 1234),
    ],
)
def test_nothing_is_written_to_a_data_base_of_another_program(tmp_path, schema, application, wal):
    path = foreign(tmp_path / "other.sqlite", schema, application=application, wal=wal)
    before = path.read_bytes()
    for action in ("stats", "list", "clear"):
        code, output = xlt(action, path)
        assert code == 1 and "XLT-E535" in output and "no cache of translations" in " ".join(output.split())
    with pytest.warns(XltWarning, match="W250.*no cache of translations"):
        CachedTranslator(Counting(), cache=TranslationCache(path)).translate(["a"], source="en", target="pt")
    assert path.read_bytes() == before and [file.name for file in tmp_path.iterdir()] == [path.name]


def test_an_empty_file_is_not_emptied_and_may_become_a_cache(tmp_path):
    path = tmp_path / "c.sqlite"
    path.touch()
    assert xlt("clear", path)[0] == 1 and xlt("stats", path)[0] == 1 and path.read_bytes() == b""
    CachedTranslator(Counting(), cache=TranslationCache(path)).translate(["a"], source="en", target="pt")
    assert TranslationCache(path).stats().entries == 1


def test_a_cache_of_an_earlier_version_is_known_and_looking_changes_nothing(tmp_path):
    path = foreign(tmp_path / "c.sqlite", TranslationCache.schema())
    before = path.read_bytes()
    assert "1 translations" in xlt("stats", path)[1] and xlt("list", path)[0] == 0
    assert path.read_bytes() == before and [file.name for file in tmp_path.iterdir()] == [path.name]
    assert "1 translations removed" in xlt("clear", path)[1]
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA application_id").fetchone()[0]


def test_scores_are_the_same_with_and_without_a_cache_and_after_a_part_of_the_work(tmp_path):
    class Batches(Counting):
        """Scores depend a little on what else is in a call, as those of neural engines do."""

        def translate(self, texts, *, source, target):
            return [Translation(text.upper(), -len(text) / 7 - len(texts) * 1e-8) for text in texts]

    texts = ["a", "bb", "ccc", "bb"]
    for known in ([], ["bb"], texts):
        cache = TranslationCache(tmp_path / f"{len(known)}.sqlite")
        made = [
            CachedTranslator(Batches(), cache=kept).translate(some, source="en", target="pt")
            for kept, some in ((cache, known), (cache, texts), (None, texts))
        ]
        assert made[1] == made[2]
