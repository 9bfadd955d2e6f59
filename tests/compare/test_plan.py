"""Plans: what a comparison is asked to do, which jobs that makes, in which order, and which are still to do."""

from __future__ import annotations

import shutil
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest
from helpers.compare_plans import BASE, write_plan
from spacy.tokens import Doc

from spacy_xlt.compare.jobs import check_inputs, make_jobs, set_digests
from spacy_xlt.compare.plan import Plan, read_plan
from spacy_xlt.compare.predict import RECORD
from spacy_xlt.compare.status import STATE, prediction_digest, predictions_folder, statuses
from spacy_xlt.errors import XltError, XltWarning
from spacy_xlt.io import write_json

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
def corpora(
    tmp_path: Path, make_doc: Callable[..., Doc], write_corpus: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> Path:
    docs = [make_doc("Ana lives in Porto", (0, 1, "PER"), (3, 4, "LOC"))]
    for name in ("train", "dev", "test"):
        # not alike: each in a file of other content
        write_corpus([*docs, make_doc(f"only in {name}")], f"{name}.spacy")
    (tmp_path / "base.cfg").write_text(BASE)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def names(plan: Plan, **options: object) -> list[str]:
    return [job.name for job in make_jobs(plan, Path("out"), **options)]  # type: ignore[arg-type]


def test_every_strategy_has_a_job_for_each_seed(corpora: Path) -> None:
    plan = read_plan(write_plan(corpora, TWO, baseline="first"))
    assert names(plan) == ["first/0", "first/1", "second/0", "second/1"]
    assert names(plan, seeds=[1], only=["second"]) == ["second/1"]


def test_what_another_strategy_needs_comes_first(corpora: Path) -> None:
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


def test_names_in_braces_become_paths(corpora: Path) -> None:
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


ADAPTING_A = '[strategies.a]\ntype = "train"\nconfigs = ["base.cfg"]\noverrides = {"paths.encoder": "{run}/adapted"}\n'


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
        ('[strategies.a]\ntype = "train"\nconfigs = ["none.cfg"]\n', "E514", "none.cfg"),
        ('[strategies.a]\ntype = "train"\nconfigs = ["base.cfg"]\nlabel = {"raw": "x"}\n', "E660", "label.pipelines"),
        (
            '[strategies.a]\ntype = "train"\nconfigs = ["base.cfg"]\nlabel = {"pipelines": "x", "seed": 1}\n',
            "E660",
            "label.seed",
        ),
        (ADAPTING_A + 'adapt = {"overrides": {"adapting.steps": 1}}\n', "E660", "adapt.config"),
        (ADAPTING_A + 'adapt = {"config": "mlm.cfg", "steps": 1}\n', "E660", "adapt.steps"),
        (ADAPTING_A + 'adapt = {"config": "mlm.cfg", "overrides": 1}\n', "E660", "adapt.overrides"),
        (ADAPTING_A.replace("/adapted", "") + 'adapt = {"config": "mlm.cfg"}\n', "E660", "{run}/adapted"),
        (ADAPTING_A + 'adapt = {"config": "none.cfg"}\n', "E514", "none.cfg"),
        (ADAPTING_A + 'adapt = {"config": "base.cfg"}\n', "E609", "adapting.seed"),
        ('[strategies.a]\ntype = "average"\nmodels = "x"\nadapt = {"config": "mlm.cfg"}\n', "E660", "a.adapt"),
        ('[strategies.a]\nextends = "b"\n', "E660", "strategies.a.extends"),
        ('[strategies.a]\nextends = "b"\n[strategies.b]\nextends = "a"\n', "E660", "strategies.b.extends"),
    ],
)
def test_compare_rejects_invalid_plan(corpora: Path, strategies: str, code: str, said: str) -> None:
    name = "run" if ".run]" in strategies else "a"
    with pytest.raises(XltError) as caught:
        make_jobs(read_plan(write_plan(corpora, strategies, baseline=name)), Path("out"))
    assert caught.value.code == code
    assert said in caught.value.message


def test_unknown_strategies_and_seeds_are_named(corpora: Path) -> None:
    plan = read_plan(write_plan(corpora, TWO, baseline="first"))
    for options in ({"seeds": [7]}, {"only": ["third"]}):
        with pytest.raises(XltError) as caught:
            make_jobs(plan, Path("out"), **options)  # type: ignore[arg-type]
        assert caught.value.code == "E664"
    with pytest.raises(XltError, match="baseline"):
        read_plan(write_plan(corpora, TWO, baseline="third"))


def test_a_job_depends_on_what_its_config_uses_and_on_nothing_else(
    corpora: Path, write_corpus: Callable[..., Path], make_doc: Callable[..., Doc]
) -> None:
    path = write_plan(corpora, TWO, baseline="first")

    def hashes(setting: str = "compare.ceiling", value: object = None) -> list[str]:
        plan = read_plan(path, {setting: value})
        return [job.digest for job in make_jobs(plan, Path("out"), seeds=[0])]

    before = hashes()
    assert hashes() == before
    assert [job.digest for job in make_jobs(read_plan(path), Path("elsewhere"), seeds=[0])] == before
    # a variable that nothing uses, and a seed of the plan
    assert hashes("overrides.paths.unused", "x") == before
    assert hashes("compare.seeds", [0, 5]) == before
    changed = hashes("strategies.first.overrides.training.dropout", 0.7)
    assert (changed[0] != before[0], changed[1] == before[1]) == (True, True)
    write_corpus([make_doc("Rui sings", (0, 1, "PER"))], "train.spacy")
    assert all(new != old for new, old in zip(hashes(), before, strict=True))


def test_a_changed_job_says_what_kind_of_thing_changed(
    corpora: Path, write_corpus: Callable[..., Path], make_doc: Callable[..., Doc], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_plan(corpora, TWO + '\n[strategies.mean]\ntype = "average"\nmodels = "{first:*}"\n', baseline="first")

    def reasons(**overrides: object) -> dict[str, tuple[str, str]]:
        plan = read_plan(
            path, {f"strategies.first.overrides.training.{name}": value for name, value in overrides.items()}
        )
        found = statuses(make_jobs(plan, Path("out"), seeds=[0]), {})
        return {name: (status.state, status.reason) for name, status in found.items()}

    plan = read_plan(path)
    for job in make_jobs(plan, Path("out"), seeds=[0]):
        job.model.mkdir(parents=True)
        write_json(job.folder / STATE, {"parts": job.parts})
    assert {state for state, _ in reasons().values()} == {"to do"}
    assert reasons(dropout=0.7) == {
        "first/0": ("stale", "changed: settings"),
        "second/0": ("to do", "to be run on the evaluation sets"),
        "mean/all": ("stale", "changed: what it is made from"),
    }
    write_corpus([make_doc("Rui sings", (0, 1, "PER"))], "train.spacy")
    assert reasons(dropout=0.7)["first/0"] == ("stale", "changed: settings, input files")
    assert reasons()["second/0"] == ("stale", "changed: input files")
    monkeypatch.setattr("spacy_xlt.compare.jobs.__version__", "99")
    assert reasons()["second/0"] == ("stale", "changed: input files, package versions")


def test_a_model_that_is_gone_is_made_again_only_where_it_is_needed(corpora: Path) -> None:
    path = write_plan(corpora, TWO + '\n[strategies.mean]\ntype = "average"\nmodels = "{first:*}"\n', baseline="first")
    plan = read_plan(path)
    jobs = make_jobs(plan, Path("out"))
    for job in jobs:
        job.model.mkdir(parents=True)
        write_json(job.folder / STATE, {"parts": job.parts})
        write_json(predictions_folder(job) / RECORD, {"digest": prediction_digest(job, {})})
    assert {status.state for status in statuses(jobs, {}).values()} == {"done"}
    shutil.rmtree("out/runs/first/0/model-best")
    assert statuses(jobs, {})["first/0"].state == "done"
    Path("out/runs/mean/all", STATE).unlink()
    again = statuses(jobs, {})
    assert {name for name, status in again.items() if status.make} == {"first/0", "mean/all"}


def test_a_strategy_extends_another(corpora: Path) -> None:
    strategies = """
[strategies.base]
type = "train"
configs = ["base.cfg"]
model = "model-last"

[strategies.base.overrides]
training.dropout = 0.3
training.patience = 5

[strategies.more]
extends = "base"

[strategies.more.overrides]
training = {"dropout": 0.4}

[strategies.most]
extends = "more"
spans_key = "sc"
"""
    path = write_plan(corpora, strategies, baseline="base")
    base, more, most = read_plan(path).strategies.values()
    assert more.configs == most.configs == base.configs and most.model == "model-last"
    assert more.overrides == {**base.overrides, "training.dropout": 0.4} == most.overrides
    assert (more.spans_key, most.spans_key) == (None, "sc")
    changed = read_plan(path, {"strategies.base.overrides.training.patience": 7}).strategies["most"]
    assert changed.overrides["training.patience"] == 7


def test_a_plan_extends_another(corpora: Path) -> None:
    write_plan(corpora, TWO, baseline="first")
    Path("other").mkdir()
    Path("other/more.cfg").write_text(
        '[compare]\nextends = "../plan.cfg"\nseeds = [3]\nstrategies = ["first","third"]\n\n'
        '[strategies]\n\n[strategies.third]\nextends = "second"\n'
    )
    plan = read_plan("other/more.cfg", {"overrides.paths.dev": "x.spacy"})
    assert (plan.seeds, plan.baseline, plan.sets) == ((3,), "first", {"test": Path("test.spacy")})
    assert plan.strategies["third"].overrides["training.dropout"] == 0.3
    assert plan.strategies["third"].overrides["paths.dev"] == "x.spacy"
    assert names(plan) == ["first/3", "third/3"]
    assert names(plan, only=["second"]) == ["second/3"]
    Path("plan.cfg").write_text('[compare]\nextends = "other/more.cfg"\n')
    with pytest.raises(XltError, match="E660.*extends itself"):
        read_plan("other/more.cfg")


def test_reading_an_evaluation_set_in_training_is_warned_of(corpora: Path) -> None:
    plan = read_plan(write_plan(corpora, TWO, baseline="first"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        make_jobs(plan, Path("out"))
    leaking = read_plan(write_plan(corpora, TWO, baseline="first"), {"overrides.paths.train": "copy.spacy"})
    (corpora / "copy.spacy").write_bytes((corpora / "test.spacy").read_bytes())
    with pytest.warns(XltWarning, match="XLT-W660") as caught:
        make_jobs(leaking, Path("out"))
    assert len(caught) == 2


def test_compare_rejects_set_without_entities(
    corpora: Path, make_doc: Callable[..., Doc], write_corpus: Callable[..., Path]
) -> None:
    plan = read_plan(write_plan(corpora, TWO, baseline="first"), {"compare.labels": ["ORG"]})
    with pytest.raises(XltError, match="of ORG"):
        set_digests(plan)
    write_corpus([], "test.spacy")
    with pytest.raises(XltError) as caught:
        set_digests(read_plan(write_plan(corpora, TWO, baseline="first")))
    assert caught.value.code == "E503"


MANY = """
[strategies.many]
type = "train"
configs = ["base.cfg"]
overrides = {"paths.built": "built/{lang}"}

[strategies.one-{lang}]
extends = "many"
overrides = {"languages.targets": "{lang}"}
"""


def many_languages(folder: Path, targets: object = "deu,srp-Latn,srp-Cyrl,swe") -> Plan:
    path = write_plan(folder, MANY, baseline="many")
    path.write_text(path.read_text().replace("[sets]\n", '[sets]\n{lang} = "{lang}.spacy"\n'))
    return read_plan(
        path, {"overrides.languages.targets": targets, "overrides.paths.evaluation": ["test.spacy", "{lang}.spacy"]}
    )


def test_what_has_lang_in_it_is_there_for_each_target_language(corpora: Path) -> None:
    for lang in ("deu", "srp-Latn", "srp-Cyrl"):
        shutil.copy("test.spacy", f"{lang}.spacy")
    plan = many_languages(corpora)
    assert plan.sets == {name: Path(f"{name}.spacy") for name in ("deu", "srp-Latn", "srp-Cyrl", "test")}
    assert plan.no_gold == ["swe"]
    assert list(plan.strategies) == ["many", "one-deu", "one-srp-Latn", "one-srp-Cyrl", "one-swe"]
    many, one = plan.strategies["many"], plan.strategies["one-srp-Latn"]
    # A language without a file is in no list of files
    assert many.overrides["paths.evaluation"] == ["test.spacy", "deu.spacy", "srp-Latn.spacy", "srp-Cyrl.spacy"]
    assert (many.overrides["paths.built"], many.references()) == ("built/{lang}", [])
    assert (one.overrides["languages.targets"], one.group) == ("srp-Latn", "one-{lang}")
    assert (plan.sets_of(many), list(plan.sets_of(one))) == (plan.sets, ["srp-Latn"])
    assert not plan.sets_of(plan.strategies["one-swe"])
    assert read_plan(write_plan(corpora, TWO, baseline="first")).no_gold == []


def test_strategies_of_each_language_can_be_asked_for_alone(corpora: Path) -> None:
    (corpora / "base.cfg").write_text(f'{BASE}\n[languages]\ntargets = ""\n')
    shutil.copy("test.spacy", "deu.spacy")
    plan = many_languages(corpora, ["deu", "swe"])
    assert names(plan, seeds=[0], only=["one-{lang}"]) == ["one-deu/0", "one-swe/0"]
    assert names(plan, seeds=[0], only=["one-swe"]) == ["one-swe/0"]
    (job, *_) = make_jobs(plan, Path("out"), only=["many"])
    assert job.config()["paths"]["built"] == "built/{lang}"


@pytest.mark.parametrize(
    ("targets", "said"),
    [("", "targets"), (3, "targets"), ("deu,klingon", "klingon"), ("deu", "missing: deu.spacy")],
)
def test_languages_of_a_plan_are_checked(corpora: Path, targets: object, said: str) -> None:
    with pytest.raises(XltError, match=said.removeprefix("missing: ")) as caught:
        set_digests(many_languages(corpora, targets))
    assert caught.value.code == ("E502" if "missing" in said else "E660")


LABELLED = (
    TWO
    + """
[strategies.taught]
extends = "second"
overrides = {"paths.train": "{run}/labelled"}

[strategies.taught.label]
pipelines = ["{first:*}","{second}"]
raw = "pool.txt"

[strategies.taught-soft]
extends = "taught"
label = {"soft": true}
"""
)


def test_a_training_that_labels_first_needs_its_teachers(corpora: Path) -> None:
    Path("pool.txt").write_text("Ana lives in Lisbon\n")
    plan = read_plan(write_plan(corpora, LABELLED, baseline="first"))
    jobs = {job.name: job for job in make_jobs(plan, Path("out"))}
    assert [need.name for need in jobs["taught/1"].needs] == ["first/0", "first/1", "second/1"]
    for job in jobs.values():
        job.model.mkdir(parents=True)
    assert jobs["taught/1"].models() == [jobs[name].model for name in ("first/0", "first/1", "second/1")]
    assert plan.strategies["taught-soft"].label == {**plan.strategies["taught"].label, "soft": True}
    check_inputs(jobs.values())


def test_a_training_depends_on_the_text_that_it_labels(corpora: Path) -> None:
    path = write_plan(corpora, LABELLED, baseline="first")
    with pytest.raises(XltError, match="E502.*label.raw of the strategy taught.*pool.txt"):
        check_inputs(make_jobs(read_plan(path), Path("out")))
    digests = []
    for text in ("Ana lives in Lisbon", "Ana lived in Lisbon"):
        Path("pool.txt").write_text(text)
        digests.append({job.name: job.digest for job in make_jobs(read_plan(path), Path("out"))})
    changed = {name for name in digests[0] if digests[0][name] != digests[1][name]}
    assert changed == {"taught/0", "taught/1", "taught-soft/0", "taught-soft/1"}


MLM = """
[paths]
raw = null
unused = null
texts = {"pt":"pt.txt"}

[adapting]
steps = 10
seed = 5
model = "some-encoder"

[objectives.mlm]
@misc = "spacy_xlt.MaskedLanguage.v1"
weight = 1.0

[objectives.mlm.sentences]
@misc = "spacy_xlt.Sentences.v1"
paths = ${paths.texts}

[objectives.facts]
@misc = "spacy_xlt.Triples.v1"
path = ${paths.raw}
"""
ADAPTED = (
    TWO
    + """
[strategies.adapted]
extends = "second"
overrides = {"paths.encoder": "{run}/adapted"}

[strategies.adapted.adapt]
config = "mlm.cfg"
overrides = {"adapting.model": "{first}/encoder", "paths.raw": "raw.txt", "paths.texts": {"hr": "{run}/hr.txt"}}

[strategies.adapted-more]
extends = "adapted"

[strategies.adapted-more.adapt.overrides]
adapting.steps = 20
paths.log = "{run}/{seed}.json"

[strategies.same-encoder]
extends = "second"
overrides = {"paths.encoder": "{adapted}/adapted"}
"""
)


@pytest.fixture
def adapting(corpora: Path) -> Path:
    Path("mlm.cfg").write_text(MLM)
    Path("raw.txt").write_text("Ana mora no Porto")
    return write_plan(corpora, ADAPTED, baseline="first")


def test_an_adaptation_has_the_settings_of_what_its_strategy_extends(adapting: Path) -> None:
    jobs = {job.name: job for job in make_jobs(read_plan(adapting), Path("out"))}
    adapted, more = jobs["adapted/1"], jobs["adapted-more/1"]
    assert [need.name for need in more.needs] == ["first/1"]
    settings = {"seed": 1, "steps": 10, "model": "out/runs/first/1/encoder"}
    assert adapted.adapting()["adapting"] == settings
    assert more.adapting()["adapting"] == {**settings, "steps": 20}
    paths = more.adapting()["paths"]
    assert (paths["raw"], paths["log"]) == ("raw.txt", "out/runs/adapted-more/1/1.json")
    # The files of some languages take the place of those in the config
    assert paths["texts"] == {"hr": "out/runs/adapted-more/1/hr.txt"}
    assert adapted.config()["paths"]["encoder"] == str(adapted.adapted) == "out/runs/adapted/1/adapted"
    assert [need.name for need in jobs["same-encoder/0"].needs] == ["adapted/0"]
    assert jobs["same-encoder/0"].config()["paths"]["encoder"] == "out/runs/adapted/0/adapted"
    check_inputs(jobs.values())
    setting = "strategies.adapted-more.adapt.overrides.adapting.steps"
    assert read_plan(adapting, {setting: 30}).strategies["adapted-more"].adapt["overrides"]["adapting.steps"] == 30
    overrides = {"adapting.seed": 0, "paths.texts": {"zh": "zh.txt"}}
    same = read_plan(adapting, {f"strategies.adapted.adapt.overrides.{key}": value for key, value in overrides.items()})
    configs = [job.adapting() for job in make_jobs(same, Path("out"), only=["adapted"])[2:]]
    assert [(c["adapting"]["seed"], c["paths"]["texts"]) for c in configs] == [(0, {"zh": "zh.txt"})] * 2


@pytest.mark.parametrize(
    ("changed", "whose"),
    [
        ({"strategies.adapted-more.adapt.overrides.adapting.steps": 30}, {"adapted-more/0"}),
        ({"strategies.adapted.adapt.overrides.paths.unused": "x"}, set()),
        ({"mlm.cfg": MLM.replace("weight = 1.0", "weight = 0.5")}, {"adapted/0", "adapted-more/0", "same-encoder/0"}),
        ({"raw.txt": "Ana vive no Porto"}, {"adapted/0", "adapted-more/0", "same-encoder/0"}),
    ],
)
def test_a_training_depends_on_its_adaptation(adapting: Path, changed: dict[str, object], whose: set[str]) -> None:
    def digests(overrides: dict[str, object]) -> dict[str, str]:
        return {job.name: job.digest for job in make_jobs(read_plan(adapting, overrides), Path("out"), seeds=[0])}

    before = digests({})
    for name in (name for name in changed if Path(name).exists()):
        Path(name).write_text(str(changed[name]))
    after = digests({name: value for name, value in changed.items() if not Path(name).exists()})
    assert {name for name, digest in before.items() if after[name] != digest} == whose


@pytest.mark.parametrize(("setting", "code"), [("adapting.stepz", "E514"), ("objectives.mlm.weight", "E150")])
def test_a_setting_that_an_adaptation_cannot_have_is_known_before_anything_runs(
    adapting: Path, setting: str, code: str
) -> None:
    plan = read_plan(adapting, {f"strategies.adapted.adapt.overrides.{setting}": -1})
    with pytest.raises(XltError, match=f"{code}.*{setting.split('.')[-1]}"):
        make_jobs(plan, Path("out"))


def test_adapting_to_an_evaluation_set_is_warned_of(adapting: Path) -> None:
    plan = read_plan(adapting, {"strategies.adapted.adapt.overrides.paths.raw": "test.spacy"})
    with pytest.warns(XltWarning, match="XLT-W660.*adapted.*adapt.objectives.facts.path"):
        make_jobs(plan, Path("out"), only=["adapted"])


def test_a_broken_variable_of_an_adaptation_is_named(adapting: Path) -> None:
    Path("mlm.cfg").write_text(MLM.replace("paths.raw", "paths.rwa"))
    with pytest.raises(XltError, match="E666.*rwa"):
        make_jobs(read_plan(adapting), Path("out"))
