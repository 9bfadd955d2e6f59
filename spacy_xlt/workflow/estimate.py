"""How long a project is going to take, from a few documents and a few updates."""

from __future__ import annotations

import subprocess
import sys
import time
import zlib
from itertools import islice
from pathlib import Path
from typing import Any

from spacy import util
from spacy.training.initialize import init_nlp

from ..compare.jobs import make_jobs
from ..compare.plan import read_plan
from ..config import load_pipeline_config
from ..device import use_device
from ..readers.docbin import read_docs

_DOCS = 20
_UPDATES = 3
# Bytes
_PIECE = 1 << 22


def estimate(vars: dict[str, Any]) -> dict[str, float]:
    """Seconds that the steps `build`, `train` and `package` of the project in the working directory will take.

    Its steps before those have been run. What is timed are twenty documents of the source, and three updates of a
    training on the source alone, on the device that the project is for.

    Args:
        vars: Those of project.yml.
    """
    use_device(vars["gpu_id"], silent=False)
    docs = list(read_docs("corpus/source", lang=vars["source_lang"]))
    builder = load_pipeline_config(vars["build_config"])
    loading, per_doc = _two_rates(builder, docs)
    n_dev = len(list(read_docs("corpus/dev.spacy")))
    test = Path("corpus/test.spacy")
    n_test = len(list(read_docs(test))) if test.exists() else n_dev

    start = time.perf_counter()
    # Each training and each evaluation is a process of its own
    subprocess.run([sys.executable, "-c", "import spacy, torch, transformers"], check=True)
    process = time.perf_counter() - start
    start = time.perf_counter()
    settings = {"overrides.paths.encoder": vars["encoder"], "vars.hardware": vars["hardware"]}
    (job,) = make_jobs(read_plan("configs/compare.cfg", settings), Path("training"), [0], ["zero-shot"])
    nlp = init_nlp(job.config(), use_gpu=vars["gpu_id"])
    starting = time.perf_counter() - start
    per_update = _seconds_of_update(nlp)
    _, per_prediction = _two_rates(nlp, [doc.copy() for doc in docs])
    n_runs = len(vars["strategies"].split(",")) * len(str(vars["seeds"]).split(","))
    # The development set is read before the first update, after the last one and to make probabilities right
    predictions = (3 * min(n_dev, 300) + n_test) * per_prediction
    run = 2 * (process + starting) + vars["max_steps"] * per_update + predictions
    return {
        "build": loading + len(docs) * per_doc,
        "train": n_runs * run,
        # It loads the pipeline to score it, to describe it and to package it
        "package": 3 * starting + n_test * per_prediction + process + _seconds_of_wheel(nlp.to_bytes()),
    }


def _two_rates(nlp: Any, docs: list[Any]) -> tuple[float, float]:
    """Seconds until a pipeline is ready, and seconds a document: from documents all over the corpus."""
    sample = docs[:: max(1, len(docs) // _DOCS)][:_DOCS]
    start = time.perf_counter()
    # Models that load at their first use do so now
    list(nlp.pipe(doc.copy() for doc in sample[:1]))
    loaded = time.perf_counter()
    list(nlp.pipe(doc.copy() for doc in sample))
    return loaded - start, (time.perf_counter() - loaded) / len(sample)


def _seconds_of_wheel(data: bytes) -> float:
    """Seconds to compress a pipeline, from a piece in the middle of its weights."""
    piece = data[len(data) // 2 :][:_PIECE]
    start = time.perf_counter()
    zlib.compress(piece)
    return (time.perf_counter() - start) * len(data) / len(piece)


def _seconds_of_update(nlp: Any) -> float:
    config = nlp.config.interpolate()
    training = util.registry.resolve(config["training"])
    (corpus,) = util.resolve_dot_names(config, [training["train_corpus"]])
    seconds = []
    for batch in islice(training["batcher"](corpus(nlp)), _UPDATES + 1):
        start = time.perf_counter()
        nlp.update(batch, sgd=training["optimizer"], drop=training["dropout"])
        seconds.append(time.perf_counter() - start)
    # The first one is slower
    return sum(seconds[-_UPDATES:]) / len(seconds[-_UPDATES:])
