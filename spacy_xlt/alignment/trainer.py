"""Adapting an encoder to a pair of languages with parallel text."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .. import __version__
from ..engine import check_settings, setting
from ..errors import error
from ..io import replacing_folder, write_json
from ..links import Alignment
from ..protocols import TokenPair, Tokens
from ..steps import first_and_last, shuffled_batches, train_steps
from .pretrained import write_encoder

if TYPE_CHECKING:
    from .encoder import Encoder

# One side of a sentence pair: ids of its pieces, without special ones, and which word each is of, ascending; int32,
# (n_pieces,) both
Side = tuple[NDArray[np.int32], NDArray[np.int32]]


@dataclass(kw_only=True)
class AdaptingSettings:
    """What an adaptation does.

    Args:
        model: A model folder, a Hugging Face name, or "bundled:NAME".
        layer: The layer whose vectors will be compared. It and those below are adapted, those above left out.
        steps: Batches to learn from.
        batch_tokens: Word pieces a batch, both sides and padding counted.
        learning_rate: Of AdamW; it rises to this in the first tenth of the steps, then falls to 0 in a line.
        temperature: What the cosines are divided by, as in `EmbeddingAligner`.
        threshold: What a link must exceed to be learned from, as in `EmbeddingAligner`.
        max_pieces: Sentences with more word pieces are left out.
        seed: Of everything random.

    Raises:
        XltError: E150 for an invalid setting.
    """

    model: str = "bundled:encoder"
    layer: int = setting(6, ge=1)
    steps: int = setting(300, ge=1)
    batch_tokens: int = setting(1024, ge=16)
    learning_rate: float = setting(5e-5, ge=0)
    temperature: float = setting(0.05, gt=0)
    threshold: float = setting(0.3, ge=0, lt=1)
    max_pieces: int = setting(128, ge=2)
    seed: int = setting(0, ge=0)

    def __post_init__(self) -> None:
        check_settings(self)


@dataclass
class ParallelPieces:
    """Sentence pairs as word pieces, all in memory: 8 bytes a piece.

    Attributes:
        pairs: The pairs kept.
        links: The links of each to learn from, where they are given: int32, (n, 2).
        read: Pairs read.
        empty: Pairs left out for an empty side.
        long: Pairs left out for a side of too many pieces.
    """

    pairs: list[tuple[Side, Side]] = field(default_factory=list)
    links: list[NDArray[np.int32]] | None = None
    read: int = 0
    empty: int = 0
    long: int = 0


def read_pieces(
    pairs: Iterable[tuple[TokenPair, Alignment | None]], encoder: Encoder, *, max_pieces: int
) -> ParallelPieces:
    """Cut sentence pairs, with links where they are known, into pieces; a side has `max_pieces` at most."""
    data = ParallelPieces()
    pieces: dict[str, list[int]] = {}
    for tokens, alignment in pairs:
        data.read += 1
        pieces |= encoder.pieces(word for side in tokens for word in side if word not in pieces)
        source, target = (_pieces_of(side, pieces) for side in tokens)
        lengths = len(source[0]), len(target[0])
        if not min(lengths):
            data.empty += 1
        elif max(lengths) > max_pieces:
            data.long += 1
        else:
            data.pairs.append((source, target))
            if alignment is not None:
                data.links = data.links or []
                data.links.append(alignment.check(*map(len, tokens)).links)
    return data


def _pieces_of(tokens: Tokens, pieces: dict[str, list[int]]) -> Side:
    counts = [len(pieces[word]) for word in tokens]
    ids = np.asarray([piece for word in tokens for piece in pieces[word]], np.int32)
    return ids, np.repeat(np.arange(len(tokens), dtype=np.int32), counts)


def adapt(
    settings: AdaptingSettings,
    pairs: Iterable[tuple[TokenPair, Alignment | None]],
    output: str | Path,
    *,
    progress: Callable[[int, float], None] = lambda step, loss: None,
) -> dict[str, Any]:
    """Adapt an encoder with parallel text and write it as an ordinary model folder.

    Dou & Neubig 2021, awesome-align: self-training on the encoder's own mutual links, or on links that are given. The
    embeddings below the first layer stay as they are.

    Args:
        settings: What to do.
        pairs: Tokens of both sides, and for each pair, or for none, links to learn from instead of the encoder's own.
        output: The model folder to write. It appears when it is complete.
        progress: Called after each step with the steps done and the loss.

    Returns:
        Settings, pairs read and left out, mean losses of the first and the last tenth of the steps, seconds.

    Raises:
        XltError: E353 for a model that cannot be adapted, E354 for texts without pairs to learn from, E553 where the
            folder is there already; E302 and E303 as `EmbeddingAligner`.
    """
    from .encoder import Encoder

    output = Path(output)
    if output.exists() and not (output.is_dir() and not any(output.iterdir())):
        raise error("E553", path=output, reason="is there already")
    encoder = Encoder(settings.model, settings.layer)
    _check_model(encoder.model, settings.model)
    max_pieces = min(settings.max_pieces, encoder.window)
    data = read_pieces(pairs, encoder, max_pieces=max_pieces)
    if not data.pairs:
        reason = f"{data.read} read, {data.empty} with an empty side, {data.long} of over {max_pieces} pieces"
        raise error("E354", path="The parallel text", reason=reason)
    start = time.perf_counter()
    losses = _train(settings, encoder, data, progress)
    summary = {
        **asdict(settings),
        "version": __version__,
        "pairs_read": data.read,
        "pairs_used": len(data.pairs),
        "pairs_empty": data.empty,
        "pairs_long": data.long,
        **first_and_last(losses),
        "seconds": round(time.perf_counter() - start, 1),
    }
    with replacing_folder(output) as folder:
        write_encoder(encoder.model, encoder.tokenizer, folder)
        write_json(folder / "adapting.json", summary)
    return summary


def _check_model(model: Any, name: str) -> None:
    from transformers import MODEL_MAPPING

    mapping: Any = MODEL_MAPPING
    if mapping.get(type(model.config), None) is not type(model):
        raise error("E353", model=name, reason="it is a part of a larger model")


def _train(
    settings: AdaptingSettings, encoder: Encoder, data: ParallelPieces, progress: Callable[[int, float], None]
) -> list[float]:
    """Run the steps; the loss of each."""
    from thinc.api import get_torch_default_device

    model = encoder.model.to(get_torch_default_device())
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(not ("embeddings." in name or name.startswith(("pooler.", "wte.", "wpe."))))
    special = len(encoder.prefix) + len(encoder.suffix)
    lengths = np.asarray([max(len(a), len(b)) for (a, _), (b, _) in data.pairs], np.int64) + special
    return train_steps(
        model,
        lambda batch: _loss(settings, encoder, data, batch),
        shuffled_batches(lengths, batch_tokens=max(1, settings.batch_tokens // 2), seed=settings.seed),
        steps=settings.steps,
        learning_rate=settings.learning_rate,
        seed=settings.seed,
        progress=progress,
    )


def _loss(settings: AdaptingSettings, encoder: Encoder, data: ParallelPieces, batch: list[int]) -> Any:
    from .objective import link_loss, words_of

    sides = []
    for side in (0, 1):
        pieces, words = zip(*(data.pairs[i][side] for i in batch), strict=True)
        sides.append(words_of(encoder.forward(pieces), words, first=len(encoder.prefix)))
    links = None if data.links is None else [data.links[i] for i in batch]
    return link_loss(*sides, temperature=settings.temperature, threshold=settings.threshold, links=links)
