"""`spacy_xlt.PeftTransformerModel.v1`: a transformer of which few weights are trained, saved as an ordinary one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from thinc.api import Model

from .settings import PeftSettings


def create_peft_transformer(
    name: str | Path,
    get_spans: Callable,
    tokenizer_config: dict[str, Any] = {},  # noqa: B006 - read only; spaCy shows it in configs
    transformer_config: dict[str, Any] = {},  # noqa: B006
    mixed_precision: bool | str = True,
    grad_scaler_config: dict[str, Any] = {},  # noqa: B006
    peft: str | None = None,
    rank: int = 8,
    alpha: float | None = None,
    dropout: float = 0.0,
    target_modules: list[str] | None = None,
    layers: int | None = None,
    freeze_embeddings: bool = False,
    freeze_layers: int = 0,
    gradient_checkpointing: bool = False,
) -> Model:
    """Registered architecture `spacy_xlt.PeftTransformerModel.v1`, for the factory `transformer`.

    With its defaults it is `spacy-transformers.TransformerModel.v3` with half precision on a GPU. One thing differs:
    `use_averages` of the optimizer does nothing to a transformer there, and uses its averaged weights here.

    What `nlp.to_disk` writes is a TransformerModel.v3 and its config: the pipeline that is packaged needs neither
    spacy_xlt nor peft. The pipeline in memory is not changed by saving, and goes on training.

    name, get_spans, tokenizer_config, transformer_config, grad_scaler_config: As in TransformerModel.v3.
    mixed_precision (bool | str): True for float16 on a GPU and float32 on a CPU, as in TransformerModel.v3. "bfloat16"
        on a GPU needs no scaling of gradients, and on a CPU that has instructions for it saves time. The saved pipeline
        predicts in half precision where this one does: trained on a GPU, and not in bfloat16.
    peft (str | None): What is trained instead of the encoder's own weights: "lora", "dora", "loha", "lokr" or "ia3",
        or none (null) to train those. Needs the extra `peft`.
    rank (int): Rank of the trained matrices. Not for "ia3".
    alpha (float | None): The trained matrices are multiplied with alpha / rank. Null for twice the rank.
    dropout (float): Share of their inputs that are dropped in training. Not for "ia3".
    target_modules (list[str] | None): Modules that get trained matrices, by the ends of their names ("query",
        "attention.output.dense"). Null for the queries and values of the attention (where an architecture calls them
        by another name, all linear modules of its layers), and for "ia3" the keys, values and feed-forward blocks.
    layers (int | None): How many layers are used, from the bottom. Null for all. The saved pipeline has no more.
    freeze_embeddings (bool): Whether the embeddings stay as they are; with `peft` they always do.
    freeze_layers (int): How many layers, from the bottom, stay as they are, and get no trained matrices.
    gradient_checkpointing (bool): Whether to keep only what is between layers and compute the inside of each again:
        less memory, more time.
    RETURNS (Model[List[Doc], FullTransformerBatch]): The model. The encoder is loaded when it is initialised.
    RAISES (XltError): E601 for a value that cannot be, E631 where peft is missing. When initialised, E630, E632 to E635
        and E604 for an encoder that is not there or does not have what is asked of it.
    """
    settings = PeftSettings(
        method=peft,
        rank=rank,
        alpha=alpha,
        dropout=dropout,
        target_modules=target_modules,
        layers=layers,
        freeze_embeddings=freeze_embeddings,
        freeze_layers=freeze_layers,
        gradient_checkpointing=gradient_checkpointing,
        mixed_precision=mixed_precision,
    )
    # Imports torch.
    from .model import PeftTransformer

    return PeftTransformer(
        settings,
        name=str(name),
        get_spans=get_spans,
        tokenizer_config=tokenizer_config,
        transformer_config=transformer_config,
        grad_scaler_config=grad_scaler_config,
    )
