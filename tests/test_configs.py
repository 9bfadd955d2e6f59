"""The configs that ship are ordinary spaCy configs."""

from __future__ import annotations

import pytest
import spacy
from helpers.cli import spacy_cli
from helpers.paths import CONFIGS

from spacy_xlt.adapting.config import read_adapting
from spacy_xlt.compare.jobs import Job
from spacy_xlt.compare.plan import read_plan
from spacy_xlt.config import merge_configs, read_config
from spacy_xlt.training.selection import used_sources

# Pipelines that hold another one, which has to be trained first: tests of their own assemble them
HOLDERS = ("translate_test_", "ensemble_", "fused_", "parallel")
# Plans of `spacy xlt compare`, and no pipelines
PLANS = sorted(p.name for p in CONFIGS.glob("compare*.cfg"))
# Over train.cfg, and no configs by themselves
OVERLAYS = tuple(
    f"{name}.cfg" for name in "gpu spancat spancat_gpu tok2vec ner textcat slots_and_intents relations seq2seq".split()
)
SPACY = sorted(p.name for p in CONFIGS.glob("*.cfg") if p.name not in (*PLANS, *OVERLAYS))
PIPELINES = [name for name in SPACY if not name.startswith(("train", *HOLDERS))]
TRAININGS = [
    ["train"],
    ["train", "gpu"],
    ["train", "ner"],
    ["train", "ner", "gpu"],
    ["train", "ner", "spancat"],
    ["train", "ner", "gpu", "spancat", "spancat_gpu"],
    ["train", "ner", "tok2vec"],
    ["train", "ner", "textcat"],
    ["train", "ner", "gpu", "textcat"],
    ["train", "ner", "textcat", "slots_and_intents"],
    ["train", "ner", "gpu", "textcat", "slots_and_intents"],
    ["train", "relations"],
    ["train", "gpu", "relations"],
    ["train", "gpu", "seq2seq"],
]
STRATEGIES = {
    "zero_shot": ["source"],
    "translate_train": ["projected"],
    "translate_train_all": ["source", "projected"],
    "few_shot": ["source", "projected", "few_shot"],
    "gold": ["gold"],
    "source_first": ["projected"],
    "self_trained": ["source", "projected", "self_labelled"],
}


@pytest.mark.parametrize("names", TRAININGS, ids="-".join)
def test_spacy_fills_and_checks_a_training(names, tmp_path):
    merge_configs([CONFIGS / f"{name}.cfg" for name in names]).to_disk(tmp_path / "merged.cfg", interpolate=False)
    spacy_cli("init", "fill-config", tmp_path / "merged.cfg", tmp_path / "filled.cfg")
    paths = ["--paths.source", "a.spacy", "--paths.projected", "b.spacy", "--paths.dev", "c.spacy"]
    assert "Config is valid" in spacy_cli("debug", "config", tmp_path / "filled.cfg", *paths)


@pytest.mark.parametrize("name", STRATEGIES)
def test_a_strategy_is_the_list_of_its_sources(name):
    base = merge_configs([CONFIGS / "train.cfg"])
    merged = merge_configs([CONFIGS / "train.cfg", CONFIGS / "strategies" / f"{name}.cfg"])
    assert merged["corpora"]["train"].pop("use") == STRATEGIES[name]
    base["corpora"]["train"].pop("use")
    dev = merged["corpora"]["dev"]
    assert (dev["use"], dev["target_gold"]) == ((["gold"], True) if name == "gold" else (["source"], False))
    assert merged["corpora"]["train"] == base["corpora"]["train"] and merged["training"] == base["training"]


def test_the_languages_of_a_project_are_a_source_each():
    files = [CONFIGS / f"{name}.cfg" for name in ("train", "strategies/translate_train_all", "parts/languages")]
    config = merge_configs(files, {"languages.targets": "de, srp-Latn", "paths.projected": "built"}).interpolate()
    sources = used_sources(config["corpora"]["train"])
    assert {name: (one["lang"], one["path"]) for name, one in sources.items() if name != "source"} == {
        "projected/de": ("de", "built/de/target"), "projected/srp-Latn": ("srp-Latn", "built/srp-Latn/target")
    }  # fmt: skip
    assert sources["projected/de"]["augmenter"] is None


def test_every_strategy_and_part_that_ships_is_tested():
    assert {path.stem for path in (CONFIGS / "strategies").glob("*.cfg")} == set(STRATEGIES)


@pytest.mark.parametrize("name", PLANS)
def test_every_training_of_a_plan_has_the_settings_that_the_plan_sets(name):
    plan = read_plan(CONFIGS / name)
    trainings = [strategy for strategy in plan.strategies.values() if strategy.type == "train"]
    assert len(trainings) > 3 and len(plan.seeds) >= 3
    for strategy in trainings:
        configs = [CONFIGS.parent / path for path in strategy.configs]
        merged = merge_configs(configs, {})
        # A path or language that a strategy does not have changes nothing of it
        for setting, value in strategy.overrides.items():
            section, _, last = setting.rpartition(".")
            found = merged
            for part in section.split("."):
                found = found.get(part, {})
            assert section in ("paths", "languages") or last in found, (strategy.name, setting, value)


def test_the_plan_of_shots_differs_in_their_number_alone():
    plan = read_plan(CONFIGS / "compare_shots.cfg")
    shots = {name: plan.strategies[name] for name in plan.compared if name.startswith("few-shot")}
    limits = [s.overrides.get("corpora.train.sources.few_shot.limit") for s in shots.values()]
    assert limits == [None, 125, 1000, 2000]
    rest = [{k: v for k, v in s.overrides.items() if not k.endswith("few_shot.limit")} for s in shots.values()]
    assert all(settings == rest[0] for settings in rest)


def test_the_plan_of_adaptations_differs_in_the_objective_alone(tmp_path):
    plan = read_plan(CONFIGS / "compare_adapting.cfg")
    adapted = {name: strategy for name, strategy in plan.strategies.items() if strategy.adapt}
    first = adapted["self-align"]
    of_all = {"model": plan.strategies["plain"].overrides["paths.encoder"], "layers": None, "minutes": 10, "seed": 1}
    for name, strategy in adapted.items():
        assert strategy.adapt["config"] == f"configs/adapting/{name.replace('-', '_')}.cfg"
        assert strategy.overrides == first.overrides
        Job(strategy, 1, tmp_path).adapting().to_disk(tmp_path / "adapting.cfg", interpolate=False)
        settings, objectives = read_adapting(tmp_path / "adapting.cfg")
        assert objectives and {key: getattr(settings, key) for key in of_all} == of_all
        own = {key.split(".")[1] for key in strategy.adapt["overrides"] if key not in first.adapt["overrides"]}
        assert own <= set(read_config(strategy.adapt["config"])["paths"]), name


@pytest.mark.parametrize("name", PIPELINES)
def test_spacy_assembles_the_pipeline(name, tmp_path):
    spacy_cli("assemble", CONFIGS / name, tmp_path / "pipeline")
    nlp = spacy.load(tmp_path / "pipeline")
    assert nlp.pipe_names and all(name.startswith("xlt_") for name in nlp.pipe_names)
