"""One training config out of a base and overlays."""

from pathlib import Path

import pytest
from helpers.paths import CONFIGS
from spacy.util import load_config
from typer.testing import CliRunner

from spacy_xlt.cli import app
from spacy_xlt.config import merge_configs
from spacy_xlt.errors import XltError

BASE = """
[paths]
dev = null

[training]
dropout = 0.1
max_steps = 600

[training.batcher]
@batchers = "spacy.batch_by_words.v1"
size = 600
tolerance = 0.2

[components]

[components.ner]
factory = "ner"
moves = null

[corpora]

[corpora.dev]
@readers = "spacy.Corpus.v1"
path = ${paths.dev}
"""


def write(folder: Path, **texts: str) -> list[Path]:
    paths = [folder / f"{name}.cfg" for name in texts]
    for path, text in zip(paths, texts.values(), strict=True):
        path.write_text(text)
    return paths


def test_an_overlay_changes_what_it_names_and_nothing_else(tmp_path):
    paths = write(tmp_path, base=BASE, over="[training]\nmax_steps = 7\n\n[training.batcher]\nsize = 100\n")
    merged = merge_configs(paths)
    assert merged["training"]["max_steps"] == 7 and merged["training"]["dropout"] == 0.1
    assert merged["training"]["batcher"] == {"@batchers": "spacy.batch_by_words.v1", "size": 100, "tolerance": 0.2}
    # variables are for spacy train to fill
    assert merged["corpora"]["dev"]["path"] == "${paths.dev}"


@pytest.mark.parametrize(
    ("overlay", "block", "expected"),
    [
        (
            '[training.batcher]\n@batchers = "spacy.batch_by_sequence.v1"\nsize = 3\n',
            ("training", "batcher"),
            {"@batchers": "spacy.batch_by_sequence.v1", "size": 3},
        ),
        ('[components.ner]\nsource = "model"\n', ("components", "ner"), {"source": "model"}),
        ('[components.ner]\nfactory = "spancat"\n', ("components", "ner"), {"factory": "spancat"}),
    ],
)
def test_a_block_of_another_kind_replaces_the_one_below(tmp_path, overlay, block, expected):
    section, name = block
    head = f"[{section}]\n\n"
    merged = merge_configs(write(tmp_path, base=BASE, over=head + overlay))
    assert merged[section][name] == expected


def test_of_the_components_that_an_overlay_adds_those_in_the_pipeline_are_kept(tmp_path):
    over = '[components]\n\n[components.spancat]\nsource = "m"\n\n[components.ner]\nsource = "m"\n'
    paths = write(tmp_path, base=BASE + '\n[nlp]\npipeline = ["ner"]\n', over=over)
    assert merge_configs(paths)["components"] == {"ner": {"source": "m"}}


@pytest.mark.parametrize(
    ("configs", "parts"),
    [
        (["train"], ["xlt_ner"]),
        (["train", "ner"], ["transformer", "ner"]),
        (["train", "ner", "tok2vec"], ["tok2vec", "ner"]),
        (["train", "gpu", "seq2seq"], ["xlt_seq2seq_ner"]),
    ],
)
def test_source_first_fits_every_base(configs, parts):
    merged = merge_configs([CONFIGS / f"{name}.cfg" for name in (*configs, "strategies/source_first")])
    sourced = [name for name, block in merged["components"].items() if "source" in block]
    assert sorted(sourced) == sorted(parts)


def test_an_overlay_needs_no_parents_of_its_sections(tmp_path):
    over = "[initialize]\nvectors = null\n[initialize.before_init.callbacks.a]\nb = 1\n[corpora.dev]\nlimit = 5\n"
    merged = merge_configs(write(tmp_path, base=BASE, over=over))
    assert merged["corpora"]["dev"] == {"@readers": "spacy.Corpus.v1", "path": "${paths.dev}", "limit": 5}
    assert merged["initialize"] == {"before_init": {"callbacks": {"a": {"b": 1}}}, "vectors": None}


def test_a_setting_named_source_is_no_origin(tmp_path):
    merged = merge_configs(write(tmp_path, base=BASE, over='[paths]\nsource = "corpus"\n'))
    assert merged["paths"] == {"dev": None, "source": "corpus"}


@pytest.mark.parametrize("name", ["max_steps", "trainin.max_steps", "training.dropout.x"])
def test_an_override_of_no_section_is_refused(tmp_path, name):
    with pytest.raises(XltError, match="XLT-E609"):
        merge_configs(write(tmp_path, base=BASE), {name: 1})


def test_a_file_that_is_no_config_is_named(tmp_path):
    with pytest.raises(XltError, match=r"XLT-E514.*absent"):
        merge_configs([tmp_path / "absent.cfg"])
    with pytest.raises(XltError, match=r"XLT-E514.*bad"):
        merge_configs(write(tmp_path, bad="not a config\n"))


def test_command_writes_a_config_that_reads_back_the_same(tmp_path):
    (overlay,) = write(tmp_path, over="[training]\nmax_steps = 7\n")
    out = tmp_path / "new folder" / "all.cfg"
    settings = ["--training.dropout", "0.2"]
    command = ["merge-config", str(out), str(CONFIGS / "train.cfg"), str(overlay), *settings]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 0, result.output
    merged = load_config(out, interpolate=False)
    base = load_config(CONFIGS / "train.cfg", interpolate=False)
    base["training"].update(max_steps=7, dropout=0.2)
    assert merged == base
    # in the order that people know from spaCy
    assert list(merged) == list(base)
