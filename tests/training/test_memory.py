"""Memory of a training is bounded by the config, whatever the text: what the encoder is given never is larger."""

from __future__ import annotations

import random
import string
import warnings
from pathlib import Path
from typing import Any

import pytest
import spacy
from helpers.paths import CONFIGS
from helpers.tiny_encoder import make_tiny_encoder
from spacy.language import Language
from spacy.schemas import ConfigSchemaTraining
from spacy.tokens import Doc, DocBin, Span
from spacy.training.initialize import init_nlp
from spacy.util import registry, resolve_dot_names

from spacy_xlt.config import merge_configs

MAX_PIECES, SIZE = 48, 96


@pytest.fixture(scope="module")
def encoder(tmp_path_factory) -> str:
    return str(make_tiny_encoder(tmp_path_factory.mktemp("encoder")))


def hostile_texts() -> list[list[str]]:
    rng = random.Random(0)
    letters = string.ascii_letters + "/%="
    texts = [["Maria", "lives", "in", "Lisbon", "."] for _ in range(20)]
    texts += [["Maria", "reads", "".join(rng.choices(letters, k=3000))] for _ in range(3)]
    texts += [["Maria", *["lives", "in"] * 150], ["Maria", *[" ", "\u200b"] * 150], ["Maria", *["\ufdfa" * 8] * 20]]
    texts.append(["Maria", *("".join(rng.choices(letters, k=60)) for _ in range(30))])
    return texts


def hostile_docs() -> list[Doc]:
    vocab = spacy.blank("en").vocab
    docs = [Doc(vocab, words=words) for words in hostile_texts()]
    for doc in docs:
        doc.set_ents([Span(doc, 0, 1, label="PER")], default="outside")
    return docs


class Trained:
    """A pipeline made from one of our configs, and the shapes of what its encoder was given."""

    def __init__(self, configs: list[Path], encoder: str, folder: Path):
        corpus = str(folder / "corpus.spacy")
        DocBin(docs=hostile_docs()).to_disk(corpus)
        changes: dict[str, Any] = {"nlp.lang": "en", "nlp.batch_size": 8, "paths.encoder": encoder}
        changes |= {"paths.source": corpus, "paths.dev": corpus, "training.batcher.size": SIZE}
        changes |= {"corpora.train.use": ["source"], "corpora.dev.target_gold": True}
        changes |= {"reading.max_pieces": MAX_PIECES, "reading.max_word_pieces": 8, "reading.keep_empty": 1.0}
        config = merge_configs(configs, changes)
        config["components"]["transformer"]["model"]["mixed_precision"] = False
        self.nlp: Language = init_nlp(config)
        whole = self.nlp.config.interpolate()
        self.training = registry.resolve(whole["training"], schema=ConfigSchemaTraining)
        self.corpora = resolve_dot_names(whole, [self.training["train_corpus"], self.training["dev_corpus"]])
        self.shapes: list[tuple[int, int]] = []
        encoder_model = self.nlp.get_pipe("transformer").model.transformer
        encoder_model.register_forward_pre_hook(self._record, with_kwargs=True)

    def _record(self, module: Any, args: Any, kwargs: dict[str, Any]) -> None:
        self.shapes.append(tuple(kwargs["input_ids"].shape))

    def largest(self) -> int:
        """Positions of the largest input since the last call."""
        shapes, self.shapes = self.shapes, []
        return max(rows * width for rows, width in shapes)


@pytest.fixture(scope="module", params=[["train", "ner"], ["train", "ner", "gpu"]], ids="-".join)
def trained(request, encoder: str, tmp_path_factory) -> Trained:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return Trained([CONFIGS / f"{name}.cfg" for name in request.param], encoder, tmp_path_factory.mktemp("trained"))


@pytest.mark.filterwarnings("ignore")
def test_no_batch_of_a_training_is_larger_than_its_size(trained):
    examples = list(trained.corpora[0](trained.nlp))
    for batch in trained.training["batcher"](examples):
        trained.nlp.update(batch, sgd=trained.training["optimizer"])
    assert trained.largest() <= SIZE


@pytest.mark.filterwarnings("ignore")
def test_no_batch_of_an_evaluation_is_larger_than_its_documents_allow(trained):
    trained.nlp.evaluate(trained.corpora[1](trained.nlp))
    assert trained.largest() <= trained.nlp.batch_size * MAX_PIECES


@pytest.mark.filterwarnings("ignore")
def test_a_word_of_thousands_of_pieces_is_no_longer_than_the_encoder_when_the_pipeline_is_used(trained):
    docs = list(trained.nlp.pipe([" ".join(words) for words in hostile_texts() if len(words) < 10]))
    assert len(docs) == 23
    assert max(width for _, width in trained.shapes) <= 128
    assert trained.largest() <= trained.nlp.batch_size * 128


@pytest.mark.filterwarnings("ignore")
def test_the_encoder_s_output_does_not_stay_with_the_documents(trained):
    assert all(doc._.trf_data is None for doc in trained.nlp.pipe(["Maria lives in Lisbon.", "John Smith"]))


def test_what_is_trained_on_is_one_window_for_the_encoder():
    config = merge_configs([CONFIGS / "train.cfg", CONFIGS / "ner.cfg"]).interpolate()
    window = config["components"]["transformer"]["model"]["get_spans"]["window"]
    assert window >= config["corpora"]["train"]["max_pieces"]
