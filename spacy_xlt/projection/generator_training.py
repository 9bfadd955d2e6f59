"""Training a generator of candidates on annotated text of the source language."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from spacy.tokens import Doc

from .. import __version__
from ..docs import all_spans, sentence_ranges
from ..engine import check_settings, invalid_setting, setting
from ..errors import error
from ..io import check_new_folder, replacing_folder, write_json
from ..steps import first_and_last, shuffled_batches, train_steps
from ..translation.seq2seq import encoder_output, pad_rows
from .generator import NOTES, LoadedGenerator, SpanGenerator
from .queries import Range
from .slots import Slot, SlotCodec, SlotSentence, by_label

if TYPE_CHECKING:
    import torch

# What the loss does not count
_IGNORED = -100


@dataclass(kw_only=True)
class GeneratorSettings:
    """What a training of a generator does.

    Args:
        model: A folder, or the Hugging Face name of a model with T5's sentinels.
        steps: Batches to learn from.
        batch_tokens: Word pieces of the prompts of a batch, padding counted.
        learning_rate: Of AdamW; it rises to this in the first tenth of the steps, then falls to 0 in a line.
        max_pieces: Sentences with more word pieces are left out.
        seed: Of everything random.

    Raises:
        XltError: E150 for an invalid setting.
    """

    model: str
    steps: int = setting(3000, ge=1)
    batch_tokens: int = setting(1024, ge=16)
    learning_rate: float = setting(1e-4, ge=0)
    max_pieces: int = setting(256, ge=2)
    seed: int = setting(0, ge=0)

    def __post_init__(self) -> None:
        check_settings(self)
        if not self.model.strip():
            raise invalid_setting("train-generator", "model", self.model, "a model such as google/mt5-small")


class LabelledSentence(NamedTuple):
    """A sentence, and the spans in it: their labels and words `[start, end)`."""

    words: list[str]
    spaces: list[bool]
    spans: list[tuple[str, Range]]


class Example(NamedTuple):
    """A prompt, and for each of its slots the sentinel and the pieces of what fills it."""

    prompt: tuple[int, ...]
    answers: list[list[int]]


@dataclass
class Examples:
    """What is learned from, all in memory.

    Attributes:
        kept: The examples.
        labels: Spans, by label.
        read: Sentences read.
        bare: Those without spans.
        long: Those of too many pieces.
    """

    kept: list[Example] = field(default_factory=list)
    labels: Counter[str] = field(default_factory=Counter)
    read: int = 0
    bare: int = 0
    long: int = 0


def labelled_sentences(docs: Iterable[Doc]) -> Iterator[LabelledSentence]:
    """The sentences of documents, with entities and the spans of all groups; those over a sentence's end left out."""
    for doc in docs:
        spans = {(span.label_, (span.start, span.end)) for span in all_spans(doc) if len(span)}
        for low, high in sentence_ranges(doc):
            inside = [
                (label, (start - low, end - low)) for label, (start, end) in spans if low <= start and end <= high
            ]
            tokens = doc[low:high]
            words, spaces = [token.text for token in tokens], [bool(token.whitespace_) for token in tokens]
            yield LabelledSentence(words, spaces, sorted(inside))


def read_examples(sentences: Iterable[LabelledSentence], codec: SlotCodec, *, max_pieces: int) -> Examples:
    """Write sentences and what fills their slots in pieces."""
    examples = Examples()
    for sentence in sentences:
        examples.read += 1
        words = codec.words(sentence.words, sentence.spaces)
        # A span of nothing that can be read is nothing to write
        spans = [(label, place) for label, place in sentence.spans if any(words[slice(*place)])]
        if not spans:
            examples.bare += 1
        elif sum(map(len, words)) > max_pieces:
            examples.long += 1
        else:
            examples.labels.update(label for label, _ in spans)
            examples.kept += _examples(words, spans, codec)
    return examples


def _examples(
    words: Sequence[Sequence[int]], spans: Sequence[tuple[str, Range]], codec: SlotCodec
) -> Iterator[Example]:
    for group in by_label([label for label, _ in spans], most=len(codec.sentinels)):
        prompt = codec.prompt(words, [spans[i][0] for i in group])
        answers = [
            [sentinel, *(piece for of_word in words[slice(*spans[i][1])] for piece in of_word)]
            for i, sentinel in zip(group, codec.sentinels, strict=False)
        ]
        yield Example(prompt, answers)


def train_generator(
    settings: GeneratorSettings,
    docs: Iterable[Doc],
    output: str | Path,
    *,
    progress: Callable[[int, float], None] = lambda step, loss: None,
) -> dict[str, Any]:
    """Train a text-to-text model to find the spans of a sentence, and write it as an ordinary model folder.

    As the generator of T-Projection (García-Ferrero et al. 2023, https://arxiv.org/abs/2212.10548), from annotated text
    of the source language alone; but each slot is filled by itself.

    Args:
        settings: What to do.
        docs: Documents with entities or span groups.
        output: The model folder to write. It appears when it is complete.
        progress: Called after each step with the steps done and the loss.

    Returns:
        Settings, labels, sentences read and left out, mean losses of the first and the last tenth of the steps,
        seconds.

    Raises:
        XltError: E221 and E285 for a model that cannot be trained so, E286 for documents without spans, E553 where the
            folder is there already.
    """
    import torch
    from thinc.api import get_torch_default_device

    output = Path(output)
    check_new_folder(output)
    loaded = LoadedGenerator.read(settings.model, torch.device(get_torch_default_device()))
    examples = read_examples(labelled_sentences(docs), loaded.codec, max_pieces=settings.max_pieces)
    if not examples.kept:
        reason = f"{examples.read} read, {examples.bare} without spans, {examples.long} of over {settings.max_pieces}"
        raise error("E286", path="The corpus", reason=f"{reason} pieces")
    start = time.perf_counter()
    losses = train_steps(
        loaded.model,
        lambda batch: _loss(loaded, [examples.kept[i] for i in batch]),
        shuffled_batches(
            np.asarray([len(example.prompt) for example in examples.kept], np.int64),
            batch_tokens=settings.batch_tokens,
            seed=settings.seed,
        ),
        steps=settings.steps,
        learning_rate=settings.learning_rate,
        seed=settings.seed,
        progress=progress,
    )
    summary = {
        **asdict(settings),
        "version": __version__,
        "labels": dict(sorted(examples.labels.items())),
        "sentences_read": examples.read,
        "sentences_used": examples.read - examples.bare - examples.long,
        "sentences_bare": examples.bare,
        "sentences_long": examples.long,
        **first_and_last(losses),
        "seconds": round(time.perf_counter() - start, 1),
    }
    with replacing_folder(output) as folder:
        loaded.model.save_pretrained(folder, safe_serialization=True)
        loaded.tokenizer.save_pretrained(folder)
        write_json(folder / NOTES, summary)
    return summary


def _loss(loaded: LoadedGenerator, examples: Sequence[Example]) -> torch.Tensor:
    """The mean of what the pieces of the answers and their end marks cost (nats)."""
    import torch

    codec, device = loaded.codec, loaded.device
    hidden, mask = loaded.encode([example.prompt for example in examples for _ in example.answers])
    answers = [answer for example in examples for answer in example.answers]
    inputs, _ = pad_rows([[codec.start, *answer] for answer in answers], codec.pad, device)
    expected, counts = pad_rows([[0, *answer[1:], codec.end] for answer in answers], 0, device)
    # The sentinel is given
    counts[:, 0] = 0
    return loaded.model(
        encoder_outputs=encoder_output(hidden),
        attention_mask=mask,
        decoder_input_ids=inputs,
        labels=torch.where(counts.bool(), expected, _IGNORED),
        use_cache=False,
    ).loss


def hit_rates(generator: SpanGenerator, docs: Iterable[Doc]) -> dict[str, float]:
    """How often the spans of a corpus are what a generator holds most likely, and among its candidates at all.

    Returns:
        `spans`, and the shares `first` and `any`.
    """
    sentences = [sentence for sentence in labelled_sentences(docs) if sentence.spans]
    asked = []
    for sentence in sentences:
        n, longest = len(sentence.words), max(end - start for _, (start, end) in sentence.spans)
        places = [(i, j) for i in range(n) for j in range(i + 1, min(n, i + 2 * longest + 1) + 1)]
        slots = [Slot(label, places) for label, _ in sentence.spans]
        asked.append(SlotSentence(sentence.words, sentence.spaces, slots))
    ranks: list[float] = []
    for sentence, fillings in zip(sentences, generator.fill(asked), strict=True):
        for (_, place), of_slot in zip(sentence.spans, fillings, strict=True):
            found = [(filling.start, filling.end) for filling in of_slot]
            ranks.append(found.index(place) if place in found else float("inf"))
    n_spans = max(1, len(ranks))
    first, among = sum(rank == 0 for rank in ranks), sum(rank < float("inf") for rank in ranks)
    return {"spans": len(ranks), "first": round(first / n_spans, 4), "any": round(among / n_spans, 4)}
