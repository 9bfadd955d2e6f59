"""The lock of a build folder, with real processes that are killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from spacy_xlt.errors import XltError, XltWarning
from spacy_xlt.locks import BuildLock

HOLD = """
import os, sys, time
from spacy_xlt.locks import BuildLock
with BuildLock(sys.argv[1]):
    {then}
    print("locked", flush=True)
    time.sleep(60)
"""
FORK = "child = os.fork()\n    if not child: time.sleep(60); os._exit(0)\n    print(child, flush=True)"


@contextmanager
def holder(folder: Path, *, then: str = "pass") -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD.format(then=then), str(folder)], stdout=subprocess.PIPE, text=True
    )
    try:
        if then == "pass":
            assert process.stdout is not None and process.stdout.readline() == "locked\n"
        yield process
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def test_a_folder_in_use_is_refused_with_who_has_it(tmp_path: Path) -> None:
    folder = tmp_path / "a folder of ours, наша"
    with holder(folder) as process:
        with pytest.raises(XltError) as caught, BuildLock(folder):
            pass
        assert caught.value.code == "E571"
        assert f"process {process.pid}, since 20" in caught.value.message
        # Asking has changed nothing
        with pytest.raises(XltError, match=f"process {process.pid}"), BuildLock(folder):
            pass


def test_a_killed_process_does_not_keep_the_lock(tmp_path: Path) -> None:
    with holder(tmp_path) as process:
        process.send_signal(signal.SIGKILL)
        process.wait()
        with BuildLock(tmp_path), pytest.raises(XltError) as caught, BuildLock(tmp_path):
            pass
    # The new holder is named, not the dead one
    assert f"process {os.getpid()}," in caught.value.message


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system cannot fork")
def test_workers_that_outlive_a_killed_process_do_not_keep_the_lock(tmp_path: Path) -> None:
    with holder(tmp_path, then=FORK) as process:
        assert process.stdout is not None
        child = int(process.stdout.readline())
        try:
            assert process.stdout.readline() == "locked\n"
            with pytest.raises(XltError, match="E571"), BuildLock(tmp_path):
                pass
            process.send_signal(signal.SIGKILL)
            process.wait()
            os.kill(child, 0)
            with BuildLock(tmp_path):
                pass
        finally:
            os.kill(child, signal.SIGKILL)


def test_a_lock_without_a_named_holder_is_given_a_moment_to_become_free(tmp_path: Path) -> None:
    with holder(tmp_path) as process:
        # As of one that has just taken it, or of one that is dead while a process it forked has not let go yet
        os.truncate(tmp_path / ".lock", 1)
        start = time.monotonic()
        with pytest.raises(XltError, match="E571"), BuildLock(tmp_path):
            pass
        assert time.monotonic() - start > 1
        threading.Timer(0.3, process.kill).start()
        with BuildLock(tmp_path):
            assert process.poll() is not None


def test_waiting_says_so_once_and_goes_on_when_the_other_is_killed(tmp_path: Path) -> None:
    with holder(tmp_path) as process, warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        threading.Timer(0.8, process.kill).start()
        start = time.monotonic()
        with BuildLock(tmp_path, wait=True):
            assert 0.5 < time.monotonic() - start < 30
    (warning,) = [one for one in said if issubclass(one.category, XltWarning)]
    assert "W572" in str(warning.message) and f"process {process.pid}" in str(warning.message)


def test_waiting_can_be_interrupted(tmp_path: Path) -> None:
    script = "import sys, warnings\nfrom spacy_xlt.locks import BuildLock\n"
    script += "warnings.showwarning = lambda *a: print('waiting', flush=True)\n"
    script += "try:\n    with BuildLock(sys.argv[1], wait=True): print('got it')\n"
    script += "except KeyboardInterrupt: print('interrupted', flush=True)"
    with holder(tmp_path):
        command = [sys.executable, "-c", script, str(tmp_path)]
        waiting = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert waiting.stdout is not None and waiting.stdout.readline() == "waiting\n"
        waiting.send_signal(signal.SIGINT)
        assert waiting.communicate(timeout=30)[0] == "interrupted\n"


def test_the_lock_is_free_after_an_error_inside(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), BuildLock(tmp_path):
        raise RuntimeError
    with BuildLock(tmp_path):
        pass
    assert [path.name for path in tmp_path.iterdir()] == [".lock"]


def test_a_file_in_the_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("mine")
    with pytest.raises(XltError, match="E501.*no folder"), BuildLock(tmp_path / "out"):
        pass


def test_a_lock_with_nonsense_in_it_is_taken(tmp_path: Path) -> None:
    (tmp_path / ".lock").write_bytes(b"\0{nonsense")
    with BuildLock(tmp_path), pytest.raises(XltError, match="E571"), BuildLock(tmp_path):
        pass
