"""One stage of a build alone, in this process; `benchmarks/build_corpus.py` starts it. See there.

python benchmarks/build_stages.py translate|align|project|pack|driver CONFIG INPUT RESULT.json --output DIR --built DIR
    --docs N [--shard 200] [--gpu-id -1]
"""

from __future__ import annotations

import argparse
import hashlib
import json
import pickle
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import spacy
from spacy_xlt.build.planning import ShardPlan
from spacy_xlt.build.processing import ShardProcessor
from spacy_xlt.build.sharding import Built, Shard
from spacy_xlt.build.shards.records import Records

from spacy_xlt.build.builder import source_language
from spacy_xlt.build.inputs import InputSettings, open_inputs
from spacy_xlt.build.manifest import Manifest
from spacy_xlt.config import load_pipeline_config
from spacy_xlt.io import docs_bytes, write_bytes
from spacy_xlt.languages import blank

COMPONENTS = {"translate": "xlt_translator", "align": "xlt_aligner", "project": "xlt_projector"}


def plan_of(args: argparse.Namespace) -> ShardPlan:
    nlp = load_pipeline_config(args.config)
    files = open_inputs(args.input, InputSettings(lang=source_language(nlp)))
    return ShardPlan(files, [file.scan().docs for file in files], size=args.shard)


def alone(args: argparse.Namespace) -> dict[str, Any]:
    """A component over shards, as a build gives them to it."""
    nlp = load_pipeline_config(args.config)
    name = COMPONENTS[args.stage]
    others = [other for other in nlp.pipe_names if other != name]
    plan = plan_of(args)
    args.output.mkdir(parents=True, exist_ok=True)
    n_docs, seconds, processor, warm = 0, 0.0, 0.0, False
    for shard in plan.read(range(plan.n_shards)):
        if n_docs >= args.docs:
            break
        with nlp.memory_zone():
            if not warm:
                # Loads the model
                list(nlp.pipe([next(shard.docs(nlp.vocab))], disable=others))
                warm = True
            docs = list(shard.docs(nlp.vocab))
            start, before = time.perf_counter(), time.process_time()
            docs = list(nlp.pipe(docs, disable=others))
            seconds += time.perf_counter() - start
            processor += time.process_time() - before
            n_docs += len(docs)
            (args.output / f"{shard.id}.spacy").write_bytes(docs_bytes(docs, store_user_data=True))
            del docs
    return {"docs": n_docs, "seconds": round(seconds, 3), "processor": round(processor, 3)}


def pack(args: argparse.Namespace) -> dict[str, Any]:
    """What a worker does before and after the components: documents from a shard, and files of what was projected."""
    plan, seconds, n_docs = plan_of(args), Counter[str](), 0
    processor = ShardProcessor(blank(source_language(load_pipeline_config(args.config))))
    for shard in plan.read(range(plan.n_shards)):
        # One after the other, so that none waits for another
        record = processor.submit(shard).result().record
        seconds.update(record["seconds"])
        n_docs += record["docs"]
    processor.close()
    return {"docs": n_docs, "seconds": dict(seconds)}


def driver(args: argparse.Namespace) -> dict[str, Any]:
    """Reading, writing and sending, each alone. Rates in documents a second."""
    took: dict[str, float] = {}

    def timed(what: str, do: Callable[[], Any]) -> Any:
        start = time.perf_counter()
        found = do()
        took[what] = took.get(what, 0.0) + time.perf_counter() - start
        return found

    plan = timed("scan", lambda: plan_of(args))
    n_docs = 0
    shards = plan.read(range(plan.n_shards))
    records = Records(args.built)
    manifest = Manifest(
        args.output / "driver", {key: value for key, value in records.header.items() if key != "format"}
    )
    manifest.open()
    for record in records:
        shard: Shard = timed("read", lambda: next(shards))
        files = {name: (args.built / name).read_bytes() for name in record.files}
        built = Built(record.shard, files, record.counts)
        # A worker's part of it is the same again
        data = timed("send", lambda shard=shard: pickle.dumps(shard))
        pickle.loads(data)
        packed = pickle.dumps(built)
        received = timed("receive", lambda packed=packed: pickle.loads(packed))
        timed("write", lambda received=received: store(received, args.output / "driver", manifest))
        n_docs += shard.n_docs
    rates = {what: round(n_docs / seconds, 1) for what, seconds in took.items()}
    every = sum(seconds for what, seconds in took.items() if what != "scan")
    return {"docs": n_docs, "seconds": took, "rates": {**rates, "all but scan": round(n_docs / every, 1)}}


def store(built: Built, folder: Path, manifest: Manifest) -> None:
    """As the build does it."""
    for name, data in built.files.items():
        write_bytes(folder / name, data)
    digests = {name: hashlib.sha256(data).hexdigest() for name, data in built.files.items()}
    manifest.add(built.shard, {"files": digests, **built.record})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("stage", choices=[*COMPONENTS, "pack", "driver"])
    parser.add_argument("config", type=Path)
    parser.add_argument("input", type=Path)
    parser.add_argument("result", type=Path)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--built", type=Path, required=True)
    parser.add_argument("--docs", type=int, required=True)
    parser.add_argument("--shard", type=int, default=200)
    parser.add_argument("--gpu-id", type=int, default=-1)
    args = parser.parse_args()
    if args.gpu_id >= 0:
        spacy.require_gpu(args.gpu_id)
    result = {"pack": pack, "driver": driver}.get(args.stage, alone)(args)
    args.result.write_text(json.dumps(result, indent=2) + "\n", encoding="utf8")


if __name__ == "__main__":
    main()
