"""The pages of docs are read as a person would: their blocks run one after the other, in miniature, in one folder."""

from __future__ import annotations

import json
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from helpers.docs_pages import PAGES, REASONS, blocks_of, make_project, make_ready, run_command
from thinc.api import Config

from spacy_xlt.alignment import pretrained
from spacy_xlt.config import load_pipeline_config

pretrained_load = pretrained.load
# The reference has no code
STORIES = sorted(name for name in PAGES if name != "reference.md")


@pytest.fixture(scope="session")
def ready(tmp_path_factory) -> Path:
    return make_ready(tmp_path_factory.mktemp("docs"))


@pytest.fixture(scope="session")
def encoders() -> Callable[[str, int], tuple[Any, Any]]:
    """`pretrained.load`, which makes the tokenizer of an encoder, and decodes its weights, once for all commands."""
    import torch

    originals: dict[tuple[str, int], tuple[Any, Any]] = {}

    def load(model: str, layer: int) -> tuple[Any, Any]:
        key = model, layer
        if key not in originals:
            originals[key] = pretrained_load(model, layer)
        encoder, tokenizer = originals[key]
        # The embeddings are most of it, and no aligner changes them
        weight = encoder.get_input_embeddings().weight
        shared = torch.nn.Parameter(weight.data, requires_grad=weight.requires_grad)
        return deepcopy(encoder, {id(weight): shared}), tokenizer

    return load


@pytest.mark.slow
@pytest.mark.parametrize("page", STORIES)
def test_the_blocks_of_a_page_run_in_order(page, ready, encoders, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(pretrained, "load", encoders)
    monkeypatch.chdir(make_project(tmp_path / "project", ready, page))
    capsys.readouterr()
    for block in blocks_of(page):
        if block.not_run:
            continue
        if block.file:
            Path(block.file).write_text(block.code, encoding="utf8")
        elif block.language == "bash":
            for words in block.commands():
                run_command(words)
        elif block.language == "python":
            exec(compile(block.code, block.place, "exec"), {})
            assert page == "README.md" or capsys.readouterr().out.strip(), block.place


@pytest.mark.parametrize("page", STORIES)
def test_a_block_that_does_not_run_says_why(page):
    blocks = blocks_of(page)
    assert {block.not_run for block in blocks} - {""} <= REASONS
    assert {block.language for block in blocks} <= {"bash", "python", "ini", "text", "jsonl"}
    assert all(
        isinstance(json.loads(line), dict) for b in blocks if b.language == "jsonl" for line in b.code.splitlines()
    )
    # Text is data, and is used by a block after it
    assert all(block.file for block in blocks if block.language == "text")
    # No block is hidden by its indentation, and none is without a language
    assert PAGES[page].count("\n```") == 2 * len(blocks)
    assert "\n    python -m" not in PAGES[page]


def test_few_blocks_do_not_run():
    every = [block for page in STORIES for block in blocks_of(page)]
    skipped = [f"{block.place}: {block.not_run}" for block in every if block.not_run]
    assert len(skipped) <= len(every) // 20, "\n".join(skipped)


# But for those of trained components, which the commands of their page put together
WHOLE_CONFIGS = [
    block
    for page in STORIES
    for block in blocks_of(page)
    if block.language == "ini" and "[nlp]" in block.code and "\nsource =" not in block.code
]


@pytest.mark.parametrize("block", WHOLE_CONFIGS, ids=lambda block: block.place)
def test_whole_configs_make_pipelines(block, tmp_path):
    (tmp_path / "page.cfg").write_text(block.code, encoding="utf8")
    nlp = load_pipeline_config(tmp_path / "page.cfg")
    assert nlp.pipe_names == Config().from_str(block.code)["nlp"]["pipeline"]
