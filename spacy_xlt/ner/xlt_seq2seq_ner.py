"""`xlt_seq2seq_ner`: named entities by writing the text once more with tags, on a text-to-text model (T5, mT5, BART).

`spacy package --code xlt_ner.py,tagged_text.py,xlt_seq2seq_ner.py` copies the three files into a wheel, which then
needs spaCy, PyTorch and transformers only. There they stand beside each other.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray
from spacy.language import Language
from spacy.tokens import Doc
from spacy.training import Example, validate_get_examples
from spacy.vocab import Vocab

try:
    from .tagged_text import CLOSE, NEVER, OPEN, Draft, Output, Words, Written, valid_tags, words_of, write
    from .xlt_ner import (
        ENTS_GROUP,
        Batch,
        EncodedText,
        EntityPipe,
        EntitySettings,
        FoundSpan,
        TokenClassifier,
        Window,
        add_requirements,
        first_line,
        load_pretrained,
        message,
        require_torch,
    )
except ImportError:
    # `spacy package` runs the file by itself
    from spacy_xlt.ner.tagged_text import CLOSE, NEVER, OPEN, Draft, Output, Words, Written, valid_tags, words_of, write
    from spacy_xlt.ner.xlt_ner import (
        ENTS_GROUP,
        Batch,
        EncodedText,
        EntityPipe,
        EntitySettings,
        FoundSpan,
        TokenClassifier,
        Window,
        add_requirements,
        first_line,
        load_pretrained,
        message,
        require_torch,
    )

# A new label's score before it is trained: nothing that was found is taken for it
_NEW_LABEL_BIAS = -10.0


@dataclass(frozen=True, kw_only=True)
class Settings(EntitySettings):
    """The settings of the component in a config, with those of `EntitySettings`.

    Attributes:
        candidates: How many outputs are compared, of which the most probable is taken: that with the likeliest decision
            at each word, and those that first depart from it where it is least sure.
    """

    candidates: int = 1

    def _checks(self) -> list[tuple[str, bool, str]]:
        return [*super()._checks(), ("candidates", self.candidates >= 1, "a number from 1")]


# A window of a document, and outputs for it
Labelled = tuple[Window, list[Output]]


# --- The model -------------------------------------------------------------------------------------------------------


class TextLabeller(TokenClassifier):
    """A text-to-text model, and vectors of tags: what the component has as `model`.

    The tags are no part of the tokenizer's vocabulary: no text can have one in it.
    """

    auto_class = "AutoModelForSeq2SeqLM"

    def _make_head(self, hidden_size: int, n_outputs: int) -> Any:
        from torch import nn

        outputs = nn.Linear(hidden_size, n_outputs)
        nn.init.zeros_(outputs.bias)
        return nn.ModuleDict({"inputs": nn.Embedding(n_outputs, hidden_size), "outputs": outputs})

    def _most_pieces(self) -> int:
        # T5 has relative positions. Where they are counted, each word may have two tags
        positions = getattr(self.transformer.config, "max_position_embeddings", None)
        return self.settings.window if positions is None else int(positions) // 3

    @property
    def n_labels(self) -> int:
        """How many tags open an entity."""
        return int(self.net["head"]["inputs"].num_embeddings) - 1

    @property
    def _embeddings(self) -> Any:
        return self.transformer.get_decoder().embed_tokens

    @property
    def _first_tag(self) -> int:
        return int(self._embeddings.num_embeddings)

    def name_tags(self, tags: Sequence[str]) -> None:
        """Begin with the mean of the pieces of each label's name, and of the end of a text for the tag that closes."""
        import torch

        assert self.words is not None
        head = self.net["head"]
        with torch.no_grad():
            for place, tag in enumerate(tags):
                name = re.sub(r"[\W_]+", " ", tag).strip() or tag
                ids = self.words.backend.encode(name, add_special_tokens=False).ids if tag else self.words.suffix
                pieces = self._tensor(np.array(list(ids) or [self.words.unknown], dtype=np.int64))
                head["inputs"].weight[place] = self._embeddings(pieces).mean(dim=0)
                head["outputs"].weight[place] = self._piece_vectors(pieces).mean(dim=0)

    def resize(self, old: Sequence[str], new: Sequence[str]) -> None:
        """See TokenClassifier."""
        import torch

        before = self.net["head"]
        self.net["head"] = self._make_head(before["inputs"].embedding_dim, len(new)).to(self.device).eval()
        self.name_tags(new)
        with torch.no_grad():
            torch.nn.init.constant_(self.net["head"]["outputs"].bias, _NEW_LABEL_BIAS)
            for name, weight in self.net["head"].named_parameters():
                for place, tag in enumerate(new):
                    if tag in old:
                        weight[place] = before.get_parameter(name)[old.index(tag)]
        self.net.zero_grad()
        self._forget_training()

    def check(self) -> None:
        """Raise ValueError for a model whose scores are not computed as here."""
        import torch

        assert self.words is not None
        ids = self._tensor(np.array([[self.words.unknown, *self.words.suffix]], dtype=np.int64))
        start = ids.new_full((1, 1), self._start())
        written = write(Words(*np.array([[0], [1], [0]])), np.zeros(1, dtype=np.int64), self.n_labels, self._first_tag)
        # Half precision would hide the difference, or make one
        settings, self.settings = self.settings, replace(self.settings, precision="float32")
        try:
            with torch.no_grad():
                expected = self.transformer(input_ids=ids, decoder_input_ids=start, use_cache=False).logits
                hidden = self._decoded(*self._read(ids, torch.ones_like(ids)), [written])
                pieces = torch.arange(expected.shape[2], device=ids.device)
                found = self._piece_scores(hidden, self._piece_vectors(pieces), pieces)
        finally:
            self.settings = settings
        if not torch.allclose(found, expected, rtol=1e-3, atol=1e-3):
            raise ValueError("its scores are not those of its output embeddings")

    def _start(self) -> int:
        config = self.transformer.config
        starts = (config.decoder_start_token_id, config.bos_token_id, config.eos_token_id)
        return next((int(start) for start in starts if start is not None), 0)

    # Forward passes

    def _read(self, ids: Any, mask: Any) -> tuple[Any, Any]:
        """What the encoder says of windows, and their mask."""
        with self._computing(training=self.net.training):
            return self.transformer.get_encoder()(input_ids=ids, attention_mask=mask)[0], mask

    def _read_batch(self, batch: Batch) -> tuple[Any, Any]:
        return self._read(self._tensor(batch.ids), self._tensor(batch.mask.astype(np.int64)))

    def _decoded(self, read: Any, mask: Any, written: Sequence[Written]) -> Any:
        """What the decoder says before each token is written, `(n_windows, length, size)`."""
        import torch

        # The padding is behind the text, where the decoder does not look
        ids = np.full((len(written), max(len(each.tokens) for each in written)), self._start(), dtype=np.int64)
        for row, each in zip(ids, written, strict=True):
            row[1 : len(each.tokens)] = each.tokens[:-1]
        tokens, first_tag = self._tensor(ids), self._first_tag
        pieces = self._embeddings(tokens.clamp(max=first_tag - 1))
        tags = self.net["head"]["inputs"]((tokens - first_tag).clamp(min=0))
        vectors = torch.where((tokens < first_tag)[..., None], pieces, tags)
        with self._computing(training=self.net.training):
            decoder = self.transformer.get_decoder()
            hidden = decoder(
                inputs_embeds=vectors, encoder_hidden_states=read, encoder_attention_mask=mask, use_cache=False
            )[0]
        # T5, where its embeddings of inputs and outputs are the same
        is_scaled = self.transformer.config.tie_word_embeddings and hasattr(self.transformer, "model_dim")
        return hidden.float() * (hidden.shape[2] ** -0.5 if is_scaled else 1.0)

    def _piece_vectors(self, pieces: Any) -> Any:
        from torch.nn import functional as F

        return F.embedding(pieces, self.transformer.get_output_embeddings().weight)

    def _piece_scores(self, hidden: Any, vectors: Any, pieces: Any) -> Any:
        """The scores of pieces, `(..., n_pieces)`."""
        bias = getattr(self.transformer, "final_logits_bias", None)
        scores = hidden @ vectors.transpose(-1, -2)
        return scores if bias is None else scores + bias[0, pieces][..., None, :]

    # Prediction

    def label(self, texts: Sequence[EncodedText], candidates: int) -> list[list[Labelled]]:
        """The windows of each document, in order, with their outputs, the most probable first."""
        import torch

        self._ready_to_predict()
        labelled: list[list[Labelled]] = [[] for _ in texts]
        with torch.inference_mode():
            for batch in self.batches(texts):
                words = [words_of(texts[window.text], window) for window in batch.windows]
                for window, outputs in zip(batch.windows, self._search(batch, words, candidates), strict=True):
                    labelled[window.text].append((window, outputs))
        return [sorted(windows, key=lambda item: item[0].start) for windows in labelled]

    def _search(self, batch: Batch, words: Sequence[Words], candidates: int) -> list[list[Output]]:
        """The outputs for each window: greedy, and with each of the likeliest other decisions (Harvey and Ginsberg
        1995, "Limited Discrepancy Search")."""
        read, mask = self._read_batch(batch)
        drafts = [
            Draft(np.zeros(len(each.sizes), dtype=np.int64), np.full(len(each.sizes), -1, dtype=np.int64))
            for each in words
        ]
        outputs = [[output] for output in self._settle(read, mask, words, drafts)]
        doubts = [found[0].doubts(candidates - 1) for found in outputs]
        for n in range(max(map(len, doubts))):
            rows = [row for row, found in enumerate(doubts) if n < len(found)]
            others = [drafts[row].departing(*doubts[row][n]) for row in rows]
            chosen = self._tensor(np.array(rows))
            settled = self._settle(read[chosen], mask[chosen], [words[row] for row in rows], others)
            for row, output in zip(rows, settled, strict=True):
                outputs[row].append(output)
        return [sorted(found, key=lambda output: -output.total) for found in outputs]

    def _settle(self, read: Any, mask: Any, words: Sequence[Words], drafts: Sequence[Draft]) -> list[Output]:
        """The outputs with the likeliest decision at each word, given those before it.

        A draft of the whole output is read at once. Every decision is changed to what is likeliest behind what the
        draft has before it, and the new draft is read, until nothing changes. The part that is right grows with each
        reading, and what comes out is what one decision after the other gives, after few readings and not one for each
        token (Santilli et al. 2023, "Accelerating Transformer Inference for Translation via Parallel Decoding").
        """
        outputs: dict[int, Output] = {}
        rows = list(range(len(words)))
        tags = {row: drafts[row].tags(self.n_labels) for row in rows}
        # More are not needed. Rounding may make a decision between equals swing, and any draft is valid
        most = 2 * max(len(each.sizes) for each in words)
        for reading in range(most + 1):
            written = [write(words[row], tags[row], self.n_labels, self._first_tag) for row in rows]
            chosen = self._tensor(np.array(rows))
            decided = self._decide(read[chosen], mask[chosen], [words[row] for row in rows], written)
            left = []
            for row, each, log_probs in zip(rows, written, decided, strict=True):
                drafts[row].learn(each, log_probs)
                new = drafts[row].tags(self.n_labels)
                if reading == most or np.array_equal(new, tags[row]):
                    outputs[row] = Output(tags[row], each, log_probs)
                else:
                    tags[row] = new
                    left.append(row)
            rows = left
            if not rows:
                break
        return [outputs[row] for row in range(len(words))]

    def _decide(
        self, read: Any, mask: Any, words: Sequence[Words], written: Sequence[Written]
    ) -> list[NDArray[np.float64]]:
        """The log-probabilities of what may be decided, for each window `(n_decisions, 2 + n_labels)`."""
        import torch

        counts = [len(each.places) for each in written]
        places = self._tensor(np.concatenate([each.places for each in written]))
        states = self._decoded(read, mask, written)[self._tensor(np.repeat(np.arange(len(written)), counts)), places]
        firsts = self._tensor(np.concatenate([w.firsts[each.before] for w, each in zip(words, written, strict=True)]))
        closes = self._tensor(np.concatenate([each.closes for each in written]))
        go_on = self._piece_scores(states[:, None], self._piece_vectors(firsts)[:, None], firsts[:, None])[:, 0]
        scores = torch.cat([go_on, self.net["head"]["outputs"](states)], dim=1)
        scores[:, OPEN:] = scores[:, OPEN:].masked_fill(closes[:, None], NEVER)
        scores[:, CLOSE] = scores[:, CLOSE].masked_fill(~closes, NEVER)
        log_probs = scores.log_softmax(dim=1).cpu().double().numpy()
        return [log_probs[start:stop] for start, stop in pairwise(np.cumsum([0, *counts]))]

    # Training

    def learn(
        self,
        texts: Sequence[EncodedText],
        tags: Sequence[NDArray[np.int64]],
        weights: Sequence[NDArray[np.float32]],
        *,
        drop: float,
    ) -> float:
        """Add the gradients of a batch of documents to those that are there.

        The loss is the cross-entropy of what is to be written. Of all pieces, those of the window alone are scored: no
        other can be written.

        Args:
            tags: Of each document's words, -1 where the annotation is missing: `(n_words,)`.
            weights: Of the loss of each word and the tags before it, of the same shape.

        Returns:
            The mean loss of a piece or tag.
        """
        from torch.nn import functional as F

        self.net.train()
        total: Any = 0.0
        n_learnt = 0
        for batch in self.batches(texts):
            written, losses = self._to_learn(batch, texts, tags, weights)
            if not losses.any():
                continue
            hidden = F.dropout(self._decoded(*self._read_batch(batch), written), drop, drop > 0)
            value = (self._loss(hidden, batch, texts, written) * self._tensor(losses)).sum()
            value.backward()
            total += value.detach()
            n_learnt += int((losses > 0).sum())
        self._n_learnt += n_learnt
        return float(total) / max(1, n_learnt)

    def _to_learn(
        self,
        batch: Batch,
        texts: Sequence[EncodedText],
        tags: Sequence[NDArray[np.int64]],
        weights: Sequence[NDArray[np.float32]],
    ) -> tuple[list[Written], NDArray[np.float32]]:
        """Windows with gold tags, and the weights of the loss of their tokens, `(n_windows, length)`."""
        written, by_token = [], []
        for window in batch.windows:
            gold = tags[window.text][window.start : window.end]
            each = write(
                words_of(texts[window.text], window), valid_tags(gold, self.n_labels), self.n_labels, self._first_tag
            )
            # Also of words that are taken from another window, as what is written of these comes before the others.
            # But for the rest of an entity that has begun before the window
            is_learnt = (gold >= 0) & ~np.logical_and.accumulate(gold > self.n_labels)
            by_token.append((weights[window.text][window.start : window.end] * is_learnt)[each.words])
            written.append(each)
        losses = np.zeros((len(written), max(map(len, by_token))), dtype=np.float32)
        for row, values in zip(losses, by_token, strict=True):
            row[: len(values)] = values
        return written, losses

    def _loss(self, hidden: Any, batch: Batch, texts: Sequence[EncodedText], written: Sequence[Written]) -> Any:
        """The loss of each token, `(n_windows, length)`."""
        import torch
        from torch.nn import functional as F

        first_tag = self._first_tag
        known = [np.unique(words_of(texts[window.text], window).pieces) for window in batch.windows]
        most = max(map(len, known))
        pieces = np.zeros((len(known), most), dtype=np.int64)
        is_piece = np.zeros(pieces.shape, dtype=np.bool_)
        targets = np.zeros(hidden.shape[:2], dtype=np.int64)
        for row, (vocabulary, each) in enumerate(zip(known, written, strict=True)):
            pieces[row, : len(vocabulary)] = vocabulary
            is_piece[row, : len(vocabulary)] = True
            numbers = np.searchsorted(vocabulary, each.tokens)
            is_tag = each.tokens >= first_tag
            targets[row, : len(numbers)] = np.where(is_tag, most + each.tokens - first_tag, numbers)
        ids = self._tensor(pieces)
        scores = self._piece_scores(hidden, self._piece_vectors(ids), ids)
        scores = scores.masked_fill(~self._tensor(is_piece)[:, None], NEVER)
        scores = torch.cat([scores, self.net["head"]["outputs"](hidden)], dim=2)
        return F.cross_entropy(scores.flatten(0, 1), self._tensor(targets).flatten(), reduction="none").view(
            targets.shape
        )


def load_text_to_text(name: str, model: str) -> tuple[Any, Any]:
    """Load a text-to-text model to train, without running code that comes with it.

    Args:
        name: The component's name, for messages.
        model: A model folder or a Hugging Face name.

    Returns:
        Tokenizer and model.

    Raises:
        ValueError: E181 for what cannot be used.
    """
    try:
        tokenizer, loaded = load_pretrained(model, auto_class=TextLabeller.auto_class)
        if not tokenizer.is_fast:
            raise ValueError("its tokenizer is not a fast one")
    # Each library has its own kinds of errors for a broken folder
    except Exception as err:
        raise ValueError(message("E181", name=name, model=model, reason=first_line(err))) from err
    return tokenizer, loaded


# --- The component ---------------------------------------------------------------------------------------------------


class XltSeq2SeqNer(EntityPipe):
    """Finds named entities: a text-to-text model writes the text once more, with tags around the entities.

    All that it can write is the text with tags that fit, and all that it decides is whether a tag comes before a word.
    Words are told apart by their place, so that those that the tokenizer does not know are no trouble. Entities and
    their probabilities are written as `xlt_ner` writes them; see `Output.spans` for what these are.

    A word whose annotation is missing has no loss, nor have the tags before it. Soft labels are not read.

    Args:
        vocab: The pipeline's.
        name: The component's name.
        settings: See `Settings`.

    Raises:
        ValueError: E170 for an invalid setting.
    """

    model: TextLabeller

    def __init__(self, vocab: Vocab, name: str, settings: Settings):
        settings.check(name)
        self.vocab = vocab
        self.name = name
        self.settings = settings
        self.cfg: dict[str, Any] = {"labels": [], "calibration": 1.0}
        self.model = TextLabeller(name, settings)

    @property
    def tags(self) -> list[str]:
        """The tag that closes, "", and those that open."""
        return ["", *self.labels]

    def initialize(  # type: ignore[override]
        self,
        get_examples: Callable[[], Iterable[Example]],
        *,
        nlp: Language | None = None,
        model: str | None = None,
        lora_rank: int = 0,
        labels: list[str] | None = None,
    ) -> None:
        """Load the model and make the tags, from `[initialize.components.NAME]`.

        Args:
            get_examples: Gives examples, from which the labels are.
            nlp: The pipeline; not used.
            model: A model folder or a Hugging Face name.
            lora_rank: As for `xlt_ner`.
            labels: The labels, in the place of those of the examples.

        Raises:
            ValueError: E181 for a model that cannot be used, E175 where there are no labels.
        """
        validate_get_examples(get_examples, "XltSeq2SeqNer.initialize")
        require_torch(self.name)
        self._set_labels(self._labels_of(get_examples(), labels))
        if not model:
            raise ValueError(message("E181", name=self.name, model=model, reason="none is named"))
        self._check_lora(lora_rank)
        self.model.build(*load_text_to_text(self.name, model), self.n_outputs)
        try:
            self.model.check()
        # What an architecture of another kind runs into
        except Exception as err:
            raise ValueError(message("E181", name=self.name, model=model, reason=first_line(err))) from err
        self.model.name_tags(self.tags)
        if lora_rank:
            self.model.add_lora(lora_rank)

    def _check_cfg(self, cfg: dict[str, Any]) -> None:
        if not 0 < float(cfg["calibration"]) < float("inf"):
            raise ValueError(f"calibration is {cfg['calibration']}")

    # Prediction

    def predict(self, docs: Iterable[Doc]) -> list[list[FoundSpan]]:
        """The entities of each document with their probabilities, in order.

        Raises:
            ValueError: E172 without weights.
        """
        return [list(self._best(windows, self.cfg["calibration"])) for windows in self._label(list(docs))]

    def span_probabilities(self, docs: Iterable[Doc], *, least: float = 0.05) -> list[list[FoundSpan]]:
        """All spans of this probability and more in the outputs that are compared; they may overlap.

        With the setting `candidates` at 1, those that `predict` finds.
        """
        by_doc = []
        for windows in self._label(list(docs)):
            found: dict[tuple[int, int, str], float] = {}
            for window, outputs in windows:
                for output in outputs:
                    for start, end, label, p in self._spans(window, output, self.cfg["calibration"]):
                        found[start, end, label] = max(p, found.get((start, end, label), 0.0))
            by_doc.append(sorted((*key, p) for key, p in found.items() if p >= least))
        return by_doc

    def _label(self, docs: Sequence[Doc]) -> list[list[Labelled]]:
        self._require_weights()
        texts = self.model.encode([doc for doc in docs if len(doc)])
        labelled = iter(self.model.label(texts, self.settings.candidates) if texts else ())
        return [next(labelled) if len(doc) else [] for doc in docs]

    def _best(self, windows: Sequence[Labelled], temperature: float) -> Iterator[FoundSpan]:
        """The spans of the most probable output of each window, without those that overlap one before them."""
        last = 0
        for window, outputs in windows:
            for span in self._spans(window, outputs[0], temperature):
                if span[0] >= last:
                    yield span
                    last = span[1]

    def _spans(self, window: Window, output: Output, temperature: float) -> Iterator[FoundSpan]:
        """The spans of an output that begin at words that are taken from the window."""
        for start, end, label, probability in output.spans(temperature):
            if window.first <= window.start + start < window.last:
                yield window.start + start, window.start + end, self.labels[label], probability

    def _finder(self, docs: Sequence[Doc]) -> Callable[[float], list[list[FoundSpan]]]:
        labelled = self._label(docs)
        return lambda temperature: [list(self._best(windows, temperature)) for windows in labelled]

    # Training

    def _learn(self, examples: list[Example], drop: float) -> float:
        if not examples:
            return 0.0
        texts = self.model.encode([eg.predicted for eg in examples], keep=True)
        tags = [self.entity_tags(eg) for eg in examples]
        return self.model.learn(texts, tags, [self._weights(eg) for eg in examples], drop=drop)

    def _weights(self, eg: Example) -> NDArray[np.float32]:
        weights = np.ones(len(eg.predicted), dtype=np.float32)
        for span, weight in self.span_weights(eg, eg.reference.spans.get(ENTS_GROUP)):
            weights[span.start : span.end] = weight
        return weights


def make_xlt_seq2seq_ner(
    nlp: Language,
    name: str,
    candidates: int,
    window: int,
    overlap: int,
    batch_pieces: int,
    precision: str,
    span_scores: str,
    score_threshold: float,
) -> XltSeq2SeqNer:
    """The factory `xlt_seq2seq_ner`; see `Settings`."""
    settings = {key: value for key, value in locals().items() if key not in ("nlp", "name")}
    add_requirements(nlp)
    return XltSeq2SeqNer(nlp.vocab, name, Settings(**settings))


# As in xlt_ner.py
make_xlt_seq2seq_ner.__module__ = "xlt_seq2seq_ner"

if not Language.has_factory("xlt_seq2seq_ner"):
    Language.factory(
        "xlt_seq2seq_ner",
        assigns=["doc.ents", "doc.spans", "token.ent_iob", "token.ent_type"],
        default_config=asdict(Settings()),
        default_score_weights={"ents_f": 1.0, "ents_p": 0.0, "ents_r": 0.0, "ents_per_type": None},
        func=make_xlt_seq2seq_ner,
    )
