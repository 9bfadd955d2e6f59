"""Running a finished pipeline over the evaluation sets. A program: `python -m spacy_xlt.compare.predicting JSON`."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import spacy
from spacy.cli._util import setup_gpu
from spacy.tokens import Doc, Span
from wasabi import msg

from ..device import disable_cudnn_attention
from ..io import file_digest, write_docs, write_json
from ..readers.docbin import read_docs
from ..training.windows import bare_doc
from .processes import peak_mib


def predict(request: dict[str, Any]) -> None:
    """Run a pipeline over sets and write what it finds.

    request (dict[str, Any]): `model` (a folder), `gpu_id`, `gold_tokens`, and `sets`: for each `path`, `output` (a
        `.spacy` file), `record` (a JSON file, written last) and `depends` (plain data for the record).
    """
    setup_gpu(request["gpu_id"], silent=False)
    nlp = spacy.load(request["model"])
    disable_cudnn_attention()
    for one in request["sets"]:
        golds = list(read_docs(one["path"], vocab=nlp.vocab))
        docs = [bare_doc(nlp, gold, own_tokens=request["gold_tokens"]) for gold in golds]
        # Models that load at their first use do so now
        list(nlp.pipe(bare_doc(nlp, gold, own_tokens=request["gold_tokens"]) for gold in golds[:1]))
        start = time.perf_counter()
        docs = list(nlp.pipe(docs))
        seconds = time.perf_counter() - start
        words = sum(len(doc) for doc in docs)
        output = Path(one["output"])
        write_docs(output, [_plain(doc) for doc in docs])
        record = {
            "depends": one["depends"],
            "digest": file_digest(output),
            "docs": len(docs),
            "words": words,
            "seconds": round(seconds, 3),
            "words_per_second": round(words / seconds, 1) if seconds else None,
            "peak_mib": peak_mib(),
            "device": _device(request["gpu_id"]),
        }
        write_json(one["record"], record)
        msg.good(f"{one['path']}: {len(docs)} documents, {record['words_per_second']} words/s")


def _plain(doc: Doc) -> Doc:
    """The words, entities and span groups of a doc; its tensors and user data would only take room."""
    spaces = [bool(token.whitespace_) for token in doc]
    copy = Doc(doc.vocab, words=[token.text for token in doc], spaces=spaces)
    if doc.has_annotation("ENT_IOB"):
        copy.set_ents([_moved(copy, ent) for ent in doc.ents], default="outside")
    for key, group in doc.spans.items():
        copy.spans[key] = [_moved(copy, span) for span in group]
    return copy


def _moved(doc: Doc, span: Span) -> Span:
    return Span(doc, span.start, span.end, label=span.label)


def _device(gpu_id: int) -> str:
    if gpu_id < 0:
        return "cpu"
    import torch

    return torch.cuda.get_device_name(gpu_id)


if __name__ == "__main__":
    predict(json.loads(sys.argv[1]))
