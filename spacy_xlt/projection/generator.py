"""`SpanGenerator`: a text-to-text model that is shown a sentence and says which of its words may be a span."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import srsly

from ..device import OomRetry, batches_by_length, loading, one_thread_after_fork, without_cudnn_attention
from ..engine import Engine, invalid_setting, setting
from ..hub import full_name, located, name_in_signature
from ..translation.huggingface import half_precision, load_weights, read_files
from ..translation.seq2seq import MAX_LOGITS, encoder_output, pad_rows
from .prefix_tree import OnlyFromTrees, PrefixTree
from .queries import Range
from .slots import SlotCodec, SlotSentence, by_label, windows

if TYPE_CHECKING:
    import torch

OWNER = "SpanGenerator"
# Written by the training beside the model: the labels that it learned to find, among others
NOTES = "generator.json"


class Filling(NamedTuple):
    """Words `[start, end)` that may fill a slot, and the natural log-probability that they do."""

    start: int
    end: int
    log_prob: float


@dataclass(kw_only=True, eq=False)
class SpanGenerator(Engine):
    """Finds candidates for spans with a model that reads the target sentence (T-Projection, García-Ferrero et al.
    2023, https://arxiv.org/abs/2212.10548), such as mT5, trained by `spacy xlt train-generator`.

    Its prompt is the sentence with a slot for each span and its label. The words of the source are not in it: in the
    training, where the sentence is the source, they would be the answer. Each slot is filled by itself, by beam search
    in the prefix tree of what it may be, so that all answers are words of the sentence. The model is loaded when first
    used; no code that comes with it is run.

    Args:
        model: A folder, or the Hugging Face name of a model with T5's sentinels.
        beams: Beams of each slot, and the most candidates.
        max_pieces: A sentence of more word pieces is read in windows.
        batch_tokens: The most pieces of a batch, padding counted, times the beams: more speed and memory.

    Raises:
        XltError: E150 for an invalid setting.
    """

    model: str = ""
    beams: int = setting(15, ge=2)
    max_pieces: int = setting(512, ge=128)
    batch_tokens: int = setting(32768, ge=1, decides=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.model.strip():
            expected = "the folder that train-generator wrote, or the name of such a model"
            raise invalid_setting(OWNER, "model", self.model, expected)
        self.model = full_name(self.model)
        self._loaded: LoadedGenerator | None = None
        self._retry = OomRetry(OWNER)

    def details(self) -> dict[str, Any]:
        """The name of a folder alone, and the version of transformers."""
        return {"model": name_in_signature(self.model), "transformers": version("transformers")}

    def fill(self, sentences: Sequence[SlotSentence]) -> list[list[list[Filling]]]:
        """Find candidates for the spans of sentences.

        Returns:
            For each slot of each sentence at most `beams` of its places, the most probable first; none for a label
            that the model was not trained with.

        Raises:
            XltError: E221 for a model that cannot be loaded, E285 for one without sentinels, E226 where there is not
                enough memory for a single slot.
        """
        found: list[list[dict[Range, float]]] = [[{} for _ in sentence.slots] for sentence in sentences]
        if any(slot.places for sentence in sentences for slot in sentence.slots):
            one_thread_after_fork()
            loaded = self._load()
            rows = [row for n, sentence in enumerate(sentences) for row in self._rows(n, sentence, loaded)]
            self._search(rows, loaded, found)
        return [[self._best(of_slot) for of_slot in of_sentence] for of_sentence in found]

    def _best(self, found: dict[Range, float]) -> list[Filling]:
        ordered = sorted(found.items(), key=lambda item: (-item[1], item[0]))
        return [Filling(*place, log_prob) for place, log_prob in ordered[: self.beams]]

    def _rows(self, number: int, sentence: SlotSentence, loaded: LoadedGenerator) -> list[SlotRow]:
        """What the model is asked about a sentence."""
        codec = loaded.codec
        numbers = [n for n, slot in enumerate(sentence.slots) if loaded.knows(slot.label) and slot.places]
        if not numbers:
            return []
        words = codec.words(sentence.words, sentence.spaces)
        labels = [sentence.slots[n].label for n in numbers]
        rows = []
        for low, high in windows(words, self.max_pieces):
            for group in by_label(labels, most=len(codec.sentinels)):
                prompt = codec.prompt(words[low:high], [labels[i] for i in group])
                for i, sentinel in zip(group, codec.sentinels, strict=False):
                    slot = sentence.slots[numbers[i]]
                    tree = PrefixTree.of(words, (place for place in slot.places if low <= place[0] < place[1] <= high))
                    if tree.children:
                        rows.append(SlotRow(prompt, sentinel, tree, number, numbers[i]))
        return rows

    def _search(self, rows: Sequence[SlotRow], loaded: LoadedGenerator, found: list[list[dict[Range, float]]]) -> None:
        """Note the places of all rows and their log-probabilities."""
        lengths = [len(row.prompt) for row in rows]
        budget = max(1, self.batch_tokens // self.beams)
        # Of short prompts the logits, not the inputs, bound the batch
        shortest = -(-budget * self.beams // loaded.max_logits)

        def run(batch: list[int]) -> list[dict[Range, float]]:
            return loaded.search([rows[i] for i in batch], beams=self.beams)

        with without_cudnn_attention(loaded.device):
            for batch in batches_by_length([max(shortest, n) for n in lengths], batch_tokens=budget):
                for i, places in zip(batch, self._retry.run(run, batch, lengths), strict=True):
                    best = found[rows[i].sentence][rows[i].slot]
                    for place, log_prob in places.items():
                        # A place may be in two windows
                        best[place] = max(log_prob, best.get(place, log_prob))

    def _load(self) -> LoadedGenerator:
        import torch
        from thinc.api import get_torch_default_device

        device = torch.device(get_torch_default_device())
        if self._loaded is None or self._loaded.device != device:
            half = device.type == "cuda" and torch.cuda.is_bf16_supported()
            self._loaded = LoadedGenerator.read(self.model, device, half=half)
        return self._loaded


class SlotRow(NamedTuple):
    """A slot of a prompt, what it may be filled with, and whose it is: indices of the sentence and of its slot."""

    prompt: tuple[int, ...]
    sentinel: int
    tree: PrefixTree
    sentence: int
    slot: int


class LoadedGenerator(NamedTuple):
    """A model and how its texts are written.

    Attributes:
        labels: Those that it was trained with; None where that is not known.
    """

    model: Any
    tokenizer: Any
    codec: SlotCodec
    labels: frozenset[str] | None
    device: torch.device

    @classmethod
    def read(cls, name: str, device: torch.device, *, half: bool = False) -> LoadedGenerator:
        """Load a model.

        Args:
            half: In half precision.

        Raises:
            XltError: E221 where it cannot be loaded whole, E285 where it has no sentinels.
        """
        import torch
        from transformers import GenerationConfig

        place = located(name, "E221", engine=OWNER)
        with loading("E221", engine=OWNER, model=name):
            config, _, tokenizer = read_files(place)
            precision = half_precision(config.model_type) if half else "float32"
            model = load_weights(OWNER, place, config, getattr(torch, precision))
            notes = Path(place) / NOTES
            labels = frozenset(map(str, srsly.read_json(notes)["labels"])) if notes.is_file() else None
        codec = SlotCodec(name, config, tokenizer, n_pieces=int(model.get_input_embeddings().num_embeddings))
        model.generation_config = GenerationConfig(
            eos_token_id=codec.end, pad_token_id=codec.pad, decoder_start_token_id=codec.start
        )
        return cls(model.to(device).eval(), tokenizer, codec, labels, device)

    def knows(self, label: str) -> bool:
        """Whether the model was trained to find spans of a label, as far as that is known."""
        return self.labels is None or label in self.labels

    @property
    def max_logits(self) -> int:
        """For how many pieces at once the logits over the whole vocabulary may be held."""
        return max(1, MAX_LOGITS.get(self.device.type, MAX_LOGITS["cuda"]) // int(self.model.config.vocab_size))

    def encode(self, prompts: Sequence[tuple[int, ...]]) -> tuple[torch.Tensor, torch.Tensor]:
        """What the encoder makes of prompts, (n_prompts, n_pieces, dim), and which of it counts. It reads each once."""
        import torch

        numbers = {prompt: n for n, prompt in enumerate(dict.fromkeys(prompts))}
        ids, mask = pad_rows([list(prompt) for prompt in numbers], self.codec.pad, self.device)
        hidden = self.model.get_encoder()(input_ids=ids, attention_mask=mask, return_dict=True).last_hidden_state
        owners = torch.tensor([numbers[prompt] for prompt in prompts], device=self.device)
        return hidden[owners], mask[owners]

    def search(self, rows: Sequence[SlotRow], *, beams: int) -> list[dict[Range, float]]:
        """The places that beam search comes across for each row, and their log-probabilities."""
        import torch

        trees = [row.tree for row in rows]
        with torch.inference_mode():
            hidden, mask = self.encode([row.prompt for row in rows])
            starts = torch.tensor([[self.codec.start, row.sentinel] for row in rows], device=self.device)
            only = OnlyFromTrees(trees, n_beams=beams, n_before=starts.shape[1], end=self.codec.end)
            self.model.generate(
                encoder_outputs=encoder_output(hidden),
                attention_mask=mask,
                decoder_input_ids=starts,
                do_sample=False,
                num_beams=beams,
                length_penalty=0.0,
                max_new_tokens=max(tree.depth for tree in trees) + 1,
                logits_processor=[only],
            )
        return only.found
