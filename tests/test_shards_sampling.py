"""`spacy xlt shards sample`: documents drawn by chance, each with the same one."""

from __future__ import annotations

from collections import Counter

import pytest
from helpers.shards_build import EMPTY, N_DOCS, ONLY_PT
from hypothesis import given
from hypothesis import strategies as st
from spacy.cli._util import app
from typer.testing import CliRunner

import spacy_xlt.cli  # noqa: F401
from spacy_xlt.build.shards.draws import draw
from spacy_xlt.build.shards.records import Records
from spacy_xlt.build.shards.sampling import Sampler
from spacy_xlt.errors import XltError
from spacy_xlt.readers.docbin import read_docs


def sample(folder, path, **settings):
    Sampler(Records(folder), **settings).write(path, overwrite=True)
    return [doc.text for doc in read_docs(path)]


def test_a_sample_is_in_the_order_of_the_build_and_depends_on_the_seed_alone(built_shards, tmp_path):
    everything = [doc.text for doc in read_docs(built_shards / "target") if "-pt" in doc.text]
    samples = [sample(built_shards, tmp_path / "out.spacy", n=5, seed=seed, lang="pt") for seed in (0, 0, 1)]
    assert samples[0] == samples[1] != samples[2]
    for one in samples:
        assert len(one) == 5
        # A text that is there twice has no place of its own
        own = [text for text in one if everything.count(text) == 1]
        assert own == sorted(own, key=everything.index)


def test_a_larger_sample_has_the_smaller_one_in_it(built_shards, tmp_path):
    small, large = (sample(built_shards, tmp_path / "out.spacy", n=n, lang="pt") for n in (3, 9))
    assert set(small) < set(large)


def test_each_document_has_the_same_chance(built_shards, tmp_path):
    drawn = Counter(
        text for seed in range(40) for text in sample(built_shards, tmp_path / "out.spacy", n=6, seed=seed, lang="es")
    )
    # Of 12 documents that are not empty two have the same text. 20 times each is expected, with a standard deviation of
    # 3.2
    (copied, n_copied), *_ = drawn.most_common(1)
    assert copied.startswith("Maria-es saw-es Rio-es 0-es") and 25 < n_copied < 55
    once = [n for text, n in drawn.items() if text != copied]
    assert len(once) == N_DOCS - 4 and drawn.total() == 240
    assert 7 < min(once) and max(once) < 33


def test_documents_keep_their_annotation_and_empty_ones_are_not_drawn(built_shards, tmp_path):
    sampler = Sampler(Records(built_shards), n=100, lang="pt")
    sampler.write(tmp_path / "out.spacy")
    drawn = list(read_docs(tmp_path / "out.spacy"))
    assert sampler.found == sampler.drawn == len(drawn) == N_DOCS - 1
    original = [doc for doc in read_docs(built_shards / "target") if "-pt" in doc.text]
    assert [doc.to_json() for doc in drawn] == [doc.to_json() for doc in original]
    assert drawn[0].spans["xlt_ents"].attrs == original[0].spans["xlt_ents"].attrs


def test_bitexts_come_with_all_languages_or_with_one(built_shards, tmp_path):
    sample(built_shards, tmp_path / "out.spacy", n=100, what="bitext")
    drawn = list(read_docs(tmp_path / "out.spacy"))
    assert [list(doc._.xlt) for doc in drawn] == [["pt"] if i == ONLY_PT else ["pt", "es"] for i in range(N_DOCS)]
    assert [span.reason for span in drawn[EMPTY]._.xlt["es"].lost] == ["no_links"]
    sample(built_shards, tmp_path / "out.spacy", n=100, what="bitext", lang="es")
    assert [list(doc._.xlt) for doc in read_docs(tmp_path / "out.spacy")] == [["es"]] * (N_DOCS - 1)


@pytest.mark.parametrize(
    ("settings", "code"),
    [
        ({}, "E551.*es, pt"),
        ({"lang": "de"}, "E552.*es, pt"),
        ({"n": 0}, "E510.*-n"),
        ({"what": "lost"}, "E510.*--what"),
    ],
)
def test_what_cannot_be_drawn_is_refused_and_nothing_is_written(built_shards, tmp_path, settings, code):
    with pytest.raises(XltError, match=code):
        sample(built_shards, tmp_path / "out.spacy", **settings)
    assert [path.name for path in tmp_path.iterdir()] == ["built"]


def test_a_spoilt_shard_is_named(built_shards, tmp_path):
    path = built_shards / "target" / "pt-00002.spacy"
    path.write_bytes((built_shards / "target" / "pt-00001.spacy").read_bytes())
    with pytest.raises(XltError, match="E550.*shard 00002.*not what the build wrote"):
        sample(built_shards, tmp_path / "out.spacy", lang="pt")
    path.unlink()
    with pytest.raises(XltError, match="E550.*shard 00002.*No such file"):
        sample(built_shards, tmp_path / "out.spacy", lang="pt")
    assert [path.name for path in tmp_path.iterdir()] == ["built"]


def test_the_command_replaces_nothing_unasked(built_shards, tmp_path):
    out = tmp_path / "out.spacy"
    arguments = ["xlt", "shards", "sample", str(built_shards), str(out), "-n", "3", "--lang", "pt"]
    out.write_bytes(b"somebody's corpus")
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 1 and "XLT-E554" in result.output and out.read_bytes() == b"somebody's corpus"
    result = CliRunner().invoke(app, [*arguments, "--overwrite"])
    assert result.exit_code == 0 and f"3 of {N_DOCS - 1} documents" in result.output
    inside = built_shards / "target" / "pt-00000.spacy"
    before = inside.read_bytes()
    result = CliRunner().invoke(app, [*arguments[:4], str(inside), "--overwrite"])
    assert result.exit_code == 1 and "XLT-E553" in result.output and inside.read_bytes() == before


@given(st.integers(), st.text(max_size=20))
def test_a_draw_is_a_share_and_always_the_same(seed, name):
    assert 0.0 <= draw(seed, name) < 1.0 and draw(seed, name) == draw(seed, name)
