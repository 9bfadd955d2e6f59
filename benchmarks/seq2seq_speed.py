"""Speed of `Seq2SeqTranslator` beside a plain `generate` loop over unsorted batches of the same size, in one run.

    python benchmarks/seq2seq_speed.py [TEXTS.txt] [--tiny] [--sentences 512] [--batch-tokens 4096] [--json OUT.json]

The model has the shape of NLLB-200-distilled-600M, `--tiny` a small one for a CPU, and random weights, so what it
writes means nothing: each translation is as many pieces long as its source has, for both. The loop is that of the
model cards: tokenizer, `generate`, `batch_decode`, in 32-bit floats (or `--loop-precision`), the texts in the file's
order, greedy search. Its batches have one number of sentences: `--loop-sentences`, or the most with which none of
them has more source pieces, padding counted, than the engine's `--batch-tokens`, so that both need the same memory. A
batch of the loop goes on until its longest translation is done. Texts are one a line; the default is NTREX-128's
English in assets/ntrex. Each translates them `--rounds` times in alternation after a warm-up; the best time counts.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from sentencepiece import SentencePieceTrainer
from thinc.api import get_torch_default_device, require_gpu

from spacy_xlt.translation import neural
from spacy_xlt.translation.seq2seq import Seq2SeqTranslator

ASSETS = Path(__file__).parents[1] / "assets" / "ntrex"
LARGE: dict[str, Any] = {
    "vocab_size": 256206,
    "d_model": 1024,
    "encoder_layers": 12,
    "decoder_layers": 12,
    "encoder_attention_heads": 16,
    "decoder_attention_heads": 16,
    "encoder_ffn_dim": 4096,
    "decoder_ffn_dim": 4096,
}
TINY: dict[str, Any] = {
    "vocab_size": 8500,
    "d_model": 256,
    "encoder_layers": 3,
    "decoder_layers": 3,
    "encoder_attention_heads": 4,
    "decoder_attention_heads": 4,
    "encoder_ffn_dim": 1024,
    "decoder_ffn_dim": 1024,
}


def write_model(folder: Path, texts: Sequence[str], shape: dict[str, Any]) -> None:
    """A model of this shape with random weights, which never ends by itself; NLLB's tokenizer made of the texts."""
    from transformers import GenerationConfig, M2M100Config, M2M100ForConditionalGeneration, NllbTokenizer

    SentencePieceTrainer.Train(
        sentence_iterator=iter(texts),
        model_prefix=str(folder / "pieces"),
        vocab_size=8000,
        hard_vocab_limit=False,
        minloglevel=2,
    )
    NllbTokenizer(vocab_file=str(folder / "pieces.model")).save_pretrained(folder)
    torch.manual_seed(0)
    model = M2M100ForConditionalGeneration(M2M100Config(decoder_start_token_id=2, **shape))
    # The end mark is kept out of what is written
    model.generation_config = GenerationConfig.from_model_config(model.config)
    model.generation_config.suppress_tokens = [2]
    model.save_pretrained(folder)


def lengths_of(tokenizer: Any, texts: Sequence[str]) -> list[int]:
    """Source pieces of each text, marks included."""
    return [len(ids) for ids in tokenizer(list(texts)).input_ids]


def loop_size(lengths: Sequence[int], batch_tokens: int) -> int:
    """The most sentences a batch with which no batch, in this order, has more padded pieces."""
    for size in range(len(lengths), 1, -1):
        batches = [lengths[i : i + size] for i in range(0, len(lengths), size)]
        if max(len(batch) * max(batch) for batch in batches) <= batch_tokens:
            return size
    return 1


def run_loop(model: Any, tokenizer: Any, texts: Sequence[str], lengths: Sequence[int], size: int) -> float:
    """RETURNS (float): The seconds that the plain loop takes."""
    start = time.perf_counter()
    forced = tokenizer.convert_tokens_to_ids("por_Latn")
    for i in range(0, len(texts), size):
        inputs = tokenizer(list(texts[i : i + size]), return_tensors="pt", padding=True).to(model.device)
        # The pieces of the text and the end mark, and the forced first piece, which counts as written
        n_new = max(lengths[i : i + size])
        out = model.generate(**inputs, forced_bos_token_id=forced, do_sample=False, num_beams=1, max_new_tokens=n_new)
        tokenizer.batch_decode(out, skip_special_tokens=True)
    _wait(model.device)
    return time.perf_counter() - start


def run_engine(translator: Seq2SeqTranslator, texts: Sequence[str]) -> float:
    """RETURNS (float): The seconds that the engine takes."""
    start = time.perf_counter()
    translator.translate(texts, source="en", target="pt")
    _wait(torch.device(get_torch_default_device()))
    return time.perf_counter() - start


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else f"CPU, {torch.get_num_threads()} threads"


def compare(lines: list[str], args: argparse.Namespace) -> dict[str, Any]:
    """Make the model, translate the first of the lines with both and compare."""
    from transformers import AutoModelForSeq2SeqLM, AutoTokenizer

    device = torch.device(get_torch_default_device())
    texts = lines[: args.sentences]
    with tempfile.TemporaryDirectory() as name:
        write_model(Path(name), lines, TINY if args.tiny else LARGE)
        tokenizer = AutoTokenizer.from_pretrained(name, use_fast=False, src_lang="eng_Latn")
        dtype = getattr(torch, args.loop_precision)
        model = AutoModelForSeq2SeqLM.from_pretrained(name, torch_dtype=dtype).to(device).eval()
        translator = Seq2SeqTranslator(
            model=name, beam_size=1, batch_tokens=args.batch_tokens, max_length_factor=1.0, max_pieces=1024
        )
        translator.translate(texts[:2], source="en", target="pt")
    lengths = lengths_of(tokenizer, texts)
    size = args.loop_sentences or loop_size(lengths, args.batch_tokens)
    run_loop(model, tokenizer, texts[:size], lengths, size)
    loop, engine = [], []
    for _ in range(args.rounds):
        loop.append(run_loop(model, tokenizer, texts, lengths, size))
        engine.append(run_engine(translator, texts))
    words = sum(len(text.split()) for text in texts)
    return {
        "device": _name(device),
        "shape": "tiny" if args.tiny else "NLLB-200-distilled-600M",
        "sentences": len(texts),
        "source_pieces": sum(lengths),
        "batch_tokens": args.batch_tokens,
        "loop_sentences_per_batch": size,
        "loop_precision": args.loop_precision,
        "engine_precision": str(next(iter(translator._loaded.values()))[0].model.dtype).removeprefix("torch."),
        "loop_words_per_second": round(words / min(loop), 1),
        "engine_words_per_second": round(words / min(engine), 1),
        "ratio": round(min(loop) / min(engine), 2),
        "peak_gpu_gib": round(torch.cuda.max_memory_allocated() / 2**30, 2) if device.type == "cuda" else None,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("texts", nargs="?", type=Path, default=ASSETS / "newstest2019-src.eng.txt")
    parser.add_argument("--tiny", action="store_true", help="a small model, for a CPU")
    parser.add_argument("--sentences", type=int, default=512)
    parser.add_argument("--batch-tokens", type=int, default=4096)
    parser.add_argument("--loop-sentences", type=int, help="sentences in a batch of the loop")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--threads", type=int, help="PyTorch's threads on a CPU")
    parser.add_argument("--loop-precision", choices=("float32", "float16", "bfloat16"), default="float32")
    parser.add_argument("--json", type=Path, help="also write the table to this file")
    args = parser.parse_args()
    if torch.cuda.is_available() and not args.tiny:
        require_gpu()
    if args.threads:
        torch.set_num_threads(args.threads)
    # Exactly as many pieces as the source has
    neural._FREE_PIECES = 0
    result = compare(args.texts.read_text(encoding="utf8").splitlines(), args)
    for key, value in result.items():
        print(f"{key:26} {value}")
    if args.json:
        args.json.write_text(json.dumps(result, indent=2) + "\n", encoding="utf8")


if __name__ == "__main__":
    main()
