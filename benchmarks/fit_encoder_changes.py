"""Learn the changes to the bundled encoder that come with CombinedAligner, from gold links.

    python benchmarks/fit_encoder_changes.py DATA OUT [--languages es it pt all]

DATA is a folder with LANGUAGE/dev.tsv as XL-WA has them. For each language OUT gets the changes learned from all other
languages, without the sentences whose English it shares with them, and `all.npz` those learned from all.
`benchmarks/fit_combined.py` goes on from there.

Only products of two thin matrices (Hu et al. 2021, LoRA) in the layers from `LOWEST` up are learned. The loss is the
cross-entropy of a softmax of cosines over the words of the other sentence and "none of them", in both directions.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from spacy_xlt.alignment.encoder import Encoder
from spacy_xlt.evaluation.alignment import read_pairs

MODEL = "bundled:encoder"
LAYER, LOWEST, RANK = 6, 2, 8
EPOCHS, BATCH, RATE, SEED = 5, 8, 1e-3, 0
MODULES = (
    "attention.self.query",
    "attention.self.key",
    "attention.self.value",
    "attention.output.dense",
    "intermediate.dense",
    "output.dense",
)


class Changed(torch.nn.Module):
    """A linear module and what is added to its matrix."""

    def __init__(self, linear: Any):
        super().__init__()
        self.linear = linear
        self.down = torch.nn.Parameter(torch.randn(RANK, linear.in_features) / linear.in_features**0.5)
        self.up = torch.nn.Parameter(torch.zeros(linear.out_features, RANK))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.linear(x) + (x @ self.down.T) @ self.up.T


class Example(NamedTuple):
    """A pair: what the lowest changed layer gets of each side, the pieces of each word, and gold links."""

    english: tuple[str, ...]
    inputs: tuple[torch.Tensor, torch.Tensor]
    pieces: tuple[NDArray[np.int64], NDArray[np.int64]]
    gold: torch.Tensor


def read_examples(path: Path, encoder: Encoder) -> list[Example]:
    """The pairs of a file, read by the layers that are not changed."""
    pairs = read_pairs(path)
    pieces = encoder.pieces(word for pair in pairs for tokens in (pair.source, pair.target) for word in tokens)
    examples = []
    for pair in pairs:
        gold = torch.zeros(len(pair.source), len(pair.target))
        for i, j in pair.sure:
            gold[i, j] = 1
        counts = [np.asarray([len(pieces[w]) for w in t], np.int64) for t in (pair.source, pair.target)]
        inputs = [_lower(encoder, [p for w in t for p in pieces[w]]) for t in (pair.source, pair.target)]
        examples.append(Example(tuple(pair.source), (inputs[0], inputs[1]), (counts[0], counts[1]), gold))
    return examples


@torch.no_grad()
def _lower(encoder: Encoder, pieces: Sequence[int]) -> torch.Tensor:
    ids = torch.tensor([[*encoder.prefix, *pieces, *encoder.suffix]])
    hidden = encoder.model.embeddings(input_ids=ids)
    for layer in encoder.model.encoder.layer[:LOWEST]:
        hidden = layer(hidden)[0]
    return hidden[0]


def cosines(encoder: Encoder, examples: Sequence[Example]) -> list[torch.Tensor]:
    """The cosines of all words of each pair: (n_source, n_target)."""
    inputs = [side for example in examples for side in example.inputs]
    longest = max(map(len, inputs))
    hidden = torch.zeros(len(inputs), longest, inputs[0].shape[1])
    mask = torch.full((len(inputs), 1, 1, longest), -1e9)
    for row, side in enumerate(inputs):
        hidden[row, : len(side)] = side
        mask[row, 0, 0, : len(side)] = 0
    for layer in encoder.model.encoder.layer[LOWEST:]:
        hidden = layer(hidden, attention_mask=mask)[0]
    skip = len(encoder.prefix)
    words = [
        _words(hidden[2 * k + side, skip:], example.pieces[side])
        for k, example in enumerate(examples)
        for side in (0, 1)
    ]
    return [words[k] @ words[k + 1].T for k in range(0, len(words), 2)]


def _words(hidden: torch.Tensor, pieces: NDArray[np.int64]) -> torch.Tensor:
    """Unit vectors of words, without the mean of their sentence, as the aligner makes them."""
    counts = torch.as_tensor(pieces)
    index = torch.repeat_interleave(torch.arange(len(counts)), counts)
    means = torch.zeros(len(counts), hidden.shape[1]).index_add(0, index, hidden[: len(index)]) / counts[:, None]
    means = means - means.sum(dim=0, keepdim=True) / (len(counts) + 2)
    return means / means.norm(dim=1, keepdim=True).clamp_min(1e-6)


def loss(cosine: torch.Tensor, gold: torch.Tensor, scale: torch.Tensor, none: torch.Tensor) -> torch.Tensor:
    """Cross-entropy in both directions; a word with several links shares itself among them."""
    total = torch.zeros(())
    for c, g in ((cosine, gold), (cosine.T, gold.T)):
        logs = torch.cat([c, none.expand(len(c), 1)], dim=1).mul(scale).log_softmax(dim=1)
        wanted = torch.cat([g, (g.sum(dim=1, keepdim=True) == 0).float()], dim=1)
        total = total - (wanted / wanted.sum(dim=1, keepdim=True) * logs).sum()
    return total


def learn(encoder: Encoder, examples: Sequence[Example], name: str) -> dict[str, NDArray[np.float16]]:
    """Learn changes and take them out of the encoder again."""
    torch.manual_seed(SEED)
    changed = {}
    for k in range(LOWEST, LAYER):
        for module in MODULES:
            parent, _, last = f"encoder.layer.{k}.{module}".rpartition(".")
            owner = encoder.model.get_submodule(parent)
            changed[f"{parent}.{last}"] = Changed(getattr(owner, last))
            setattr(owner, last, changed[f"{parent}.{last}"])
    scale, none = torch.nn.Parameter(torch.tensor(14.0)), torch.nn.Parameter(torch.tensor(0.37))
    parameters = [p for c in changed.values() for p in (c.down, c.up)]
    rates = (RATE, 1e-2, 0.1)
    groups = [{"params": p} for p in (parameters, [none], [scale])]
    optimiser = torch.optim.AdamW(groups, weight_decay=0.01)
    random = np.random.default_rng(SEED)
    lengths = np.asarray([sum(map(len, example.inputs)) for example in examples])
    n_steps, step, start = EPOCHS * -(-len(examples) // BATCH), 0, time.perf_counter()
    for epoch in range(EPOCHS):
        # About equal lengths in a batch, and yet other batches in each epoch
        order = np.argsort(lengths * np.exp(random.normal(0, 0.25, len(lengths))))
        batches = [order[at : at + BATCH] for at in range(0, len(order), BATCH)]
        random.shuffle(batches)
        total = 0.0
        for batch in batches:
            for group, rate in zip(optimiser.param_groups, rates, strict=True):
                group["lr"] = rate * min(1, (step + 1) / 10) * (1 - step / n_steps)
            optimiser.zero_grad()
            chosen = [examples[i] for i in batch]
            found = zip(cosines(encoder, chosen), chosen, strict=True)
            mean = sum((loss(c, e.gold, scale, none) for c, e in found), torch.zeros(())) / len(batch) / 20
            mean.backward()
            optimiser.step()
            step, total = step + 1, total + float(mean.detach())
        seconds = time.perf_counter() - start
        print(
            f"{name} {len(examples)} pairs, epoch {epoch}: loss {total / len(batches):.3f}, {seconds:.0f} s", flush=True
        )
    result = {}
    for path, module in changed.items():
        parent, _, last = path.rpartition(".")
        setattr(encoder.model.get_submodule(parent), last, module.linear)
        for part in ("up", "down"):
            result[f"{path}.{part}"] = getattr(module, part).detach().numpy().astype(np.float16)
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--languages", nargs="+", help="which to leave out, one after the other, or 'all' for none")
    args = parser.parse_args()
    encoder = Encoder(MODEL, LAYER)
    for parameter in encoder.model.parameters():
        parameter.requires_grad_(False)
    languages = sorted(path.parent.name for path in args.data.glob("*/dev.tsv"))
    data = {language: read_examples(args.data / language / "dev.tsv", encoder) for language in languages}
    args.out.mkdir(parents=True, exist_ok=True)
    for name in args.languages or [*languages, "all"]:
        seen = {example.english for example in data.get(name, ())}
        examples = [e for x in languages if x != name for e in data[x] if e.english not in seen]
        np.savez(args.out / f"{name}.npz", **learn(encoder, examples, name))  # type: ignore[arg-type]


if __name__ == "__main__":
    main()
