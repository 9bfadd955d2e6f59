"""A program: runs a finished pipeline over all evaluation sets. `python -m spacy_xlt.compare.predict REQUEST`."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import spacy
from spacy.language import Language
from spacy.tokens import Doc
from wasabi import msg

from ..device import disable_cudnn_attention, use_device
from ..io import inside, write_docs, write_json
from ..readers.docbin import read_docs
from ..training.windows import bare_doc

RECORD = "record.json"


def predict(request: dict[str, Any]) -> None:
    """Run a pipeline over sets and write what it finds.

    Args:
        request: `model` (a folder), `gpu_id`, `sets` (paths by name), `folder` (gets `NAME.spacy` of each set and,
            written last, a JSON file of speeds) and `digest` (written to that file).
    """
    use_device(request["gpu_id"], silent=False)
    nlp, folder = spacy.load(request["model"]), Path(request["folder"])
    disable_cudnn_attention()
    speeds = {}
    for name, path in request["sets"].items():
        golds = list(read_docs(path, vocab=nlp.vocab))
        # Models that load at their first use do so now
        list(nlp.pipe(_bare(nlp, gold) for gold in golds[:1]))
        docs = [_bare(nlp, gold) for gold in golds]
        start = time.perf_counter()
        docs = list(nlp.pipe(docs))
        seconds = time.perf_counter() - start
        write_docs(inside(folder, f"{name}.spacy"), docs)
        words = sum(len(doc) for doc in docs)
        speeds[name] = {"words": words, "seconds": round(seconds, 3)}
        msg.good(f"{path}: {len(docs)} documents, {words} words in {seconds:.1f} s")
    write_json(
        inside(folder, RECORD), {"digest": request["digest"], "device": _device(request["gpu_id"]), "sets": speeds}
    )


def _bare(nlp: Language, gold: Doc) -> Doc:
    return bare_doc(nlp, gold, own_tokens=False)


def _device(gpu_id: int) -> str:
    if gpu_id < 0:
        return "cpu"
    import torch

    return torch.cuda.get_device_name(gpu_id)


if __name__ == "__main__":
    predict(json.loads(sys.argv[1]))
