"""The model card: what a config and a build say of a pipeline, its licences, and what comes of it in a package."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import spacy
import yaml
from helpers.cli import spacy_cli
from helpers.paths import ASSETS
from helpers.scripts import try_package as trial
from spacy.language import Language
from spacy.tokens import Span
from spacy.training import Example
from typer.testing import CliRunner

from spacy_xlt.build.builder import build
from spacy_xlt.cli import app
from spacy_xlt.errors import XltError
from spacy_xlt.package.provenance import Provenance, find_data, read_licences, read_provenance

SCORES = {"ents_p": 0.5, "ents_r": 0.25, "ents_f": 1 / 3, "ents_per_type": {"PER": {"p": 0.5, "r": 0.25, "f": 1 / 3}}}


def card(*args: str | Path, licence: str = "CC BY-SA 3.0") -> str:
    done = CliRunner().invoke(app, ["card", *map(str, args), *(["--licence", licence] if licence else [])])
    assert done.exit_code == 0, done.output
    return done.output


def failed_card(*args: str | Path) -> str:
    done = CliRunner().invoke(app, ["card", *map(str, args)])
    assert done.exit_code == 1 and isinstance(done.exception, SystemExit)
    return " ".join(done.output.split())


def meta_of(folder: Path) -> dict:
    return json.loads((folder / "meta.json").read_text())


@pytest.fixture
def gold(write_corpus, make_doc) -> Path:
    docs = [make_doc("Ann saw Rome .", (0, 1, "PER"), (2, 3, "LOC")), make_doc("Bob slept .", (0, 1, "PER"))]
    return write_corpus(docs, "gold.spacy")


@pytest.fixture
def built(nlp: Language, gold, tmp_path) -> Path:
    build(nlp, gold, tmp_path / "built")
    return tmp_path / "built"


@pytest.fixture
def licences(tmp_path) -> Path:
    path = tmp_path / "licences.json"
    entries = {
        "news": {"name": "News 1.0", "licence": "CC BY-SA 3.0", "url": "https://news.example", "author": "A | B"},
        "wiki": {"name": "Wiki", "licence": "CC BY 4.0"},
        "secret": {"name": "Secret", "licence": None},
        "nc": {"name": "For study", "licence": "CC BY-NC 4.0"},
    }
    path.write_text(json.dumps(entries))
    return path


def save_pipeline(folder: Path, sources: dict, *, lang: str = "pt", dev_lang: str = "en") -> Path:
    """A tiny entity recogniser with the config of a training in it."""
    nlp = spacy.blank(lang)
    ner = nlp.add_pipe("ner", config={"model": {"tok2vec": {"width": 8, "embed_size": 8, "depth": 1}}})
    for label in ("PER", "LOC"):
        ner.add_label(label)
    doc = nlp.make_doc("Ann Rome")
    doc.set_ents([Span(doc, 0, 1, "PER"), Span(doc, 1, 2, "LOC")])
    nlp.initialize(lambda: [Example(doc.copy(), doc)])
    dev = {"dev": {"path": "dev.spacy", "lang": dev_lang, "kind": "gold"}}
    nlp.config["corpora"]["train"] = {"@readers": "spacy_xlt.MixedCorpus.v1", "sources": sources}
    nlp.config["corpora"]["dev"] = {"@readers": "spacy_xlt.DevCorpus.v1", "sources": dev}
    nlp.meta["performance"] = {"ents_f": 0.75, "ents_p": 0.7, "ents_r": 0.8, "ner_loss": 12.5}
    nlp.meta["name"] = "tiny"
    nlp.to_disk(folder)
    return folder


@pytest.fixture
def model(tmp_path, gold, built) -> Path:
    """Translate-train-all: the source and its translation."""
    sources = {
        "source": {"path": str(gold), "lang": "en", "kind": "gold"},
        "projected": {"path": str(built / "target"), "lang": "pt", "kind": "projected"},
    }
    return save_pipeline(tmp_path / "model", sources)


@pytest.mark.parametrize(
    ("sources", "strategy"),
    [
        ({"a": {"path": "a", "lang": "en", "kind": "gold", "limit": 9}}, "zero-shot"),
        ({"a": {"path": "a", "lang": "pt", "kind": "projected"}}, "translate-train"),
        (
            {
                "a": {"path": "a", "lang": "en", "kind": "gold"},
                "b": {"path": "b", "lang": "pt", "kind": "projected"},
                "c": {"path": "c", "lang": "pt", "kind": "gold", "limit": 50},
            },
            "few-shot",
        ),
        ({"a": {"path": "a", "lang": "pt", "kind": "gold"}}, "gold"),
    ],
)
def test_the_config_tells_the_strategy(tmp_path, sources, strategy):
    assert read_provenance(save_pipeline(tmp_path / "m", sources)).strategy == strategy


def test_the_card_says_how_the_pipeline_was_made(model, licences, tmp_path):
    (tmp_path / "scores.json").write_text(json.dumps(SCORES))
    card(model, "--data", "source=news,wiki", "--licences", licences, "--scores", f"Bosque={tmp_path / 'scores.json'}")
    meta = meta_of(model)
    assert meta["license"] == "CC BY-SA 3.0"
    assert [source["name"] for source in meta["sources"]] == ["News 1.0", "Wiki"]
    assert meta["description"] == "Named entities (LOC, PER) in pt, by translate-train-all from en."
    assert meta["performance"] == SCORES
    notes = meta["notes"]
    for row in (
        "| Strategy | translate-train-all |",
        "| Checkpoint selected by | source gold (en) |",
        "| xlt_translator | `upper-1` |",
        "| xlt_aligner | `diagonal-1` |",
        "| Needs spacy_xlt | no |",
        "| source | en | by people | News 1.0, Wiki |",
        # known by checksum to be a projection of the same files
        "| projected | pt | projected | News 1.0, Wiki |",
        "| News 1.0 | CC BY-SA 3.0 |",
        "| Bosque | 50.00 | 25.00 | 33.33 | PER 33.33 |",
    ):
        assert row in notes, row
    assert not any("spacy-xlt" in line for line in meta["requirements"])
    spacy.load(model)


def test_without_scores_the_card_says_whose_accuracy_it_shows(model, licences):
    card(model, "--data", "news", "--licences", licences)
    meta = meta_of(model)
    assert meta["performance"] == pytest.approx({"ents_f": 0.75, "ents_p": 0.7, "ents_r": 0.8})
    assert "accuracy above is that of the development corpus: source gold (en)" in meta["notes"]


def test_a_card_made_again_takes_the_place_of_the_old_one_and_nothing_else(model, licences, tmp_path):
    meta = meta_of(model)
    (model / "meta.json").write_text(json.dumps({**meta, "notes": "By hand.", "author": "Me", "email": "me@example"}))
    (tmp_path / "scores.json").write_text(json.dumps(SCORES))
    card(model, "--data", "news", "--licences", licences, "--scores", tmp_path / "scores.json")
    card(model, "--data", "wiki", "--licences", licences, "--strategy", "source-first")
    meta = meta_of(model)
    assert meta["notes"].startswith("By hand.") and meta["notes"].count("### How it was made") == 1
    assert "News" not in meta["notes"] and meta["author"] == "Me"
    assert meta["description"].endswith("by source-first from en.")
    # the development scores are still known
    assert meta["performance"]["ents_f"] == 0.75


def test_data_without_a_licence_stop_the_card_unless_they_may(model, licences):
    before = meta_of(model)
    assert re.search("XLT-E681.*source, projected", failed_card(model, "--licences", licences))
    assert "XLT-E681" in failed_card(model, "--data", "secret", "--licences", licences)
    assert "XLT-E681" in failed_card(model, "--data", "source=news", "--data", "other", "--licences", licences)
    assert meta_of(model) == before
    card(model, "--data", "secret", "--licences", licences, "--allow-unknown", licence="MIT")
    assert "| Secret | unknown |" in meta_of(model)["notes"] and meta_of(model)["license"] == "MIT"


def test_the_card_needs_a_licence_and_lists_those_of_the_data(model, licences):
    before = meta_of(model)
    assert re.search(
        "XLT-E682.*--license.*News 1.0: CC BY-SA 3.0", failed_card(model, "--data", "news", "--licences", licences)
    )
    assert meta_of(model) == before
    card(model, "--data", "news", "--licences", licences, licence="MIT")
    card(model, "--data", "wiki", "--licences", licences, licence="")
    assert meta_of(model)["license"] == "MIT"


def test_a_corpus_from_elsewhere_needs_a_licence_of_its_own(tmp_path, gold, licences, write_corpus, make_doc):
    other = write_corpus([make_doc("Other text .")], "other.spacy")
    sources = {
        "source": {"path": str(gold), "lang": "en", "kind": "gold"},
        "more": {"path": str(other), "lang": "en", "kind": "gold"},
    }
    model = save_pipeline(tmp_path / "m", sources)
    assert re.search("E681.*more", failed_card(model, "--data", "source=news", "--licences", licences))
    assert "E685" in failed_card(model, "--data", "target=news", "--licences", licences)


def test_the_encoder_is_part_of_the_pipeline_and_has_a_licence_too(model, licences):
    text = (model / "config.cfg").read_text()
    block = (
        '[components.transformer]\nfactory = "transformer"\n\n[components.transformer.model]\nname = "some/encoder"\n'
    )
    (model / "config.cfg").write_text(text.replace("[components.ner]\n", f"{block}\n[components.ner]\n", 1))
    assert read_provenance(model).encoder == "some/encoder"
    assert re.search("E681.*known of: encoder", failed_card(model, "--data", "news", "--licences", licences))
    card(
        model, "--data", "news", "--data", "encoder=wiki", "--licences", licences, "--name", "new", "--version", "2.0.0"
    )
    meta = meta_of(model)
    assert "| Encoder | Wiki |" in meta["notes"] and (meta["name"], meta["version"]) == ("new", "2.0.0")


def test_what_a_training_went_on_from_counts(tmp_path, model, licences):
    sources = {"projected": {"path": "gone", "lang": "pt", "kind": "projected"}}
    second = save_pipeline(tmp_path / "second", sources)
    text = (second / "config.cfg").read_text().replace("[paths]\n", f'[paths]\nfirst = "{model}"\n', 1)
    (second / "config.cfg").write_text(text)
    provenance = read_provenance(second)
    assert provenance.strategy == "source-first"
    assert [source.name for source in provenance.sources] == ["projected", "first.source", "first.projected"]
    shutil.rmtree(model)
    assert [source.name for source in read_provenance(second).sources] == ["projected", "first"]
    assert "E681" in failed_card(second, "--data", "projected=news", "--licences", licences)


def test_every_data_set_that_ships_is_in_the_file_of_licences():
    known = read_licences([ASSETS / "licences.json"])
    folders = {path.parent.relative_to(ASSETS).as_posix() for path in ASSETS.rglob("*.*") if path.parent != ASSETS}
    assert folders - set(known) == set() and {key for key in known if not key.startswith("bundled/")} == folders
    for name in folders:
        material = known[name]
        license_file = ASSETS / name / "LICENSE.txt"
        if license_file.exists() and material.licence:
            version = material.licence.split()[-1]
            assert version in license_file.read_text(encoding="utf8"), name


@pytest.mark.parametrize("text", ["[]", "{", '{"a": 3}', '{"a": {"licence": 3}}'])
def test_a_file_of_licences_that_is_something_else_is_refused(tmp_path, text):
    (tmp_path / "l.json").write_text(text)
    with pytest.raises(XltError, match="E680"):
        read_licences([tmp_path / "l.json"])


def test_scores_of_something_else_are_refused(model, licences, tmp_path):
    (tmp_path / "s.json").write_text('{"tag_acc": 1.0}')
    assert "E684" in failed_card(model, "--data", "news", "--licences", licences, "--scores", tmp_path / "s.json")
    assert "E502" in failed_card(model, "--data", "news", "--licences", licences, "--scores", tmp_path / "none.json")
    assert "E683" in failed_card(tmp_path, "--data", "news", "--licences", licences)


@pytest.fixture
def translate_test(nlp: Language, model, licences, tmp_path) -> Path:
    """A pipeline that runs only beside spacy_xlt, with another one inside."""
    card(model, "--data", "news", "--licences", licences)
    nlp.meta["name"] = "needy"
    nlp.to_disk(tmp_path / "needy")
    shutil.copytree(model, tmp_path / "needy/xlt_annotator")
    return tmp_path / "needy"


def test_a_pipeline_that_needs_spacy_xlt_says_so_and_names_what_is_inside_it(translate_test, licences):
    card(translate_test, "--licences", licences)
    meta = meta_of(translate_test)
    assert any(line.startswith("spacy-xlt") for line in meta["requirements"])
    assert "| Needs spacy_xlt | yes |" in meta["notes"] and "| Strategy | translate-test |" in meta["notes"]
    assert meta["license"] == "CC BY-SA 3.0" and meta["sources"][0]["name"] == "News 1.0"
    assert "put together, not trained" in meta["notes"]
    assert "| xlt_translator | `upper-1` |" in meta["notes"]
    assert "| Inside: `pt_tiny` | translate-train-all, selected by source gold (en) |" in meta["notes"]
    assert meta["description"] == "Named entities (LOC, PER) in en, by translate-test from pt."


def test_a_pipeline_inside_without_a_card_is_no_excuse(nlp, model, licences, tmp_path):
    nlp.to_disk(tmp_path / "needy")
    shutil.copytree(model, tmp_path / "needy/xlt_annotator")
    assert re.search("E681.*the data", failed_card(tmp_path / "needy", "--licences", licences))
    card(tmp_path / "needy", "--data", "wiki", "--licences", licences, licence="MIT")
    assert meta_of(tmp_path / "needy")["license"] == "MIT"


@pytest.fixture
def wheel(model, licences, tmp_path) -> Path:
    (tmp_path / "scores.json").write_text(json.dumps(SCORES))
    card(model, "--data", "news", "--licences", licences, "--scores", f"Bosque={tmp_path / 'scores.json'}")
    (tmp_path / "packages").mkdir()
    spacy_cli("package", model, tmp_path / "packages", "--build", "wheel")
    return trial.newest_wheel(tmp_path / "packages")


@pytest.mark.slow
def test_the_card_survives_packaging_the_clean_environment_and_a_push(wheel, model, tmp_path, monkeypatch):
    readme = (wheel.parent.parent / "README.md").read_text()
    assert "### How it was made" in readme and "[News 1.0](https://news.example) (A \\| B)" in readme
    assert "| Bosque | 50.00 | 25.00 | 33.33 | PER 33.33 |" in readme
    assert not trial.needs_spacy_xlt(wheel) and trial.try_package(wheel, ["Ann"])["found"][0]["text"] == "Ann"

    hub = pytest.importorskip("spacy_huggingface_hub.push")
    pushed = {}

    def upload(repo_id: str, folder_path: Path, path_in_repo: str, commit_message: str) -> str:
        pushed[repo_id] = {path.name: path.read_bytes() for path in Path(folder_path).glob("*.*")}
        return f"https://hub.example/{repo_id}/tree/main/"

    monkeypatch.setattr(hub, "upload_folder", upload)
    monkeypatch.setattr(hub.HfApi, "create_repo", lambda *args, **kwargs: None)
    assert hub.push(wheel, "me", silent=True)["url"] == "https://hub.example/me/pt_tiny"
    files = pushed["me/pt_tiny"]
    assert {"README.md", "meta.json", "config.cfg", "pt_tiny-any-py3-none-any.whl"} <= set(files)
    _, head, body = files["README.md"].decode().split("---\n", 2)
    assert yaml.safe_load(head)["license"] == "cc-by-sa-3.0"
    assert yaml.safe_load(head)["model-index"][0]["results"][0]["metrics"][2]["value"] == pytest.approx(1 / 3)
    assert body.strip() == readme.strip()


def test_a_copy_gets_the_card_and_takes_the_place_of_an_older_copy(model, licences, tmp_path):
    before = {path: path.read_bytes() for path in model.rglob("*") if path.is_file()}
    for key in ("news", "wiki"):
        card(model, "--data", key, "--licences", licences, "--output", tmp_path / "copy")
    assert {path: path.read_bytes() for path in model.rglob("*") if path.is_file()} == before
    (tmp_path / "copy" / "LICENSE").write_text("mine")
    assert "| Wiki |" in meta_of(tmp_path / "copy")["notes"]
    # What `spacy package` takes along; the copy is one still when its card is written again
    card(tmp_path / "copy", "--data", "wiki", "--licences", licences)
    card(model, "--data", "wiki", "--licences", licences, "--output", tmp_path / "copy")
    assert (tmp_path / "copy" / "LICENSE").read_text() == "mine"
    spacy.load(tmp_path / "copy")


@pytest.mark.parametrize("where", ["file", "other", "model/inside", "theirs", "pipeline", "with card"])
def test_nothing_but_an_earlier_copy_is_replaced_by_a_copy(model, licences, tmp_path, where):
    (tmp_path / "file").write_text("mine")
    (tmp_path / "theirs").mkdir()
    (tmp_path / "theirs/meta.json").write_text('{"title": "my thesis"}')
    for name in ("pipeline", "with card"):
        shutil.copytree(model, tmp_path / name)
    # It was trained there, and nowhere else are its weights
    card(tmp_path / "with card", "--data", "news", "--licences", licences)
    (tmp_path / "other").mkdir()
    (tmp_path / "other/mine").write_text("mine")
    assert "E687" in failed_card(
        model, "--data", "news", "--licences", licences, "--licence", "MIT", "-o", tmp_path / where
    )
    assert (tmp_path / "file").read_text() == (tmp_path / "other/mine").read_text() == "mine"
    assert "thesis" in (tmp_path / "theirs/meta.json").read_text() and "spacy_xlt" not in meta_of(tmp_path / "pipeline")


@pytest.mark.parametrize(
    ("option", "value", "hint"),
    [
        ("--name", "my-ner", "my_ner"),
        *(("--name", name, "module") for name in ("my ner", "1ner", "ner_", "ñer", "a.b", "-", "../x", "ner\n")),
        ("--version", "1.0-beta", "such as 1.0b0"),
        *(("--version", version, "PEP 440") for version in ("1.0 ", "v1.0", "latest", "1.0.0-1", "01.0", "1.0\n")),
    ],
)
def test_a_name_or_version_that_cannot_be_packaged_is_refused(model, licences, option, value, hint):
    before = (model / "meta.json").read_text()
    said = failed_card(model, "--data", "news", "--licences", licences, "--licence", "MIT", option, value)
    assert "E510" in said and hint in said and (model / "meta.json").read_text() == before


def test_names_that_can_be_packaged_are_taken(model, licences):
    card(model, "--data", "news", "--licences", licences, "--name", "My_ner2", "--version", "1.0.0b1")
    assert (meta_of(model)["name"], meta_of(model)["version"]) == ("My_ner2", "1.0.0b1")


def test_markup_in_names_is_text_in_the_card(model, licences, tmp_path):
    nasty = "<img src> `a` [b](http://c) d|e\nf"
    licences.write_text(json.dumps({"news": {"name": nasty, "licence": nasty}}))
    (tmp_path / "scores.json").write_text(json.dumps(SCORES | {"ents_per_type": {nasty: {"f": 0.5}}}))
    card(model, "--data", "news", "--licences", licences, "--scores", f"{nasty}={tmp_path / 'scores.json'}")
    notes = meta_of(model)["notes"]
    shown = "&lt;img src&gt; \\`a\\` \\[b\\](http://c) d\\|e f"
    assert notes.count(shown) == 6 and "<img" not in notes


def test_the_licence_of_a_bundled_encoder_is_known_by_itself(model, licences, tmp_path):
    folder = tmp_path / "encoder"
    folder.mkdir()
    (folder / "bundled.json").write_text('{"name": "encoder-en-pt"}')
    trimmed = tmp_path / "trimmed"
    trimmed.mkdir()
    (trimmed / "vocabulary.json").write_text(json.dumps({"model": str(folder)}))
    for encoder in (str(folder), str(trimmed), "bundled:encoder-en-pt"):
        provenance = replace(read_provenance(model), encoder=encoder)
        (data,) = find_data(provenance, {"source": ["news"]}, read_licences([licences]))["encoder"]
        assert (data.name, data.licence) == ("multilingual-e5-small", "MIT")
    provenance = replace(provenance, encoder=str(tmp_path / "other"))
    with pytest.raises(XltError, match="E681.*encoder"):
        find_data(provenance, {"source": ["news"]}, read_licences([licences]))


@pytest.mark.parametrize(
    ("nlp", "factories", "files"),
    [
        ({}, ["textcat"], []),
        ({}, ["xlt_ner", "textcat"], ["xlt_ner.py"]),
        ({}, ["xlt_relations"], ["span_links.py", "xlt_ner.py", "xlt_relations.py"]),
        ({}, ["xlt_ner", "xlt_relations"], ["xlt_ner.py", "span_links.py", "xlt_relations.py"]),
        ({}, ["xlt_seq2seq_ner"], ["xlt_ner.py", "tagged_text.py", "xlt_seq2seq_ner.py"]),
        ({"tokenizer": {"@tokenizers": "spacy_xlt.PieceTokenizer.v1"}}, [], ["xlt_ner.py"]),
        (
            {"tokenizer": {"@tokenizers": "spacy_xlt.PieceTokenizer.v1"}},
            ["xlt_relations"],
            ["xlt_ner.py", "span_links.py", "xlt_relations.py"],
        ),
    ],
)
def test_a_package_brings_the_files_of_its_components_and_tokenizer_once(nlp, factories, files):
    components = {name: {"factory": name} for name in factories}
    provenance = Provenance({}, {"nlp": nlp, "components": components}, [], "", None, [], needs_xlt=False)
    assert [file.name for file in provenance.code] == files
