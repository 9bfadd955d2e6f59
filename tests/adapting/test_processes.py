"""Several processes train one model; what is stopped, interrupted or out of space goes on."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers import adapting
from helpers.adapting import adapt_tiny, weights
from helpers.tiny_encoder import make_tiny_encoder
from typer.testing import CliRunner

from spacy_xlt import steps
from spacy_xlt.adapting.triples import Triples
from spacy_xlt.cli import app
from spacy_xlt.errors import XltError
from spacy_xlt.processes import Kept, Processes

FACTS = "Lisboa\tcity in\tPortugal\nRio\tcity in\tBrasil\nMaria\tmora em\tLisboa\nBanco\tof\tNew York\n"


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    return make_tiny_encoder(tmp_path_factory.mktemp("tiny"))


def _same(first, second, *, within=0.0):
    first, second = weights(first), weights(second)
    return first.keys() == second.keys() and all(np.abs(first[k] - second[k]).max() <= within for k in first)


def _two_processes(*runs):
    """Start the two as `torchrun` and `accelerate launch` do, and wait; what each has printed, and their statuses."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    given = {"WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    given |= {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(adapting.__file__).parents[1])}
    started = []
    for rank in ("0", "1"):
        env = {**os.environ, **given, "RANK": rank, "LOCAL_RANK": rank}
        of_rank = [run[int(rank)] if isinstance(run, tuple) else run for run in runs]
        command = [sys.executable, "-m", "helpers.adapting", json.dumps(of_rank)]
        started.append(subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True))
    try:
        said = [process.communicate(timeout=240)[0] for process in started]
    finally:
        for process in started:
            process.kill()
    return said, [process.returncode for process in started]


@pytest.mark.long
def test_two_processes_train_the_model_of_one(tiny, tmp_path):
    runs = {
        "one": {},
        "mixed": {"names": "self_align length", "learning_rate": 5e-3},
        "four": {"accumulate": 4},
        "lora": {"part": "lora", "names": "self_align length"},
        "sparse": {"part": "sparse"},
    }
    given = {name: {"tiny": str(tiny), "accumulate": 2, **run} for name, run in runs.items()}
    # The second process gets the name of a folder in a file, where it could not write
    (tmp_path / "file").touch()
    rows = [*given.items(), ("stopped", {**given["one"], "stop": 3}), ("stopped", given["one"])]
    pairs = [
        tuple({**run, "output": str(tmp_path / folder / name)} for folder in ("two", "file")) for name, run in rows
    ]
    said, statuses = _two_processes(*pairs)
    assert statuses == [0, 0], said
    assert [text.count("stopped") for text in said] == [1, 1]
    for name, run in given.items():
        adapt_tiny(output=tmp_path / name, **run)
        assert _same(tmp_path / "two" / name, tmp_path / name, within=1e-6), name
        assert not _same(tmp_path / name, tmp_path / "one") or name == "one"
    assert _same(tmp_path / "two/stopped", tmp_path / "one", within=1e-6)
    assert not list(tmp_path.rglob("*.unfinished"))


@pytest.mark.long
def test_both_processes_end_where_one_fails(tiny, tmp_path):
    run = {"tiny": str(tiny), "output": str(tmp_path / "out"), "accumulate": 2, "steps": 10_000}
    # The second one stops, and the first one waits for what it has to add
    said, statuses = _two_processes((run, {**run, "stop": 3}))
    assert "stopped" in said[1] and "stopped" not in said[0]
    assert statuses[0] != 0 and "Traceback" in said[0]
    assert (tmp_path / "out.unfinished").exists() and not (tmp_path / "out").exists()


def test_gradients_are_added_up_and_those_of_no_process_stay_none(monkeypatch):
    import accelerate.utils

    def grads(*values):
        made = [torch.nn.Parameter(torch.zeros(2, 1)) for _ in values]
        for parameter, value in zip(made, values, strict=True):
            parameter.grad = None if value is None else torch.full((2, 1), float(value))
        return made

    first, second = grads(1, 2, None, None), grads(10, None, 40, None)
    sent = []
    monkeypatch.setattr(accelerate.utils, "reduce", lambda flat, how: sent.append(flat) or flat)
    Processes(0, 2, object()).add_up(grads(1, 2, None, None), 0.5)
    Processes(1, 2, object()).add_up(grads(10, None, 40, None), 0.25)
    monkeypatch.setattr(accelerate.utils, "reduce", lambda flat, how: sum(sent))
    for parameters in (first, second):
        assert Processes(0, 2, object()).add_up(parameters, 0.0) == 0.75
        assert [None if p.grad is None else p.grad.flatten().tolist() for p in parameters] == [
            [11, 11], [2, 2], [40, 40], None
        ]  # fmt: skip
    assert Processes().add_up(first, 0.125) == 0.125


def test_each_process_must_have_something_to_do(tiny, tmp_path, monkeypatch):
    monkeypatch.setattr(Processes, "here", classmethod(lambda cls: cls(0, 2)))
    with pytest.raises(XltError, match="E150.*`accumulate`.* 3; expected a multiple of 2"):
        adapt_tiny(tiny, tmp_path / "out", accumulate=3)


def test_several_processes_without_the_package_say_how_to_get_it(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setitem(sys.modules, "accelerate", None)
    with pytest.raises(XltError, match=r"E106.*pip install 'spacy-xlt\[adapt\]'"):
        Processes.here()


@pytest.mark.skipif(os.name != "posix", reason="sends signals")
def test_a_step_that_is_interrupted_is_finished_and_kept(tiny, tmp_path, monkeypatch):
    adapt_tiny(tiny, tmp_path / "whole")
    step = torch.optim.AdamW.step

    def interrupted(self, *arguments, **more):
        # Two: an impatient person, or torchrun, which sends one when it gets one
        if len(made) == 3:
            os.kill(os.getpid(), signal.SIGINT)
            os.kill(os.getpid(), signal.SIGINT)
        made.append(step(self, *arguments, **more))

    made = []
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(torch.optim.AdamW, "step", interrupted)
        adapt_tiny(tiny, tmp_path / "out")
    assert len(made) == 4 and signal.getsignal(signal.SIGINT) is signal.default_int_handler
    seen = []
    adapt_tiny(tiny, tmp_path / "out", progress=lambda step, loss: seen.append(step))
    assert seen == [4, 5, 6] and _same(tmp_path / "out", tmp_path / "whole")


def test_a_step_that_fails_is_not_kept_and_those_before_are(tiny, tmp_path, monkeypatch):
    adapt_tiny(tiny, tmp_path / "whole")
    for failing, place in ((torch.optim.AdamW, "step"), (Processes, "add_up")):
        done, function = [], getattr(failing, place)

        def fail(self, *arguments, done=done, function=function, **more):
            done.append(function(self, *arguments, **more))
            if len(done) == 4:
                raise RuntimeError("out of memory, or the other process is gone")
            return done[-1]

        with monkeypatch.context() as patch, pytest.raises(RuntimeError, match="gone"):
            patch.setattr(failing, place, fail)
            adapt_tiny(tiny, tmp_path / place)
    # The parameters may be changed in part
    assert not (tmp_path / "step.unfinished").exists()
    assert (tmp_path / "add_up.unfinished").exists()
    seen = []
    adapt_tiny(tiny, tmp_path / "add_up", progress=lambda step, loss: seen.append(step))
    assert seen == [3, 4, 5, 6] and _same(tmp_path / "add_up", tmp_path / "whole")


def test_another_text_of_the_same_name_begins_anew(tiny, tmp_path, monkeypatch):
    with pytest.raises(KeyboardInterrupt):
        adapt_tiny(tiny, tmp_path / "out", stop=3)
    monkeypatch.setattr(adapting, "PAIRS", adapting.PAIRS[1:])
    seen = []
    adapt_tiny(tiny, tmp_path / "out", progress=lambda step, loss: seen.append(step))
    assert seen == [1, 2, 3, 4, 5, 6]


def _arguments(tiny, tmp_path, **changes):
    (tmp_path / "facts.tsv").write_text(FACTS)
    values = {"paths.facts": tmp_path / "facts.tsv", "adapting.model": tiny, "adapting.batch_tokens": 30, **changes}
    return [
        "adapt",
        "adapting/triples",
        str(tmp_path / "out"),
        *(str(x) for k, v in values.items() for x in (f"--{k}", v)),
    ]


@contextmanager
def _no_room(size):
    """No file can grow over a size."""
    import resource

    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.skipif(os.name != "posix", reason="limits the size of files")
def test_a_full_disk_is_said_and_what_was_kept_goes_on(tiny, tmp_path, monkeypatch):
    from spacy_xlt.cli import adapt as command

    arguments = _arguments(tiny, tmp_path, **{"adapting.steps": 6})
    monkeypatch.setattr(steps, "_KEEP_EVERY", 0)
    seen, write = [], Kept.write

    def full_later(self, make):
        with _no_room(20_000 if len(seen) == 3 else 10**9):
            write(self, make)

    monkeypatch.setattr(Kept, "write", full_later)
    monkeypatch.setattr(command, "show_step", lambda bar, step, loss: seen.append(step))
    result = CliRunner().invoke(app, arguments)
    said = " ".join(result.output.split())
    assert result.exit_code == 1 and "XLT-E501" in said and "File too large" in said, said
    assert "out.unfinished" in said and "What was finished is kept" in said and seen == [1, 2, 3]
    assert {path.name for path in tmp_path.iterdir()} == {"facts.tsv", "out.unfinished"}
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0 and seen == [1, 2, 3, 2, 3, 4, 5, 6], result.output
    assert {path.name for path in tmp_path.iterdir()} == {"facts.tsv", "out"}


@pytest.mark.long
@pytest.mark.skipif(os.name != "posix", reason="sends signals")
def test_an_interrupted_command_goes_on_when_it_is_given_again(tiny, tmp_path, monkeypatch):
    arguments = _arguments(tiny, tmp_path, **{"adapting.steps": 500})
    command = [sys.executable, "-m", "spacy", "xlt", *arguments]
    log = tmp_path / "log.txt"
    with log.open("wb") as file:
        process = subprocess.Popen(
            command, stdout=file, stderr=subprocess.STDOUT, env={**os.environ, "OMP_NUM_THREADS": "1"}
        )
    try:
        end = time.monotonic() + 240
        while process.poll() is None and not re.search(r"\b[1-9]\d*/500", log.read_text()) and time.monotonic() < end:
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        process.wait(60)
    finally:
        process.kill()
        process.wait()
    said = " ".join(log.read_text().split())
    assert process.returncode == 130 and "the same command goes on from there" in said, said
    assert "Traceback" not in said and not (tmp_path / "out").exists()
    made = len(torch.load(tmp_path / "out.unfinished")["losses"])
    losses, loss = [], Triples.loss
    monkeypatch.setattr(Triples, "loss", lambda self, *given: losses.append(1) or loss(self, *given))
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0 and 0 < made < 500 == made + len(losses), result.output
    assert (tmp_path / "out/config.json").is_file() and not (tmp_path / "out.unfinished").exists()
