"""Plans: what a comparison is asked to do, which jobs that makes, and in which order."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path

import pytest
from helpers.compare_plans import BASE, write_plan
from spacy.tokens import Doc

from spacy_xlt.compare.jobs import make_jobs, set_identities
from spacy_xlt.compare.plan import Plan, read_plan
from spacy_xlt.compare.state import statuses
from spacy_xlt.errors import XltError, XltWarning

TWO = """
[strategies.first]
type = "train"
configs = ["base.cfg"]

[strategies.second]
type = "train"
configs = ["base.cfg"]

[strategies.second.overrides]
training.dropout = 0.3
"""


@pytest.fixture
def corpora(tmp_path: Path, make_doc: Callable[..., Doc], write_corpus: Callable[..., Path]) -> Path:
    docs = [make_doc("Ana lives in Porto", (0, 1, "PER"), (3, 4, "LOC"))]
    for name in ("train", "dev", "test"):
        # not alike: each in a file of other content
        write_corpus([*docs, make_doc(f"only in {name}")], f"{name}.spacy")
    (tmp_path / "base.cfg").write_text(BASE)
    return tmp_path


def names(plan: Plan, **options: object) -> list[str]:
    return [job.name for job in make_jobs(plan, Path("out"), **options)]  # type: ignore[arg-type]


def test_every_strategy_has_a_job_for_each_seed(corpora: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(corpora)
    plan = read_plan(write_plan(corpora, TWO, baseline="first"))
    assert names(plan) == ["first/0", "first/1", "second/0", "second/1"]
    assert names(plan, seeds=[1], only=["second"]) == ["second/1"]


def test_what_another_strategy_needs_comes_first(corpora: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(corpora)
    strategies = """
[strategies.over-runs]
type = "average"
models = "{trained:*}"

[strategies.over-snapshots]
type = "average"
models = ["{trained}/snapshots/*", "{trained}"]

[strategies.trained]
type = "train"
configs = ["base.cfg"]
overrides = {"training.dropout": 0.2}
"""
    plan = read_plan(write_plan(corpora, strategies, baseline="trained"))
    jobs = make_jobs(plan, Path("out[1]"))
    assert [job.name for job in jobs] == [
        "trained/0", "trained/1", "over-runs/all", "over-snapshots/0", "over-snapshots/1"
    ]  # fmt: skip
    assert [need.name for need in jobs[2].needs] == ["trained/0", "trained/1"]
    assert [need.name for need in jobs[4].needs] == ["trained/1"]
    for step in ("snapshots/step-1", "snapshots/step-2", "snapshots/.hidden", "model-best"):
        for seed in "01":
            Path("out[1]/runs/trained", seed, step).mkdir(parents=True)
    assert [path.as_posix() for path in jobs[2].models()] == [
        "out[1]/runs/trained/0/model-best", "out[1]/runs/trained/1/model-best"
    ]  # fmt: skip
    assert [path.name for path in jobs[4].models()] == ["step-1", "step-2", "model-best"]
    # only what is asked for, and what that needs
    assert names(plan, only=["over-runs"]) == ["trained/0", "trained/1", "over-runs/all"]


def test_names_in_braces_become_paths(corpora: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(corpora)
    strategies = """
[strategies.next]
type = "train"
configs = ["base.cfg"]

[strategies.next.overrides]
initialize.init_tok2vec = "{first}"
paths.own = "{run}/snapshots-{seed}"

[strategies.first]
type = "train"
configs = ["base.cfg"]
model = "model-last"
"""
    plan = read_plan(write_plan(corpora, strategies, baseline="first"))
    job = make_jobs(plan, Path("out"))[-1]
    config = job.config()
    assert config["initialize"]["init_tok2vec"] == "out/runs/first/1/model-last"
    assert config["paths"]["own"] == "out/runs/next/1/snapshots-1"
    assert config["system"]["seed"] == 1
    assert config["training"]["logger"]["output_file"] == "out/runs/next/1/training.json"


@pytest.mark.parametrize(
    ("strategies", "code", "said"),
    [
        ('[strategies.a]\ntype = "guess"\n', "E660", "guess"),
        ('[strategies.a]\ntype = "train"\n', "E660", "strategies.a.configs"),
        ('[strategies.a]\ntype = "train"\nconfigs = ["base.cfg"]\nmodels = "x"\n', "E660", "strategies.a.models"),
        ('[strategies.run]\ntype = "train"\nconfigs = ["base.cfg"]\n', "E660", "strategies.run"),
        ('[strategies.a]\ntype = "average"\nmodels = "{b}"\n', "E661", "{b}"),
        (
            '[strategies.a]\ntype = "average"\nmodels = "{b}"\n[strategies.b]\ntype = "average"\nmodels = "{a}/x"\n',
            "E662",
            "a → b → a",
        ),
        (
            '[strategies.a]\ntype = "train"\nconfigs = ["base.cfg"]\n[strategies.b]\ntype = "train"\n'
            'configs = ["base.cfg"]\noverrides = {"initialize.init_tok2vec": "{a:*}"}\n',
            "E663",
            "{a:*}",
        ),
        ('[strategies.a]\ntype = "train"\nconfigs = ["none.cfg"]\n', "E608", "none.cfg"),
    ],
)
def test_a_plan_that_cannot_be_is_refused(
    corpora: Path, monkeypatch: pytest.MonkeyPatch, strategies: str, code: str, said: str
) -> None:
    monkeypatch.chdir(corpora)
    name = "run" if ".run]" in strategies else "a"
    with pytest.raises(XltError) as caught:
        make_jobs(read_plan(write_plan(corpora, strategies, baseline=name)), Path("out"))
    assert caught.value.code == code
    assert said in caught.value.message


def test_unknown_strategies_and_seeds_are_named(corpora: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(corpora)
    plan = read_plan(write_plan(corpora, TWO, baseline="first"))
    for options in ({"seeds": [7]}, {"only": ["third"]}):
        with pytest.raises(XltError) as caught:
            make_jobs(plan, Path("out"), **options)  # type: ignore[arg-type]
        assert caught.value.code == "E664"
    with pytest.raises(XltError, match="baseline"):
        read_plan(write_plan(corpora, TWO, baseline="third"))


def test_a_job_depends_on_what_its_config_uses_and_on_nothing_else(
    corpora: Path, monkeypatch: pytest.MonkeyPatch, write_corpus: Callable[..., Path], make_doc: Callable[..., Doc]
) -> None:
    monkeypatch.chdir(corpora)
    path = write_plan(corpora, TWO, baseline="first")

    def hashes(setting: str = "compare.ceiling", value: object = None) -> list[str]:
        plan = read_plan(path, {setting: value})
        return [job.hash for job in make_jobs(plan, Path("out"), seeds=[0])]

    before = hashes()
    assert hashes() == before
    assert [job.hash for job in make_jobs(read_plan(path), Path("elsewhere"), seeds=[0])] == before
    # a variable that nothing uses, and a seed of the plan
    assert hashes("overrides.paths.unused", "x") == before
    assert hashes("compare.seeds", [0, 5]) == before
    changed = hashes("strategies.first.overrides.training.dropout", 0.7)
    assert (changed[0] != before[0], changed[1] == before[1]) == (True, True)
    write_corpus([make_doc("Rui sings", (0, 1, "PER"))], "train.spacy")
    assert all(new != old for new, old in zip(hashes(), before, strict=True))


def test_what_depends_on_a_changed_job_is_done_again(corpora: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from spacy_xlt.compare.state import clear, finish

    monkeypatch.chdir(corpora)
    strategies = TWO + '\n[strategies.mean]\ntype = "average"\nmodels = "{first:*}"\n'
    path = write_plan(corpora, strategies, baseline="first")
    for job in make_jobs(read_plan(path), Path("out")):
        clear(job)
        job.model.mkdir()
        finish(job, seconds=1.0)
    plan = read_plan(path, {"strategies.first.overrides.training.dropout": 0.7})
    found = statuses(make_jobs(plan, Path("out")), {})
    assert {name: status.state for name, status in found.items()} == {
        "first/0": "stale", "first/1": "stale", "second/0": "done", "second/1": "done", "mean/all": "stale"
    }  # fmt: skip
    assert "training.dropout was 0.1 and is 0.7" in found["first/0"].reason
    assert "first/0, first/1" in found["mean/all"].reason
    # a model that is gone is made again only where something needs it
    import shutil

    shutil.rmtree("out/runs/first/0/model-best")
    assert statuses(make_jobs(read_plan(path), Path("out")), {})["first/0"].state == "done"
    Path("out/runs/mean/all/state.json").unlink()
    again = statuses(make_jobs(read_plan(path), Path("out")), {})
    assert (again["first/0"].make, again["first/1"].make, again["mean/all"].make) == (True, False, True)


def test_reading_an_evaluation_set_in_training_is_warned_of(corpora: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(corpora)
    plan = read_plan(write_plan(corpora, TWO, baseline="first"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        make_jobs(plan, Path("out"))
    leaking = read_plan(write_plan(corpora, TWO, baseline="first"), {"overrides.paths.train": "copy.spacy"})
    (corpora / "copy.spacy").write_bytes((corpora / "test.spacy").read_bytes())
    with pytest.warns(XltWarning, match="XLT-W660") as caught:
        make_jobs(leaking, Path("out"))
    assert len(caught) == 2


def test_a_set_without_entities_is_refused(
    corpora: Path, monkeypatch: pytest.MonkeyPatch, make_doc: Callable[..., Doc], write_corpus: Callable[..., Path]
) -> None:
    monkeypatch.chdir(corpora)
    plan = read_plan(write_plan(corpora, TWO, baseline="first"), {"compare.labels": ["ORG"]})
    with pytest.raises(XltError, match="of ORG"):
        set_identities(plan)
    write_corpus([], "test.spacy")
    with pytest.raises(XltError) as caught:
        set_identities(read_plan(write_plan(corpora, TWO, baseline="first")))
    assert caught.value.code == "E503"
