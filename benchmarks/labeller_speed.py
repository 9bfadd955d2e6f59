"""Time a sentence of `xlt_seq2seq_ner` beside plain `generate` with the same model, on one core.

    python benchmarks/labeller_speed.py [--tiny] [--sentences 20] [--updates 60] [--rate 0.001] [--rounds 2]

The model has the shape of mT5-small, `--tiny` a small one, and random weights. It learns the sentences by heart first
(UNER Portuguese PUD, those with entities), so that it decides as a trained one does: the number of times that the
decoder reads depends on it. `generate` writes as many tokens for each sentence as the text with tags has, greedily and
with four beams, and is free to write any; what it writes is not looked at. Printed are milliseconds of processor time a
sentence, the least of all rounds.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import spacy
import torch
from spacy.language import Language
from spacy.tokens import Doc
from spacy.training import Example
from thinc.api import Optimizer

from spacy_xlt.bundled.encoder import load_tokenizer
from spacy_xlt.readers import read_corpus

DATA = Path(__file__).parents[1] / "assets" / "uner" / "Portuguese-PUD" / "pt_pud-ud-test.iob2"
SMALL: dict[str, Any] = {
    "vocab_size": 250112,
    "d_model": 512,
    "d_kv": 64,
    "d_ff": 1024,
    "num_layers": 8,
    "num_heads": 6,
}
TINY: dict[str, Any] = {"vocab_size": 0, "d_model": 128, "d_kv": 32, "d_ff": 256, "num_layers": 2, "num_heads": 4}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tiny", action="store_true")
    parser.add_argument("--sentences", type=int, default=20)
    parser.add_argument("--updates", type=int, default=60)
    parser.add_argument("--rate", type=float, default=0.001)
    parser.add_argument("--rounds", type=int, default=2)
    args = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    nlp = spacy.blank("pt")
    golds = [doc for doc in read_corpus(DATA, lang="pt") if doc.ents][: args.sentences]
    nlp.add_pipe("xlt_seq2seq_ner")
    with tempfile.TemporaryDirectory() as folder:
        write_model(Path(folder), TINY if args.tiny else SMALL)
        nlp.config["initialize"]["components"]["xlt_seq2seq_ner"] = {"model": folder}
        examples = [Example(bare(nlp, gold), gold) for gold in golds]
        nlp.initialize(lambda: examples)
    learn(nlp, examples, updates=args.updates, rate=args.rate)
    docs = [bare(nlp, gold) for gold in golds]
    component: Any = nlp.get_pipe("xlt_seq2seq_ner")
    model = component.model
    texts = model.encode(docs)
    outputs = [windows[0][1][0] for windows in model.label(texts, 1)]
    lengths = [len(output.written.tokens) for output in outputs]
    print(f"{sum(lengths) / len(docs):.1f} tokens a sentence, f {nlp.evaluate(examples)['ents_f']:.2f}")
    print(f"{readings(model, texts):.1f} readings a sentence")
    ways: dict[str, Callable[[], Any]] = {
        "ours, one by one": lambda: [model.label([text], 1) for text in texts],
        "ours, four candidates": lambda: [model.label([text], 4) for text in texts],
        "ours, all at once": lambda: model.label(texts, 1),
        "generate, one by one": lambda: generate(model, texts, lengths, 1),
        "generate, four beams": lambda: generate(model, texts, lengths, 4),
    }
    for name, way in ways.items():
        way()
        print(f"{name}: {1000 * min(timed(way) for _ in range(args.rounds)) / len(docs):.0f} ms a sentence")


def write_model(folder: Path, shape: dict[str, Any]) -> None:
    """A model of this shape with random weights, and a tokenizer of many languages."""
    from transformers import MT5Config, MT5ForConditionalGeneration

    tokenizer = load_tokenizer("encoder-en-pt")
    tokenizer.save_pretrained(folder)
    shape = {**shape, "vocab_size": shape["vocab_size"] or len(tokenizer), "dropout_rate": 0.0}
    pad, end = tokenizer.pad_token_id, tokenizer.eos_token_id
    config = MT5Config(**shape, pad_token_id=pad, eos_token_id=end, decoder_start_token_id=pad)
    model = MT5ForConditionalGeneration(config)
    # As they are made, the scores of pieces would take long to learn anything from
    torch.nn.init.normal_(model.lm_head.weight, std=config.d_model**-0.5)
    model.save_pretrained(folder)


def bare(nlp: Language, doc: Doc) -> Doc:
    return Doc(nlp.vocab, [token.text for token in doc], [bool(token.whitespace_) for token in doc])


def learn(nlp: Language, examples: list[Example], *, updates: int, rate: float) -> None:
    network: Any = nlp.get_pipe("xlt_seq2seq_ner").model.transformer  # type: ignore[attr-defined]
    for part in (network.get_input_embeddings(), network.get_output_embeddings()):
        part.requires_grad_(False)
    sgd = Optimizer(rate, grad_clip=1.0, use_averages=False)
    for _ in range(updates):
        nlp.update(examples, sgd=sgd, drop=0.0)


def readings(model: Any, texts: Any) -> float:
    """How many times the decoder reads a sentence, in the mean."""
    decide, counts = model._decide, []
    model._decide = lambda *args: counts.append(1) or decide(*args)
    for text in texts:
        model.label([text], 1)
    del model._decide
    return len(counts) / len(texts)


def generate(model: Any, texts: Any, lengths: list[int], beams: int) -> None:
    for text, length in zip(texts, lengths, strict=True):
        ids = torch.tensor([[*model.words.prefix, *text.pieces.tolist(), *model.words.suffix]])
        with torch.inference_mode():
            model.transformer.generate(ids, min_new_tokens=length, max_new_tokens=length, num_beams=beams)


def timed(way: Callable[[], Any]) -> float:
    start = time.process_time()
    way()
    return time.process_time() - start


if __name__ == "__main__":
    main()
