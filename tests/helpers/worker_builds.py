"""Building with worker processes or on a Ray cluster, and comparing what comes out."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import spacy
from spacy.language import Language
from spacy.tokens import Doc, DocBin, Span
from thinc.api import Config

from helpers import worker_engines
from spacy_xlt.build.builder import Builder
from spacy_xlt.build.executors.base import Executor
from spacy_xlt.build.executors.making import make_executor

CODE = Path(worker_engines.__file__)


def pipeline(**settings: Any) -> Language:
    """The pipeline of capitals. settings: Of its translator's engine."""
    config = Config().from_str(worker_engines.CONFIG)
    config["components"]["xlt_translator"]["engine"].update(settings)
    return spacy.util.load_model_from_config(config, auto_fill=True)


def write_texts(path: Path, texts: Sequence[str]) -> Path:
    """A corpus of texts whose first word is a person."""
    vocab = spacy.blank("en").vocab
    docs = [Doc(vocab, words=text.split()) for text in texts]
    for doc in docs:
        doc.set_ents([Span(doc, 0, 1, "PER")], default="outside")
    DocBin(docs=docs, store_user_data=True).to_disk(path)
    return path


def executor(nlp: Language, **settings: Any) -> Executor:
    """An executor that knows the engines."""
    return make_executor(nlp, code=CODE, **settings)


def built(output: Path) -> dict[str, Any]:
    """All that a build is for: the bytes of its files, and its records without their times, by shard."""
    files: dict[str, Any] = {
        str(path.relative_to(output)): path.read_bytes()
        for folder in ("target", "bitext", "lost")
        for path in sorted((output / folder).rglob("*"))
        if path.is_file()
    }
    lines = (output / "manifest.jsonl").read_text(encoding="utf8").splitlines()
    records = [json.loads(line) for line in lines[1:]]
    assert len({record["shard"] for record in records}) == len(records), "a shard was built twice"
    return {**files, **{record["shard"]: {**record, "seconds": list(record["seconds"])} for record in records}}


def in_process(nlp: Language, corpus: Path, output: Path, *, size: int) -> dict[str, Any]:
    """The same build without any workers."""
    Builder(nlp, corpus, output, docs_per_shard=size).run()
    return built(output)
