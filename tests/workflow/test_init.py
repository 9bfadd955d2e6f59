"""`spacy xlt init`: what it writes, what it chooses, and what it refuses."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest
import srsly
from helpers.demo import demo_values
from helpers.mine import write_data
from helpers.paths import ROOT
from spacy.tokens import DocBin
from thinc.api import Config
from typer.testing import CliRunner
from weasel.schemas import ProjectConfigSchema, validate

from spacy_xlt.cli import app
from spacy_xlt.compare.plan import read_plan
from spacy_xlt.config import find_config, load_pipeline_config, merge_configs
from spacy_xlt.errors import XltError
from spacy_xlt.languages import blank
from spacy_xlt.workflow.choices import Request, choose
from spacy_xlt.workflow.render import render, write_project


def init(*arguments: object) -> str:
    done = CliRunner().invoke(app, ["init", *map(str, arguments)])
    assert done.exit_code == 0, done.output
    return done.output


def test_the_repository_is_what_init_writes_for_english_and_portuguese():
    files = render(demo_values())
    del files["README.md"]
    assert {"project.yml", "configs/build_en_pt.cfg", "configs/compare.cfg"} < set(files)
    assert [path for path, text in files.items() if (ROOT / path).read_text(encoding="utf8") != text] == []


def test_the_licences_of_the_package_are_those_of_the_repository():
    ours = srsly.read_json(ROOT / "spacy_xlt/workflow/licences.json")
    theirs = srsly.read_json(ROOT / "assets/licences.json")
    assert {key: theirs[key] for key in ours} == ours


@pytest.fixture(scope="module")
def german(tmp_path_factory) -> tuple[Path, str]:
    """A project for German from parallel files, without gold, and what was said."""
    folder = tmp_path_factory.mktemp("german")
    data = write_data(folder / "data")
    files = ["--data", data / "mine.jsonl", "--parallel", data / "mine.en", data / "mine.de"]
    said = init(folder / "mine", "--source", "en", "--target", "de", *files)
    return folder / "mine", said


def test_a_project_of_ones_own_is_valid_and_holds_its_data(german, tmp_path, monkeypatch):
    folder, said = german
    project = srsly.read_yaml(folder / "project.yml")
    assert validate(ProjectConfigSchema, project) == []
    assert (folder / "assets/source/mine.jsonl").read_bytes() == (folder / "../data/mine.jsonl").read_bytes()
    assert project["vars"]["labels"] == "PER" and project["vars"]["target_lang"] == "de"
    # It is moved, and the data are away
    monkeypatch.chdir(folder.rename(tmp_path / "moved"))
    try:
        translator = load_pipeline_config(project["vars"]["build_config"]).get_pipe("xlt_translator")
        (translation,) = translator.engine.translate(
            ["Today Ada lives at number 2 in the old town."], source="en", target="de"
        )
        assert translation.text == "Heute wohnt Ada in Nummer 2 in der Altstadt."
        plan = read_plan("configs/compare.cfg")
        assert all(Path(config).is_file() for s in plan.strategies.values() for config in s.configs)
    finally:
        (tmp_path / "moved").rename(folder)
    assert "project run all" in said


def test_without_gold_in_the_target_language_it_says_what_the_table_is_worth(german):
    folder, said = german
    assert "no measure of German" in said and "--test FILE" in said
    plan = read_plan(folder / "configs/compare.cfg")
    assert list(plan.sets) == ["source-dev"] and plan.baseline == "translate-train-all"
    assert (
        "no measure" in (folder / "README.md").read_text() or "is about English" in (folder / "README.md").read_text()
    )


def test_the_encoder_of_all_languages_is_taken_for_other_languages_than_english_and_portuguese(german):
    folder, _ = german
    config = Config().from_disk(folder / "configs/build_en_de.cfg", interpolate=False)
    assert config["components"]["xlt_aligner"]["engine"]["model"] == "bundled:encoder"
    assert choose(Request(source="en", target="pt")).values["bundled_encoder"] == "encoder-en-pt"


def test_the_sample_is_annotated_on_both_sides_and_says_its_licence(tmp_path):
    said = init(tmp_path, "--source", "en", "--target", "pt")
    assert "sample" in said and "documents in Portuguese" in said and "CC BY-SA 4.0" in said
    assert "UNER_Portuguese-Bosque" in (tmp_path / "assets" / "LICENSE.txt").read_text()
    licences = srsly.read_json(tmp_path / "assets" / "licences.json")
    assert all(entry["licence"] for entry in licences.values())
    assert list(read_plan(tmp_path / "configs/compare.cfg").sets) == ["pt-test"]


def test_spans_that_overlap_are_trained_and_scored_as_spans(tmp_path):
    data = write_data(tmp_path / "data")
    request = Request(
        source="en",
        target="de",
        data=data / "mine.jsonl",
        parallel=(data / "mine.en", data / "mine.de"),
        task="spancat",
    )
    write_project(tmp_path / "mine", choose(request))
    plan = read_plan(tmp_path / "mine/configs/compare.cfg")
    strategy = plan.strategies["translate-train-all"]
    config = merge_configs([tmp_path / "mine" / path for path in strategy.configs if "vars" not in path])
    assert strategy.spans_key == "sc" and config["components"]["xlt_ner"]["mode"] == "per_label"
    assert "--spans-key sc" in (tmp_path / "mine/project.yml").read_text()


def test_a_language_that_spacy_has_no_class_for_becomes_xx(tmp_path):
    data = write_data(tmp_path / "data")
    files = {"data": data / "mine.jsonl", "parallel": (data / "mine.en", data / "mine.de")}
    values = choose(Request(source="en", target="ha", **files)).values
    assert values["pipeline_lang"] == "xx" and values["target_name"] == "Hausa"


def test_a_folder_with_something_in_it_is_left_alone(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    done = CliRunner().invoke(app, ["init", str(tmp_path), "--source", "en", "--target", "pt"])
    assert done.exit_code == 1 and "XLT-E553" in done.output and "is not empty" in done.output
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


@pytest.mark.parametrize(
    "options, code, said",
    [
        ({"target": "de"}, "E510", "--data FILE"),
        ({"target": "en-GB"}, "E510", "another language"),
        ({"task": "parsing"}, "E510", "--task"),
        ({"gpu_id": -2}, "E510", "--gpu-id"),
        ({"licence": 'my "own"'}, "E510", "--license"),
        ({"encoder": "bundled:other"}, "E703", "encoder-en-pt"),
        ({"data": Path("nowhere.jsonl")}, "E502", "nowhere.jsonl"),
        ({"labels": ("CITY",)}, "E522", "CITY"),
        ({"encoder": "./nowhere"}, "E303", "there is no such folder"),
        ({"encoder": str(ROOT)}, "E303", "no config.json"),
    ],
)
def test_what_cannot_be_is_said_before_anything_is_written(options, code, said):
    with pytest.raises(XltError, match=said) as caught:
        choose(Request(**{"source": "en", "target": "pt", **options}))
    assert caught.value.code == code


def test_a_label_that_project_yml_cannot_carry_is_refused(tmp_path):
    data = write_data(tmp_path / "data", label="the name")
    with pytest.raises(XltError, match="the name"):
        choose(Request(source="en", target="pt", data=data / "mine.jsonl"))


def test_too_few_documents_to_keep_any_back_are_refused(tmp_path):
    data = write_data(tmp_path / "data", n=1)
    with pytest.raises(XltError, match="--dev FILE"):
        choose(Request(source="en", target="pt", data=data / "mine.jsonl"))


def test_given_translations_of_one_name_are_both_kept(tmp_path):
    data = write_data(tmp_path / "data")
    files = []
    for side in ("en", "de"):
        (tmp_path / side).mkdir()
        files.append((data / f"mine.{side}").rename(tmp_path / side / "text.txt"))
    texts = [path.read_text() for path in files]
    choices = choose(Request(source="en", target="de", data=data / "mine.jsonl", parallel=tuple(files)))
    write_project(tmp_path / "mine", choices)
    engine = choices.values["engine"]
    assert [(tmp_path / "mine" / engine[f"{side}_file"]).read_text() for side in ("source", "target")] == texts
    assert choices.said["translations found"].startswith("of 60 of the first 60")


def test_a_translation_memory_goes_into_the_project(tmp_path):
    data = write_data(tmp_path / "data")
    lines = zip(*((data / f"mine.{side}").read_text().splitlines() for side in ("en", "de")), strict=True)
    (tmp_path / "memory.tsv").write_text("".join("\t".join(line) + "\n" for line in lines))
    request = Request(
        source="en", target="de", data=data / "mine.jsonl", translator=f"parallel:{tmp_path / 'memory.tsv'}"
    )
    choices = choose(request)
    assert choices.values["engine"]["memory"] == ["assets/parallel/memory.tsv"]
    assert choices.files["assets/parallel/memory.tsv"] == tmp_path / "memory.tsv"


@pytest.mark.parametrize(
    "german, code, said",
    [("Eine Zeile\n", "E234", "not parallel"), ("\n" * 60, "E235", "two languages"), (None, "E236", "Today Maria")],
)
def test_translations_that_cannot_be_used_are_refused_at_once(tmp_path, german, code, said):
    data = write_data(tmp_path / "data")
    if german is None:
        (data / "mine.en").write_text("Another text.\n" * 60)
    else:
        (data / "mine.de").write_text(german)
    files = (data / "mine.en", data / "mine.de")
    with pytest.raises(XltError, match=said) as caught:
        choose(Request(source="en", target="de", data=data / "mine.jsonl", parallel=files))
    assert caught.value.code == code


def test_only_paths_are_made_absolute(tmp_path, monkeypatch):
    data = write_data(tmp_path / "data")
    monkeypatch.chdir(tmp_path)
    Path("en").mkdir()
    files = (data / "mine.en", data / "mine.de")
    choices = choose(Request(source="en", target="de", data=data / "mine.jsonl", parallel=files))
    assert choices.values["engine"]["languages"] == ["en", "de"]


def test_a_variety_is_known_to_the_translator_alone(tmp_path):
    data = write_data(tmp_path / "data")
    values = choose(Request(source="en-GB", target="pt-BR", data=data / "mine.jsonl")).values
    assert (values["source"], values["target"], values["pipeline_lang"]) == ("en", "pt", "pt")
    config = Config().from_str(render(values)["configs/build_en_pt.cfg"], interpolate=False)
    assert config["nlp"]["lang"] == "en"
    component = config["components"]["xlt_translator"]
    assert (component["source"], component["target"]) == ("en-GB", "pt-BR")


def test_answers_that_are_no_translations_stay_out_of_the_training(tmp_path):
    data = write_data(tmp_path / "data")
    translator = "llm:some/model@http://localhost:8000/v1"
    values = choose(Request(source="en", target="de", data=data / "mine.jsonl", translator=translator)).values
    config = Config().from_str(render(values)["configs/build_en_de.cfg"], interpolate=False)
    assert config["components"]["xlt_translator"]["engine"]["model"]["model"] == "some/model"
    assert {"refused", "truncated", "commented"} <= set(config["components"]["xlt_projector"]["drop_flags"])


def test_gold_of_ones_own_takes_the_place_of_the_samples(tmp_path):
    (tmp_path / "gold.jsonl").write_text('{"text": "Maria vive.", "spans": [{"start": 0, "end": 5, "label": "PER"}]}\n')
    choices = choose(Request(source="en", target="pt", test=tmp_path / "gold.jsonl", labels=("PER",)))
    assert choices.sizes["test"] == 1 and choices.files["assets/test/gold.jsonl"] == tmp_path / "gold.jsonl"


@pytest.mark.parametrize("role", ["dev", "test"])
def test_what_is_trained_on_neither_chooses_nor_measures(tmp_path, role):
    data = write_data(tmp_path / "data") / "mine.jsonl"
    with pytest.raises(XltError, match=f"--{role}.*another file than --data"):
        choose(Request(source="en", target="pt", data=data, **{role: data}))


def test_a_project_does_not_lie_in_its_data(tmp_path):
    data = write_data(tmp_path / "data")
    done = CliRunner().invoke(
        app, ["init", str(data / "mine"), "--source", "en", "--target", "pt", "--data", str(data), "--format", "jsonl"]
    )
    assert done.exit_code == 1 and "XLT-E553" in done.output and not (data / "mine").exists()


def test_nothing_stays_of_a_project_that_cannot_be_written(tmp_path, monkeypatch):
    choices = choose(Request(source="en", target="pt"))

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("spacy_xlt.workflow.render.write_bytes", full)
        with pytest.raises(OSError):
            write_project(tmp_path / "mine", choices)
    assert list((tmp_path / "mine").iterdir()) == []
    write_project(tmp_path / "mine", choices)


def test_the_next_command_can_be_pasted_whatever_the_folder_is_called(tmp_path):
    said = init(tmp_path / "it's mine", "--source", "en", "--target", "pt")
    command = said.partition("Next: ")[2].partition(" && ")[0]
    assert shlex.split(command) == ["cd", str(tmp_path / "it's mine")]


def test_documents_are_kept_back_once_for_all_copies(tmp_path):
    data = write_data(tmp_path / "data") / "mine.jsonl"
    data.write_text(data.read_text() * 2)
    sides = []
    for number in range(2):
        out = [tmp_path / f"{number}/{name}.spacy" for name in ("train", "dev")]
        options = [str(data), str(out[0]), "--lang", "en", "--dev", str(out[1]), "--dev-share", "0.3"]
        done = CliRunner().invoke(app, ["convert", *options])
        assert done.exit_code == 0, done.output
        sides.append([[d.text for d in DocBin().from_disk(path).get_docs(blank("en").vocab)] for path in out])
    train, dev = map(set, sides[0])
    assert sides[0] == sides[1] and not train & dev and len(train | dev) == 60 and 5 < len(dev) < 30


def test_configs_of_the_package_are_found_by_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("build_en_pt", "build_en_pt.cfg", "configs/build_en_pt.cfg", "parts/lora", "configs/parts/lora.cfg"):
        assert find_config(name).is_file(), name
    (tmp_path / "project.cfg").write_text("[nlp]\n")
    assert find_config("project.cfg") == Path("project.cfg")
    # A folder is no config
    (tmp_path / "train").mkdir()
    assert find_config("train").is_file()
    for name in ("nothing", "../configs/project.cfg", "/project.cfg"):
        assert not find_config(name).exists()
