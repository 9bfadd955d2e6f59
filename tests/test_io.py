"""Files are whole or not there, whatever happens to the disk or the process; and the lock of a folder."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import tempfile
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from spacy_xlt.cli._app import friendly_errors
from spacy_xlt.errors import XltError, XltWarning
from spacy_xlt.io import lock_folder, remove_leftovers, replacing, replacing_folder, write_bytes, write_json

# In the names of what is being written; a random one
TOKEN = "0123456789ab"
DISK_ERRORS = ("ENOSPC", "EDQUOT", "EROFS", "EACCES", "EFBIG", "EIO")


@pytest.fixture
def small_disk() -> Iterator[Path]:
    """A real file system of 64 KiB, where the tests may mount one."""
    # Not below tmp_path, which is removed while it is still mounted where a test is interrupted
    folder = Path(tempfile.mkdtemp())
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)]
    try:
        mounted = sys.platform == "linux" and subprocess.run(mount, capture_output=True).returncode == 0
    except OSError:
        mounted = False
    if not mounted:
        folder.rmdir()
        pytest.skip("no file system can be mounted here")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)
        folder.rmdir()


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*"))


def test_a_full_disk_leaves_the_old_file_and_folder_and_names_them(small_disk: Path) -> None:
    file, folder = small_disk / "shard.spacy", small_disk / "model"
    write_bytes(file, b"old")
    with replacing_folder(folder) as beside:
        (beside / "weights").write_bytes(b"old")
    with pytest.raises(OSError) as caught:
        write_bytes(file, b"x" * 100_000)
    assert (caught.value.errno, caught.value.filename) == (errno.ENOSPC, str(file))
    with pytest.raises(OSError) as caught, replacing_folder(folder) as beside:
        (beside / "weights").write_bytes(b"x" * 100_000)
    assert (caught.value.errno, caught.value.filename) == (errno.ENOSPC, str(folder))
    assert names(small_disk) == ["model", "shard.spacy", "weights"]
    assert file.read_bytes() == (folder / "weights").read_bytes() == b"old"
    # Room again: the same call now works
    write_bytes(file, b"new")
    assert file.read_bytes() == b"new"


@pytest.mark.parametrize("name", DISK_ERRORS)
def test_every_error_of_a_disk_is_a_message_that_names_the_file(tmp_path: Path, name: str) -> None:
    number = getattr(errno, name)
    app = typer.Typer()

    @app.command()
    @friendly_errors
    def write() -> None:
        with replacing(tmp_path / "summary.json") as beside:
            beside.write_bytes(b"half")
            raise OSError(number, os.strerror(number))

    done = CliRunner().invoke(app, [])
    assert done.exit_code == 1
    assert "XLT-E501" in done.output and "summary.json" in done.output.replace("\n", "")
    assert os.strerror(number) in " ".join(done.output.split())
    assert names(tmp_path) == []


KILLED = """
import os, signal, sys
from spacy_xlt.io import replacing
with replacing(sys.argv[1]) as beside:
    beside.write_bytes(b"half")
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="a process cannot be killed so")
def test_what_a_killed_process_left_is_removed_and_nothing_else(tmp_path: Path) -> None:
    shard = tmp_path / "target" / "pt 1-00000.spacy"
    subprocess.run([sys.executable, "-c", KILLED, str(shard)])
    (left,) = shard.parent.iterdir()
    elsewhere = tmp_path.parent / f"{tmp_path.name}-elsewhere"
    elsewhere.mkdir()
    (elsewhere / f".x.{TOKEN}.part").write_text("not below the folder")
    (tmp_path / "link").symlink_to(elsewhere)
    (tmp_path / f".linked.{TOKEN}.part").symlink_to(elsewhere)
    keep = [".lock", f"a.{TOKEN}.part", ".a.part", ".a.b.part", f".a.{TOKEN}.parts", "shard.spacy"]
    # What other programs call their own such files
    keep += [".x.1.part", ".x.7.old"]
    for name in keep:
        (tmp_path / name).write_text("")
    (tmp_path / f".model.{TOKEN}.part").mkdir()
    (tmp_path / f".model.{TOKEN}.part" / "weights").write_text("")
    removed = remove_leftovers(tmp_path)
    assert removed == [tmp_path / f".model.{TOKEN}.part", left]
    assert names(tmp_path) == sorted([*keep, "target", "link", f".linked.{TOKEN}.part"])
    assert names(elsewhere) == [f".x.{TOKEN}.part"]
    assert remove_leftovers(tmp_path) == remove_leftovers(tmp_path / "new") == []


def test_the_only_copy_of_a_folder_gets_its_name_back(tmp_path: Path) -> None:
    for name, text in ((f".model.{TOKEN}.old", "old"), (f".other.{TOKEN}.old", "old"), ("other", "new")):
        (tmp_path / name).mkdir()
        write_json(tmp_path / name / "meta.json", text)
    remove_leftovers(tmp_path)
    assert names(tmp_path) == ["meta.json", "meta.json", "model", "other"]
    assert "old" in (tmp_path / "model" / "meta.json").read_text()
    assert "new" in (tmp_path / "other" / "meta.json").read_text()


HOLD = """
import os, sys, time
from spacy_xlt.io import lock_folder
with lock_folder(sys.argv[1]):
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


def test_a_folder_in_use_is_refused_until_the_process_that_has_it_is_killed(tmp_path: Path) -> None:
    folder = tmp_path / "a folder of ours, наша"
    with holder(folder) as process:
        with pytest.raises(XltError, match="E571"), lock_folder(folder):
            pass
        process.send_signal(signal.SIGKILL)
        process.wait()
        with lock_folder(folder), pytest.raises(XltError, match="E571"), lock_folder(folder):
            pass


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system cannot fork")
def test_workers_that_outlive_a_killed_process_do_not_keep_the_lock(tmp_path: Path) -> None:
    with holder(tmp_path, then=FORK) as process:
        assert process.stdout is not None
        child = int(process.stdout.readline())
        try:
            assert process.stdout.readline() == "locked\n"
            with pytest.raises(XltError, match="E571"), lock_folder(tmp_path):
                pass
            process.send_signal(signal.SIGKILL)
            process.wait()
            os.kill(child, 0)
            with lock_folder(tmp_path):
                pass
        finally:
            os.kill(child, signal.SIGKILL)


def test_a_holder_that_is_about_to_end_is_given_a_moment(tmp_path: Path) -> None:
    with holder(tmp_path) as process:
        threading.Timer(0.3, process.kill).start()
        with lock_folder(tmp_path):
            assert process.poll() is not None


def test_waiting_warns_once_and_goes_on_when_the_other_is_killed(tmp_path: Path) -> None:
    with holder(tmp_path) as process, warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        threading.Timer(1.5, process.kill).start()
        with lock_folder(tmp_path, wait=True):
            assert process.poll() is not None
    (warning,) = [item for item in warned if issubclass(item.category, XltWarning)]
    assert "W572" in str(warning.message)


def test_the_lock_is_free_after_an_error(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), lock_folder(tmp_path):
        raise RuntimeError
    with lock_folder(tmp_path), pytest.raises(XltError, match="E571"), lock_folder(tmp_path):
        pass
    assert [path.name for path in tmp_path.iterdir()] == [".lock"]


def test_a_file_in_the_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("mine")
    with pytest.raises(XltError, match="E501.*no folder"), lock_folder(tmp_path / "out"):
        pass
