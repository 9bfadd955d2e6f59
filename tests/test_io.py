"""Files are whole or not there, whatever happens to the disk or the process; and the lock of a folder."""

from __future__ import annotations

import errno
import json
import os
import signal
import socket
import stat
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
from spacy_xlt.io import (
    lock_folder,
    remove_leftovers,
    remove_leftovers_of,
    replacing,
    replacing_folder,
    replacing_pipeline,
    write_bytes,
    write_json,
)

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


posix_only = pytest.mark.skipif(os.name != "posix", reason="files are those of POSIX")


@posix_only
def test_a_pipe_gets_the_bytes_and_stays_a_pipe(tmp_path: Path) -> None:
    pipe, got = tmp_path / "pipe", []
    os.mkfifo(pipe)
    reader = threading.Thread(target=lambda: got.append(pipe.read_bytes()))
    reader.start()
    write_bytes(pipe, b"whole")
    reader.join(10)
    assert got == [b"whole"] and pipe.is_fifo() and names(tmp_path) == ["pipe"]


@posix_only
def test_a_device_is_written_to_and_stays(tmp_path: Path) -> None:
    (tmp_path / "null").symlink_to("/dev/null")
    for path in ("/dev/null", tmp_path / "null"):
        write_bytes(path, b"x")
    assert (tmp_path / "null").is_symlink() and stat.S_ISCHR(os.stat("/dev/null").st_mode)
    if Path("/dev/full").exists():
        with pytest.raises(OSError) as caught:
            write_bytes("/dev/full", b"x")
        assert (caught.value.errno, caught.value.filename) == (errno.ENOSPC, "/dev/full")


@posix_only
def test_what_is_neither_file_nor_pipe_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("socket")
        with pytest.raises(XltError, match="E501.*neither a file nor a pipe"):
            write_bytes("socket", b"x")
    (tmp_path / "folder").mkdir()
    with pytest.raises(IsADirectoryError):
        write_bytes(tmp_path / "folder", b"x")
    (tmp_path / "round").symlink_to("round")
    with pytest.raises(OSError) as caught:
        write_bytes(tmp_path / "round", b"x")
    assert caught.value.errno == errno.ELOOP and (tmp_path / "round").is_symlink()
    assert names(tmp_path) == ["folder", "round", "socket"]


def test_a_link_stays_and_what_it_names_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "there/old").write_text("old")
    (tmp_path / "there/model").mkdir()
    for name in ("old", "new", "model"):
        (tmp_path / name).symlink_to(tmp_path / "there" / name)
    for name in ("old", "new"):
        write_bytes(tmp_path / name, b"fresh")
    with replacing_folder(tmp_path / "model") as beside:
        assert beside.parent == tmp_path / "there"
        (beside / "weights").write_bytes(b"fresh")
    assert all((tmp_path / name).is_symlink() for name in ("old", "new", "model"))
    assert {path.read_bytes() for path in (tmp_path / "there").rglob("*") if path.is_file()} == {b"fresh"}
    assert names(tmp_path / "there") == ["model", "new", "old", "weights"]


@posix_only
def test_modes_are_kept_and_new_files_have_those_of_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        for mode in (None, 0o604, 0o444):
            if mode is not None:
                (tmp_path / "file").chmod(mode)
                (tmp_path / "folder").chmod(mode | 0o300)
            write_bytes(tmp_path / "file", b"x")
            with replacing_folder(tmp_path / "folder"):
                pass
            modes = [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("file", "folder")]
            assert modes == ([0o640, 0o750] if mode is None else [mode, mode | 0o300])
    finally:
        os.umask(before)


def test_the_name_of_what_is_being_written_is_another_one_each_time(tmp_path: Path) -> None:
    seen = []
    for _ in range(2):
        with replacing(tmp_path / "x") as beside:
            assert beside.exists()
            seen.append(beside.name)
            beside.write_bytes(b"")
    assert seen[0] != seen[1] and not any(str(os.getpid()) in name for name in seen)


@pytest.mark.skipif(sys.platform == "win32", reason="a process cannot be killed so")
def test_leftovers_of_an_output_go_and_what_is_being_written_stays(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-c", KILLED, str(tmp_path / "out")])
    (tmp_path / f".other.{TOKEN}.part").write_text("")
    with replacing(tmp_path / "out") as beside, replacing_folder(tmp_path / "folder") as folder:
        beside.write_bytes(b"x")
        assert len(names(tmp_path)) == 4
        (removed,) = remove_leftovers_of(tmp_path / "out")
        assert removed != beside and beside.exists()
        assert remove_leftovers_of(tmp_path / "folder") == [] and folder.exists()
        assert remove_leftovers(tmp_path) == [tmp_path / f".other.{TOKEN}.part"]
    assert names(tmp_path) == ["folder", "out"]


def test_what_else_lies_in_the_folder_of_a_pipeline_stays(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    (folder / "notes").mkdir(parents=True)
    (folder / "notes/mine.txt").write_text("mine")
    (folder / "LICENSE").write_text("mine")
    for name in ("ner", "vocab"):
        (folder / name).mkdir()
    write_json(folder / "meta.json", {"components": ["ner"]})
    with replacing_pipeline(folder) as beside:
        write_json(beside / "meta.json", {"components": ["tagger"]})
        (beside / "tagger").mkdir()
    assert names(folder) == ["LICENSE", "meta.json", "mine.txt", "notes", "tagger"]


def test_a_name_may_be_as_long_as_the_disk_takes(tmp_path: Path) -> None:
    write_bytes(tmp_path / ("x" * 255), b"x")
    assert names(tmp_path) == ["x" * 255]


@posix_only
def test_a_folder_that_nobody_can_make_is_named(tmp_path: Path) -> None:
    if Path("/proc").is_dir():
        with pytest.raises(XltError, match="E501.*/proc/nowhere/x"):
            write_bytes("/proc/nowhere/x", b"x")


def test_half_a_surrogate_pair_comes_back_from_json(tmp_path: Path) -> None:
    write_json(tmp_path / "x", {"caf\udce9": "\ud800", "ü": '"\\'})
    assert json.loads((tmp_path / "x").read_text(encoding="utf8")) == {"caf\udce9": "\ud800", "ü": '"\\'}


def test_a_full_disk_that_a_library_in_rust_reports_is_an_error_of_the_disk(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="model") as caught, replacing_folder(tmp_path / "model"):
        raise Exception("Error while serializing: I/O error: No space left on device (os error 28)")
    assert caught.value.errno == errno.ENOSPC and not list(tmp_path.iterdir())
    with pytest.raises(LookupError), replacing_folder(tmp_path / "model"):
        raise LookupError("nothing of the system")


def test_leftovers_of_a_very_long_name_are_found(tmp_path: Path) -> None:
    name = "x" * 240
    (tmp_path / f".{'x' * 50}.{TOKEN}.old").mkdir()
    (tmp_path / f".{'x' * 50}.{TOKEN}.part").write_text("half")
    assert len(remove_leftovers_of(tmp_path / name)) == 2
    assert [path.name for path in tmp_path.iterdir()] == [name]
