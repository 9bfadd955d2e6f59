"""What training an encoder takes in time and memory: all weights, frozen embeddings, LoRA, and the like.

    python -m spacy xlt bundled encoder-en-pt models/encoder --layers 6
    python -m spacy xlt convert assets/uner/English-EWT/en_ewt-ud-dev.iob2 ewt.spacy --format iob2 --token-col 2 \\
        --tag-col 3 --lang en
    python benchmarks/peft_training.py models/encoder ewt.spacy [--updates 40] [--only lora]

Each variant is trained with configs/train.cfg (on a GPU: --gpu-id 0, with configs/gpu.cfg) in a process of its
own, on the same batches. Words a second are those of the updates, without reading, evaluating and saving, by the clock
and by the time of the processor, which other programs disturb less; memory is the most that the process held (on a GPU:
that PyTorch had allocated).
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from itertools import islice
from pathlib import Path
from typing import Any

CONFIGS = Path(__file__).parent.parent / "configs"
# Parts over the base config, and settings over those. freeze_encoder is in the base configs.
_MODEL, _FROZEN = "components.transformer.model.", "initialize.after_init.embeddings"
VARIANTS: dict[str, tuple[list[str], dict[str, Any]]] = {
    "full": ([], {_FROZEN: False}),
    "frozen embeddings": ([], {_FROZEN: True}),
    "frozen, checkpointing": (["checkpointing"], {_FROZEN: True}),
    "frozen, bfloat16": (["half_precision"], {_FROZEN: True}),
    "frozen, 3 layers": ([], {_FROZEN: True, _MODEL + "transformer_config": {"num_hidden_layers": 3}}),
    "lora": (["lora"], {}),
    "lora, all linear": (["lora"], {_MODEL + "target_modules": ["query", "key", "value", "dense"]}),
    "lora, checkpointing": (["lora", "checkpointing"], {}),
    "lora, bfloat16": (["lora", "half_precision"], {}),
}
WARM_UP = 5


def train(variant: str, args: argparse.Namespace) -> dict[str, Any]:
    """Train one variant in this process."""
    import torch
    from spacy.training.initialize import init_nlp
    from spacy.training.loop import create_train_batches
    from spacy.util import registry, resolve_dot_names
    from thinc.api import require_gpu, set_gpu_allocator

    from spacy_xlt.config import merge_configs

    base = ["train"] if args.gpu_id < 0 else ["train", "gpu"]
    if args.gpu_id >= 0:
        set_gpu_allocator("pytorch")
        require_gpu(args.gpu_id)
    parts, settings = VARIANTS[variant]
    paths = {"paths.source": args.corpus, "paths.dev": args.corpus, "paths.encoder": args.encoder}
    configs = [CONFIGS / f"{name}.cfg" for name in (*base, *(f"parts/{part}" for part in parts))]
    reading = {"corpora.train.use": ["source"], "corpora.train.sources.source.limit": 2000}
    config = merge_configs(configs, {**paths, **settings, **reading, "nlp.lang": "en"})
    nlp = init_nlp(config, use_gpu=args.gpu_id)
    training = registry.resolve(nlp.config.interpolate()["training"])
    (corpus,) = resolve_dot_names(nlp.config.interpolate(), [training["train_corpus"]])
    batches = create_train_batches(nlp, corpus, training["batcher"], 0)
    optimizer, words, start, cpu_start = training["optimizer"], 0, 0.0, 0.0
    for step, (_, batch) in enumerate(islice(batches, WARM_UP + args.updates)):
        if step == WARM_UP:
            words, start, cpu_start = 0, time.perf_counter(), time.process_time()
        nlp.update(batch, sgd=optimizer, drop=training["dropout"])
        optimizer.step_schedules()
        words += sum(len(example) for example in batch)
    if args.gpu_id >= 0:
        torch.cuda.synchronize()
    seconds, cpu_seconds = time.perf_counter() - start, time.process_time() - cpu_start
    weights = list(nlp.get_pipe("transformer").model.transformer.parameters())
    return {
        "variant": variant,
        "trained": sum(weight.numel() for weight in weights if weight.grad is not None),
        "words_per_second": words / seconds,
        "words_per_cpu_second": words / cpu_seconds,
        "gib": torch.cuda.max_memory_allocated() / 1024**3 if args.gpu_id >= 0 else peak_gib(),
    }


def peak_gib() -> float:
    """The most memory that this process held."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1024**2 if sys.platform != "darwin" else 1024**3)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("encoder", help="model folder or Hugging Face name")
    parser.add_argument("corpus", help="a .spacy file with entities")
    parser.add_argument("--updates", type=int, default=40)
    parser.add_argument("--gpu-id", type=int, default=-1)
    parser.add_argument("--only", choices=VARIANTS, help="one variant")
    parser.add_argument("--in-process", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.in_process:
        print(json.dumps(train(args.only, args)))
        return
    print("| what is trained | weights of the encoder | words/s | words/CPU s | peak GiB |\n|---|---|---|---|---|")
    for variant in [args.only] if args.only else VARIANTS:
        command = [sys.executable, "-W", "ignore", *sys.argv, "--in-process", "--only", variant]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
        result = json.loads(done.stdout.strip().splitlines()[-1])
        row = "| {variant} | {trained:,} | {words_per_second:.0f} | {words_per_cpu_second:.0f} | {gib:.2f} |"
        print(row.format(**result), flush=True)


if __name__ == "__main__":
    main()
