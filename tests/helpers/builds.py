"""A pipeline for builds, a corpus for it, and what a build is for."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import spacy
from spacy.language import Language
from spacy.tokens import Doc, DocBin, Span
from thinc.api import Config

from helpers import engines
from helpers.vocabs import vocab_of
from spacy_xlt.build.builder import build

CODE = Path(engines.__file__)
CONFIG = """
[nlp]
lang = "en"
pipeline = ["xlt_translator","xlt_aligner","xlt_projector"]
[components]
[components.xlt_translator]
factory = "xlt_translator"
target = "pt"
[components.xlt_translator.engine]
@misc = "test.UpperTranslator.v1"
[components.xlt_aligner]
factory = "xlt_aligner"
engine = {"@misc":"test.DiagonalAligner.v1"}
[components.xlt_projector]
factory = "xlt_projector"
"""
# The same with a translator behind an endpoint, to be filled with its `url` and a file for the `cache` of answers
LLM_ENGINE = """@misc = "spacy_xlt.LlmTranslator.v1"
[components.xlt_translator.engine.model]
@misc = "spacy_xlt.EndpointModel.v1"
base_url = "{url}"
model = "m"
cache = "{cache}"
concurrency = 1
retries = 0
"""
LLM_CONFIG = CONFIG.replace("{", "{{").replace("}", "}}").replace('@misc = "test.UpperTranslator.v1"\n', LLM_ENGINE)


def make_pipeline(**settings: Any) -> Language:
    """The pipeline of `CONFIG`, with settings of the translator's engine."""
    config = Config().from_str(CONFIG)
    config["components"]["xlt_translator"]["engine"].update(settings)
    return spacy.util.load_model_from_config(config, auto_fill=True)


def write_texts(path: Path, texts: Sequence[str]) -> Path:
    """A corpus of texts whose first word is a person."""
    vocab = vocab_of("en")
    docs = [Doc(vocab, words=text.split()) for text in texts]
    for doc in docs:
        doc.set_ents([Span(doc, 0, 1, "PER")], default="outside")
    DocBin(docs=docs, store_user_data=True).to_disk(path)
    return path


def files(output: Path) -> dict[str, bytes]:
    """The bytes of what a build is for."""
    return {
        path.relative_to(output).as_posix(): path.read_bytes()
        for folder in ("target", "bitext", "lost")
        for path in sorted((output / folder).rglob("*"))
        if path.is_file()
    }


def built(output: Path) -> dict[str, Any]:
    """The same, and the lines of the manifest without their times, by shard."""
    lines = (output / "manifest.jsonl").read_text(encoding="utf8").splitlines()
    records = [json.loads(line) for line in lines[1:]]
    assert len({record["shard"] for record in records}) == len(records), "a shard was built twice"
    timeless = [{**record, "time": "", "seconds": list(record["seconds"])} for record in records]
    return {**files(output), **{record["shard"]: record for record in timeless}}


def build_in_process(corpus: Path, output: Path, *, size: int) -> dict[str, Any]:
    """What the same build gives without any workers."""
    build(make_pipeline(), corpus, output, docs_per_shard=size)
    return built(output)


def n_lines(path: Path) -> int:
    """Lines of a file; 0 if it is not there."""
    return len(path.read_bytes().splitlines()) if path.exists() else 0
