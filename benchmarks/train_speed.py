"""Words a second of `spacy train` and of a plain Hugging Face token-classification loop, on the same batches.

    python -m spacy xlt bundled encoder-en-pt models/encoder --layers 6
    python benchmarks/train_speed.py models/encoder [--config configs/train.cfg ...] [--rounds 6] [--examples 256]
        [--gpu] [--set SECTION.SETTING=VALUE ...]
    python benchmarks/train_speed.py models/encoder --config configs/train.cfg configs/ner.cfg

Both train the same encoder on UNER English EWT with AdamW, a schedule and clipped gradients, in the same precision,
with the same weights frozen, on the batches of word pieces that the config's batcher makes. The plain loop is
`AutoModelForTokenClassification`, `torch.optim.AdamW(fused=True)` and each batch padded to its longest sentence; its
sentences are cut into pieces before the clock runs, as its users do once for a corpus. Ours is the loop of
`spacy train` without evaluation, with batching, cutting into pieces and aligning on the clock.

The two take turns on the same examples, and who is first changes each round. The first round warms up and is not
counted. A ratio is that of one round: our words a second over the plain loop's. Printed for wall time and for processor
time, which other programs on the machine change less.
"""

from __future__ import annotations

import argparse
import contextlib
import random
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import spacy
from spacy.cli._util import parse_config_overrides
from spacy.language import Language
from spacy.schemas import ConfigSchemaTraining
from spacy.tokens import DocBin
from spacy.training import Example
from spacy.training.initialize import init_nlp
from spacy.training.loop import train_while_improving
from spacy.util import registry, resolve_dot_names

from spacy_xlt.config import merge_configs
from spacy_xlt.readers import read_corpus

ROOT = Path(__file__).parent.parent
DATA = ROOT / "assets" / "uner" / "English-EWT" / "en_ewt-ud-dev.iob2"

Batch = list[Example]


@dataclass
class Turn:
    """Words that one turn trained on, and the seconds it took: of wall time and of processor time."""

    words: int
    wall: float
    processor: float

    def rate(self, clock: str) -> float:
        return self.words / float(getattr(self, clock))


class PlainLoop:
    """Token classification as the examples of Hugging Face do it."""

    def __init__(self, encoder: str, labels: Sequence[str], *, like: Any, mixed: str, rate: float, updates: int):
        import torch
        from transformers import AutoModelForTokenClassification, AutoTokenizer, get_linear_schedule_with_warmup

        self.torch = torch
        self.mixed = {"dtype": getattr(torch, mixed or "float16"), "enabled": bool(mixed)}
        self.tokenizer = AutoTokenizer.from_pretrained(encoder)
        self.labels = {label: i for i, label in enumerate(labels)}
        self.model = AutoModelForTokenClassification.from_pretrained(encoder, num_labels=len(labels))
        self.model = self.model.to(like.device).train()
        frozen = {name for name, weights in like.named_parameters() if not weights.requires_grad}
        for name, weights in self.model.base_model.named_parameters():
            weights.requires_grad_(name not in frozen)
        self.trained = [weights for weights in self.model.parameters() if weights.requires_grad]
        self.optimizer = torch.optim.AdamW(self.trained, lr=rate, weight_decay=0.01, fused=True)
        self.schedule = get_linear_schedule_with_warmup(self.optimizer, 50, updates)
        self.scaler = torch.amp.GradScaler("cuda", enabled=mixed == "float16")

    def encode(self, batch: Batch) -> list[dict[str, list[int]]]:
        """Pieces of each sentence and the label of each word at its first piece: done once for a corpus."""
        rows = []
        for example in batch:
            words = [token.text for token in example.reference]
            encoded = self.tokenizer(words, is_split_into_words=True, truncation=True)
            tags = [self.labels[f"{token.ent_iob_}-{token.ent_type_}".rstrip("-")] for token in example.reference]
            ids = encoded.word_ids()
            gold = [-100 if i is None or i == before else tags[i] for before, i in zip([None, *ids], ids, strict=False)]
            rows.append({"input_ids": encoded["input_ids"], "labels": gold})
        return rows

    def update(self, rows: list[dict[str, list[int]]]) -> None:
        """One step."""
        torch = self.torch
        longest = max(len(row["input_ids"]) for row in rows)
        pad = {"input_ids": self.tokenizer.pad_token_id, "labels": -100}
        tensors = {
            key: torch.tensor([row[key] + [value] * (longest - len(row[key])) for row in rows])
            for key, value in pad.items()
        }
        tensors["attention_mask"] = (tensors["input_ids"] != pad["input_ids"]).long()
        tensors = {key: tensor.to(self.model.device) for key, tensor in tensors.items()}
        with torch.autocast(self.model.device.type, **self.mixed):
            loss = self.model(**tensors).loss
        self.scaler.scale(loss).backward()
        self.scaler.unscale_(self.optimizer)
        torch.nn.utils.clip_grad_norm_(self.trained, 1.0)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self.schedule.step()
        self.optimizer.zero_grad()
        # Every training shows its loss.
        loss.item()


class OurLoop:
    """What `spacy train CONFIG` does between two evaluations."""

    def __init__(self, configs: Sequence[Path], settings: dict[str, Any], *, gpu: bool):
        self.config = merge_configs(configs, settings)
        self.nlp: Language = init_nlp(self.config, use_gpu=0 if gpu else -1)
        whole = self.nlp.config.interpolate()
        self.training = registry.resolve(whole["training"], schema=ConfigSchemaTraining)
        (corpus,) = resolve_dot_names(whole, [self.training["train_corpus"]])
        self.examples: Batch = list(corpus(self.nlp))

    def update(self, batches: Sequence[Batch]) -> None:
        """A step for each batch."""
        training = self.training
        steps = train_while_improving(
            self.nlp,
            training["optimizer"],
            ((0, batch) for batch in batches),
            lambda: (0.0, {}),
            dropout=training["dropout"],
            eval_frequency=len(batches),
            accumulate_gradient=training["accumulate_gradient"],
            patience=0,
            max_steps=0,
            exclude=[],
            annotating_components=[],
            before_update=None,
        )
        for _ in steps:
            pass


@contextlib.contextmanager
def clock(turn: Turn, synchronise: Callable[[], None]) -> Iterator[None]:
    """Adds what happens inside to a turn."""
    synchronise()
    wall, processor = time.perf_counter(), time.process_time()
    yield
    synchronise()
    turn.wall += time.perf_counter() - wall
    turn.processor += time.process_time() - processor


def compare(args: argparse.Namespace, ours: OurLoop, plain: PlainLoop) -> list[tuple[Turn, Turn]]:
    """Rounds of (ours, plain)."""
    import torch

    synchronise = torch.cuda.synchronize if args.gpu else lambda: None
    rounds = []
    for number in range(args.rounds + 1):
        examples = random.Random(number).sample(ours.examples, min(args.examples, len(ours.examples)))
        words = sum(len(example.reference) for example in examples)
        mine, theirs = Turn(words, 0, 0), Turn(words, 0, 0)
        with clock(mine, synchronise):
            batches = list(ours.training["batcher"](examples))
        encoded = [plain.encode(batch) for batch in batches]

        def train_plain(rows: list[Any] = encoded, turn: Turn = theirs) -> None:
            with clock(turn, synchronise):
                for batch in rows:
                    plain.update(batch)

        def train_ours(batches: list[Batch] = batches, turn: Turn = mine) -> None:
            with clock(turn, synchronise):
                ours.update(batches)

        for train in (train_plain, train_ours) if number % 2 else (train_ours, train_plain):
            train()
        rounds.append((mine, theirs))
        print(f"round {number}: {len(batches)} batches, {words} words: {line(mine, theirs)}", flush=True)
    return rounds[1:]


def line(mine: Turn, theirs: Turn) -> str:
    parts = []
    for name in ("wall", "processor"):
        a, b = mine.rate(name), theirs.rate(name)
        parts.append(f"{name} {a:.0f} to {b:.0f} words/s ({a / b:.2f})")
    return ", ".join(parts)


def summary(rounds: Sequence[tuple[Turn, Turn]]) -> dict[str, Any]:
    """Medians over the rounds."""
    result: dict[str, Any] = {"rounds": len(rounds)}
    for name in ("wall", "processor"):
        ratios = [mine.rate(name) / theirs.rate(name) for mine, theirs in rounds]
        result[name] = {
            "ours": round(statistics.median(mine.rate(name) for mine, _ in rounds), 1),
            "plain": round(statistics.median(theirs.rate(name) for _, theirs in rounds), 1),
            "ratio": round(statistics.median(ratios), 3),
            "range": [round(min(ratios), 3), round(max(ratios), 3)],
        }
    return result


def make_loops(args: argparse.Namespace) -> tuple[OurLoop, PlainLoop]:
    """Both, over the same encoder and corpus."""
    names = ["train.cfg", "gpu.cfg"] if args.gpu else ["train.cfg"]
    configs = args.config or [ROOT / "configs" / name for name in names]
    with tempfile.TemporaryDirectory() as folder:
        corpus = str(Path(folder, "corpus.spacy"))
        DocBin(docs=read_corpus(DATA, lang="en")).to_disk(corpus)
        settings: dict[str, Any] = {"nlp.lang": "en", "paths.encoder": args.encoder}
        settings |= {"paths.source": corpus, "paths.dev": corpus, "corpora.train.use": ["source"]}
        settings |= parse_config_overrides([f"--{change}" for change in args.set], env_var=None)
        ours = OurLoop(configs, settings, gpu=args.gpu)
    tags = {f"{token.ent_iob_}-{token.ent_type_}".rstrip("-") for example in ours.examples for token in example.y}
    config = ours.nlp.config.interpolate()
    training = config["training"]
    encoder = "xlt_ner" if "xlt_ner" in ours.nlp.pipe_names else "transformer"
    precision = config["components"][encoder]
    half = precision.get("precision", "").replace("float32", "")
    if encoder == "transformer" and precision["model"].get("mixed_precision"):
        half = "float16"
    plain = PlainLoop(
        args.encoder,
        sorted(tags),
        like=ours.nlp.get_pipe(encoder).model.transformer,  # type: ignore[attr-defined]
        mixed=half,
        rate=float(training["optimizer"]["learn_rate"]["initial_rate"]),
        updates=int(training["max_steps"]),
    )
    return ours, plain


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("encoder", help="model folder or Hugging Face name")
    parser.add_argument("--config", type=Path, nargs="+", help="base and overlays; by default those that ship")
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--examples", type=int, default=256, help="examples a turn")
    parser.add_argument("--gpu", action="store_true")
    parser.add_argument("--set", nargs="*", default=[], metavar="SECTION.SETTING=VALUE", help="changes of the config")
    args = parser.parse_args()
    if args.gpu:
        spacy.require_gpu()
    ours, plain = make_loops(args)
    result = summary(compare(args, ours, plain))
    for name in ("wall", "processor"):
        r = result[name]
        print(
            f"{name} time: ours {r['ours']:.0f}, plain loop {r['plain']:.0f} words/s; ratio {r['ratio']:.2f}"
            f" (median of {result['rounds']} rounds, {r['range'][0]:.2f} to {r['range'][1]:.2f})"
        )


if __name__ == "__main__":
    main()
