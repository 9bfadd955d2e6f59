"""`spacy_xlt.batched_pooling.v1`: word pieces are pooled to tokens for a whole batch, not for each document alone."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy
from spacy.language import Language
from thinc.api import Model, Ragged

from .freezing import model_of


@dataclass
class Pieces:
    """The encoder's output for a batch, and what of it belongs to each token.

    vectors (Floats2d): (pieces, width); pieces of windows that overlap and padding count as well.
    rows (numpy.ndarray): The pieces of the first token, of the second, and so on.
    lengths (numpy.ndarray): How many pieces each token has.
    tokens (list[int]): How many tokens each document has.
    to_outputs (Callable[[Floats2d], list[TransformerData]]): Makes of a gradient of `vectors` what the listener wants.
    """

    vectors: Any
    rows: numpy.ndarray
    lengths: numpy.ndarray
    tokens: list[int]
    to_outputs: Callable[[Any], list[Any]]

    @property
    def complete(self) -> bool:
        """Whether this can be pooled at once. spacy-transformers knows what to do where a document has no piece."""
        counts = [part.sum() for part, size in zip(self.by_doc(self.lengths), self.tokens, strict=True) if size]
        return bool(counts) and all(counts) and self.vectors.dtype == "float32"

    def by_doc(self, array: Any) -> list[Any]:
        """Parts of what has a row a token, one a document."""
        ends = numpy.cumsum(self.tokens).tolist()
        return [array[end - size : end] for end, size in zip(ends, self.tokens, strict=True)]


class WholeBatch(Sequence[Any]):
    """The encoder's output for a batch, where a listener is given a list of it by document.

    It is split only for those that ask for a document.

    full (FullTransformerBatch): The output. It must not know this object: memory of a GPU would be freed late.
    """

    def __init__(self, full: Any, pieces: Pieces):
        self.full = full
        self.pieces = pieces
        self._docs: list[Any] | None = None

    def __len__(self) -> int:
        return len(self.full.spans)

    def __getitem__(self, index: Any) -> Any:
        if self._docs is None:
            self._docs = self.full.split_by_doc()
        return self._docs[index]

    def __iter__(self) -> Iterator[Any]:
        return (self[i] for i in range(len(self)))


def encode(model: Model[Any, Any], docs: list[Any], is_train: bool) -> tuple[Any, Callable[..., Any]]:
    """In place of the forward pass of a TransformerModel: its listeners are given a WholeBatch, where that can be."""
    from spacy_transformers.layers.transformer_model import forward as stock

    full, backprop = stock(model, docs, is_train)  # type: ignore[arg-type]
    pieces = pieces_of_batch(full) if is_train else None
    if pieces is not None and pieces.complete:
        full.cached_doc_data = WholeBatch(dataclasses.replace(full), pieces)  # type: ignore[assignment]
    return full, backprop


def pool(model: Model[Any, Any], outputs: Sequence[Any], is_train: bool) -> tuple[Any, Callable[..., Any]]:
    """In place of the forward pass of `trfs2arrays`.

    outputs (WholeBatch | list[TransformerData]): What the listener gives.
    RETURNS (tuple[list[Floats2d], Callable]): (tokens, width) of each document, and what turns their gradients into
        that of the outputs. For a WholeBatch that is one for all: the transformer component adds up and joins what it
        gets from its listeners, and does so with a list of one as well.
    """
    from spacy_transformers.layers.trfs2arrays import forward as stock

    pieces = outputs.pieces if isinstance(outputs, WholeBatch) else pieces_of_docs(model.ops.xp, outputs)
    if pieces is None or not pieces.complete:
        return stock(model, outputs, is_train)  # type: ignore[arg-type]
    ops = model.ops
    rows = ops.asarray1i(pieces.rows)  # type: ignore[arg-type]
    lengths = ops.asarray1i(pieces.lengths)  # type: ignore[arg-type]
    pooled, backprop_pooling = model.layers[0](Ragged(pieces.vectors[rows], lengths), is_train)

    def backprop(d_tokens: list[Any]) -> list[Any]:
        d_pooled = ops.xp.concatenate([d_doc for d_doc in d_tokens if len(d_doc)])
        d_vectors = ops.alloc2f(*pieces.vectors.shape)
        # A piece may belong to several tokens.
        ops.scatter_add(d_vectors, rows, backprop_pooling(d_pooled).dataXd)
        d_vectors *= model.attrs["grad_factor"]
        return pieces.to_outputs(d_vectors)

    return pieces.by_doc(pooled), backprop


def pieces_of_batch(full: Any) -> Pieces | None:
    """What the encoder made of the batch of an update, as it is.

    full (FullTransformerBatch): The encoder's output.
    RETURNS (Pieces | None): None where a document isn't covered by its windows from its first token to its last: what
        belongs to which document is then for spacy-transformers to say.
    """
    from thinc.api import torch2xp
    from transformers.file_utils import ModelOutput

    output = full.model_output.last_hidden_state
    tokens = []
    for spans in full.spans:
        tokens.append(len(spans[0].doc) if spans else 0)
        if spans and not (spans[0].start == 0 and 0 < len(spans[0]) and spans[-1].end == tokens[-1]):
            return None
    # The same document twice has one alignment.
    if len(full.align.lengths) != sum(tokens) or tuple(output.shape[:2]) != full.wordpieces.input_ids.shape:
        return None
    shape = tuple(output.shape)

    def to_outputs(d_vectors: Any) -> list[Any]:
        from spacy_transformers.data_classes import TransformerData

        d_output = ModelOutput(last_hidden_state=d_vectors.reshape(shape))
        return [dataclasses.replace(TransformerData.empty(), model_output=d_output)]

    vectors = torch2xp(output).reshape((-1, shape[-1]))
    return Pieces(vectors, full.align.dataXd, full.align.lengths, tokens, to_outputs)


def pieces_of_docs(xp: Any, outputs: Sequence[Any]) -> Pieces | None:
    """The outputs that documents keep, put together: when predicting, and where the encoder isn't trained.

    xp (ModuleType): numpy or cupy.
    outputs (Sequence[TransformerData]): One a document, of any batches.
    RETURNS (Pieces | None): None where there is no document with an output.
    """
    from spacy_transformers.data_classes import TransformerData
    from transformers.file_utils import ModelOutput

    if not all(isinstance(output, TransformerData) for output in outputs):
        return None
    # None for an empty document.
    states = [output.model_output.get("last_hidden_state") for output in outputs]
    filled = [(o, s) for o, s in zip(outputs, states, strict=True) if s is not None and s.size]
    if not filled:
        return None
    sizes = [state.shape[0] * state.shape[1] for _, state in filled]
    starts = numpy.cumsum([0, *sizes[:-1]])
    rows = [output.align.dataXd + start for (output, _), start in zip(filled, starts, strict=True)]

    def to_outputs(d_vectors: Any) -> list[Any]:
        return [
            dataclasses.replace(
                output,
                model_output=ModelOutput(last_hidden_state=d_vectors[start : start + size].reshape(state.shape)),
            )
            for (output, state), start, size in zip(filled, starts.tolist(), sizes, strict=True)
        ]

    return Pieces(
        xp.concatenate([state.reshape(-1, state.shape[-1]) for _, state in filled]),
        numpy.concatenate(rows),
        numpy.concatenate([output.align.lengths for output, _ in filled]),
        [len(o.align.lengths) if s is not None and s.size else 0 for o, s in zip(outputs, states, strict=True)],
        to_outputs,
    )


def create_batched_pooling(component: str = "transformer") -> Callable[[Language], Language]:
    """Registered callback `spacy_xlt.batched_pooling.v1`, for `[initialize.before_init]`.

    spacy-transformers aligns and pools the encoder's output, and sends its gradient back, one document after the other:
    on a GPU dozens of small kernels for each. Here these are a few for a batch. What comes out is the same up to
    rounding, and the trained pipeline keeps nothing of it.

    component (str): Name of the transformer component.
    RAISES (XltError): E603 when called, where the pipeline has no such component.
    """

    def batch(nlp: Language) -> Language:
        """Replace the forward passes of the encoder and of its listeners' pooling."""
        from spacy_transformers.layers import TransformerListener, transformer_model
        from spacy_transformers.layers.trfs2arrays import forward as stock_pool

        encoder = model_of(nlp, component)
        whole = encoder._func is transformer_model.forward
        for _, pipe in nlp.components:
            model = getattr(pipe, "model", None)
            nodes = list(model.walk()) if isinstance(model, Model) else []
            poolings = [node for node in nodes if node._func is stock_pool]
            for node in poolings:
                node._func = pool
            listeners = sum(isinstance(node, TransformerListener) for node in nodes)
            # The gradient of a batch and those of documents, from another layer, could not be added up.
            whole = whole and listeners in (0, sum(node._func is pool for node in nodes))
        if whole:
            encoder._func = encode
        return nlp

    return batch
