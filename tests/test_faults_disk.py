"""Disks that are full, file sizes at their limit, and what a killed process leaves."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from spacy_xlt.cli._app import friendly_errors
from spacy_xlt.io import naming, remove_leftovers, replacing, replacing_folder, write_bytes, write_json

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


def test_a_full_disk_leaves_the_old_file_and_names_it(small_disk: Path) -> None:
    write_bytes(small_disk / "shard.spacy", b"old")
    with pytest.raises(OSError) as caught:
        write_bytes(small_disk / "shard.spacy", b"x" * 100_000)
    assert (caught.value.errno, caught.value.filename) == (errno.ENOSPC, str(small_disk / "shard.spacy"))
    assert names(small_disk) == ["shard.spacy"]
    assert (small_disk / "shard.spacy").read_bytes() == b"old"
    # Room again: the same call now works
    write_bytes(small_disk / "shard.spacy", b"new")
    assert (small_disk / "shard.spacy").read_bytes() == b"new"


def test_a_full_disk_leaves_the_old_folder_and_names_it(small_disk: Path) -> None:
    with replacing_folder(small_disk / "model") as beside:
        (beside / "weights").write_bytes(b"old")
    with pytest.raises(OSError) as caught, replacing_folder(small_disk / "model") as beside:
        (beside / "weights").write_bytes(b"x" * 100_000)
    assert (caught.value.errno, caught.value.filename) == (errno.ENOSPC, str(small_disk / "model"))
    assert names(small_disk) == ["model", "weights"]
    assert (small_disk / "model" / "weights").read_bytes() == b"old"


def test_no_room_for_a_folder_is_told_by_name(small_disk: Path) -> None:
    (small_disk / "filler").write_bytes(b"x" * 60_000)
    with pytest.raises(OSError) as caught:
        # tmpfs gives a new file room by pages
        for number in range(100):
            write_bytes(small_disk / "target" / f"{number}.spacy", b"x" * 4096)
    assert str(caught.value.filename).endswith(".spacy")
    assert not [name for name in names(small_disk) if name.endswith(".part")]


LIMITED = """
import resource, sys
from spacy_xlt.io import write_bytes
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
try:
    write_bytes(sys.argv[1], b"x" * 5000)
except OSError as err:
    print(err.errno, err.filename)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="the size of files cannot be limited")
def test_a_file_beyond_the_limit_leaves_nothing_and_is_named(tmp_path: Path) -> None:
    path = tmp_path / "naïve shard"
    done = subprocess.run([sys.executable, "-c", LIMITED, str(path)], capture_output=True, text=True, check=True)
    assert done.stdout == f"{errno.EFBIG} {path}\n"
    assert names(tmp_path) == []


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


def test_an_error_that_names_another_file_keeps_it(tmp_path: Path) -> None:
    with pytest.raises(OSError) as caught, naming(tmp_path / "output"):
        raise OSError(errno.EACCES, "no", str(tmp_path / "input"))
    assert caught.value.filename == str(tmp_path / "input")


def test_a_file_that_cannot_be_let_go_of_hides_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Path, missing_ok: bool = False) -> None:
        raise OSError(errno.EROFS, "read-only")

    with pytest.raises(OSError) as caught, monkeypatch.context() as patched, replacing(tmp_path / "a"):
        patched.setattr(Path, "unlink", refuse)
        raise OSError(errno.EIO, "broken")
    assert caught.value.errno == errno.EIO


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
    (elsewhere / ".x.1.part").write_text("not below the folder")
    (tmp_path / "link").symlink_to(elsewhere)
    (tmp_path / ".linked.1.part").symlink_to(elsewhere)
    keep = [".lock", "a.1.part", ".a.part", ".a.b.part", ".a.1.parts", "shard.spacy"]
    for name in keep:
        (tmp_path / name).write_text("")
    (tmp_path / ".model.7.part").mkdir()
    (tmp_path / ".model.7.part" / "weights").write_text("")
    removed = remove_leftovers(tmp_path)
    assert removed == [tmp_path / ".linked.1.part", tmp_path / ".model.7.part", left]
    assert names(tmp_path) == sorted([*keep, "target", "link"])
    assert names(elsewhere) == [".x.1.part"]
    assert remove_leftovers(tmp_path) == []


def test_the_only_copy_of_a_folder_gets_its_name_back(tmp_path: Path) -> None:
    for name, text in ((".model.7.old", "old"), (".other.7.old", "old"), ("other", "new")):
        (tmp_path / name).mkdir()
        write_json(tmp_path / name / "meta.json", text)
    remove_leftovers(tmp_path)
    assert names(tmp_path) == ["meta.json", "meta.json", "model", "other"]
    assert "old" in (tmp_path / "model" / "meta.json").read_text()
    assert "new" in (tmp_path / "other" / "meta.json").read_text()


def test_leftovers_of_a_folder_that_is_not_there_are_none(tmp_path: Path) -> None:
    assert remove_leftovers(tmp_path / "new") == []
