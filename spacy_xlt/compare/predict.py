"""A program: runs a finished pipeline over all evaluation sets. `python -m spacy_xlt.compare.predict REQUEST`."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import spacy
from spacy.cli._util import setup_gpu
from spacy.language import Language
from spacy.tokens import Doc
from wasabi import msg

from ..device import disable_cudnn_attention
from ..docs import copy_groups, copy_span
from ..io import write_docs, write_json
from ..readers.docbin import read_docs
from ..training.windows import bare_doc

RECORD = "record.json"


def predict(request: dict[str, Any]) -> None:
    """Run a pipeline over sets and write what it finds.

    Args:
        request: `model` (a folder), `gpu_id`, `gold_tokens`, `sets` (paths by name), `folder` (gets `NAME.spacy` of
            each set and, written last, a JSON file of speeds) and `digest` (written to that file).
    """
    setup_gpu(request["gpu_id"], silent=False)
    nlp, folder = spacy.load(request["model"]), Path(request["folder"])
    disable_cudnn_attention()
    speeds = {}
    for name, path in request["sets"].items():
        docs, seconds = _run(nlp, list(read_docs(path, vocab=nlp.vocab)), gold_tokens=request["gold_tokens"])
        write_docs(folder / f"{name}.spacy", [_plain(doc) for doc in docs])
        words = sum(len(doc) for doc in docs)
        speeds[name] = {"words": words, "seconds": round(seconds, 3)}
        msg.good(f"{path}: {len(docs)} documents, {words} words in {seconds:.1f} s")
    write_json(folder / RECORD, {"digest": request["digest"], "device": _device(request["gpu_id"]), "sets": speeds})


def _run(nlp: Language, golds: list[Doc], *, gold_tokens: bool) -> tuple[list[Doc], float]:
    def bare(gold: Doc) -> Doc:
        return bare_doc(nlp, gold, own_tokens=gold_tokens)

    # Models that load at their first use do so now
    list(nlp.pipe(bare(gold) for gold in golds[:1]))
    docs = [bare(gold) for gold in golds]
    start = time.perf_counter()
    docs = list(nlp.pipe(docs))
    return docs, time.perf_counter() - start


def _plain(doc: Doc) -> Doc:
    """The words, entities and span groups of a doc; its tensors and user data would only take room."""
    spaces = [bool(token.whitespace_) for token in doc]
    copy = Doc(doc.vocab, words=[token.text for token in doc], spaces=spaces)
    if doc.has_annotation("ENT_IOB"):
        copy.set_ents([copy_span(ent, copy) for ent in doc.ents], default="outside")
    copy_groups(doc, copy, lambda span: copy_span(span, copy))
    return copy


def _device(gpu_id: int) -> str:
    if gpu_id < 0:
        return "cpu"
    import torch

    return torch.cuda.get_device_name(gpu_id)


if __name__ == "__main__":
    predict(json.loads(sys.argv[1]))
