"""An encoder of XLM-R base's size with random weights, to measure time and memory where there is no network.

    python -m spacy xlt bundled encoder models/encoder
    python benchmarks/base_encoder.py models/encoder models/base

12 layers of 768, with the vocabulary and tokenizer of the first encoder: 278 million weights with that of XLM-R.
"""

from __future__ import annotations

import argparse


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("encoder", help="model folder or Hugging Face name")
    parser.add_argument("output")
    args = parser.parse_args()
    from transformers import AutoConfig, AutoModel, AutoTokenizer

    config = AutoConfig.from_pretrained(args.encoder)
    config.update({"hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12, "intermediate_size": 3072})
    model = AutoModel.from_config(config)
    model.save_pretrained(args.output)
    AutoTokenizer.from_pretrained(args.encoder).save_pretrained(args.output)
    print(f"{sum(weights.numel() for weights in model.parameters()) / 1e6:.0f} million weights in {args.output}")


if __name__ == "__main__":
    main()
