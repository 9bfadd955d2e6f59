"""Files and folders that take the place of others whole or not at all, whenever a kill comes."""

from __future__ import annotations

import errno
import json
import os
import shutil
import stat
import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from ..errors import error
from .leftovers import held, names_beside, naming

if TYPE_CHECKING:
    from spacy.tokens import Doc


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """A path beside the final one to write to; it takes the final name when the block ends well, else goes away.

    A link is followed, and what it names is replaced. The file keeps its mode. What is no file, such as a pipe,
    /dev/null or standard output, gets the bytes when the block ends well.

    Raises:
        OSError: Where that cannot be; it names the final path.
        XltError: E501 for a device with blocks and the like.
    """
    path = Path(path)
    with naming(path):
        before = _status(path)
        if before is not None and (not stat.S_ISREG(before.st_mode) or _stream_of(before) is not None):
            with _passing_on(path, before) as beside:
                yield beside
            return
        final = _final(path)
        beside, _ = names_beside(final)
        # Whoever else may write to the folder cannot have put anything there
        with held(os.open(beside, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666)):
            try:
                yield beside
                with beside.open("rb") as file:
                    os.fsync(file.fileno())
                if before is not None:
                    beside.chmod(before.st_mode & 0o777)
                os.replace(beside, final)
            except BaseException:
                # A disk that cannot be written may not let go of a file, either, and the first error says more
                with suppress(OSError):
                    beside.unlink(missing_ok=True)
                raise
        _sync_folder(final.parent)


@contextmanager
def replacing_folder(path: str | Path) -> Iterator[Path]:
    """An empty folder beside the final one; it takes the final name when the block ends well, else it goes away.

    A folder that is there under the final name is replaced; a link to one is followed.

    Raises:
        OSError: Where that cannot be; it names the final path.
    """
    path = Path(path)
    with naming(path):
        _status(path)
        final = _final(path)
        beside, old = names_beside(final)
        beside.mkdir()
        with held(os.open(beside, os.O_RDONLY) if os.name == "posix" else None):
            try:
                yield beside
                for file in beside.rglob("*"):
                    if file.is_file():
                        with file.open("rb") as handle:
                            os.fsync(handle.fileno())
                if final.is_dir():
                    shutil.copymode(final, beside)
                    os.replace(final, old)
                try:
                    os.replace(beside, final)
                except OSError:
                    if old.is_dir():
                        os.replace(old, final)
                    raise
            finally:
                shutil.rmtree(beside, ignore_errors=True)
            shutil.rmtree(old, ignore_errors=True)
        _sync_folder(final.parent)


@contextmanager
def replacing_pipeline(path: str | Path) -> Iterator[Path]:
    """As `replacing_folder`, for a spaCy pipeline: what else lies in its folder, such as a licence, stays there."""
    path = Path(path)
    with replacing_folder(path) as beside:
        yield beside
        own = {"meta.json", "config.cfg", "tokenizer", "vocab"}
        with suppress(OSError, ValueError, TypeError, AttributeError):
            own |= set(json.loads((path / "meta.json").read_text(encoding="utf8")).get("components", ()))
        for other in path.iterdir() if path.is_dir() else ():
            if other.name not in own and not os.path.lexists(beside / other.name):
                if other.is_dir() and not other.is_symlink():
                    shutil.copytree(other, beside / other.name, symlinks=True)
                else:
                    shutil.copy2(other, beside / other.name, follow_symlinks=False)


def _status(path: Path) -> os.stat_result | None:
    """The status of what is there, or None. Links that lead round in a circle are an error."""
    try:
        return os.stat(path)
    except FileNotFoundError:
        return None


def _final(path: Path) -> Path:
    """Where a path leads, with the folders around it."""
    final = Path(os.path.realpath(path))
    try:
        final.parent.mkdir(parents=True, exist_ok=True)
    except FileNotFoundError as err:
        # Where nobody can make a folder, as in /proc
        raise error("E501", path=path, reason=err.strerror) from err
    return final


def _sync_folder(folder: Path) -> None:
    # The new name is safe from a power loss only when the folder itself has been written. Windows cannot open one.
    if os.name != "posix":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _stream_of(status: os.stat_result) -> int | None:
    """1 or 2 where a file is what standard output or error goes to."""
    for stream in (1, 2):
        with suppress(OSError):
            if os.path.samestat(status, os.fstat(stream)):
                return stream
    return None


def is_stdout(path: str | Path) -> bool:
    """Whether a path names what standard output goes to; False for /dev/null."""
    with suppress(OSError):
        return _stream_of(os.stat(path)) == 1 and not os.path.samefile(path, os.devnull)
    return False


@contextmanager
def _passing_on(path: Path, status: os.stat_result) -> Iterator[Path]:
    """A path to write to, whose bytes then go to a pipe, a device of characters, or a stream that is open."""
    if stat.S_ISDIR(status.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    stream = _stream_of(status)
    if stream is None and not (stat.S_ISFIFO(status.st_mode) or stat.S_ISCHR(status.st_mode)):
        raise error("E501", path=path, reason="it is neither a file nor a pipe")
    with tempfile.TemporaryDirectory() as folder:
        beside = Path(folder, "bytes")
        yield beside
        with beside.open("rb") as file, _opened(path, stream) as target:
            shutil.copyfileobj(file, target)


def _opened(path: Path, stream: int | None) -> IO[bytes]:
    if stream is None:
        return path.open("wb")
    # Opened anew, a file would be written to from its beginning, below what is printed
    for printed in filter(None, (sys.stdout, sys.stderr)):
        printed.flush()
    return os.fdopen(os.dup(stream), "wb")


def write_bytes(path: str | Path, data: bytes) -> None:
    """Write a file whole or not at all."""
    with replacing(path) as beside:
        beside.write_bytes(data)


def write_json(path: str | Path, data: Any) -> None:
    """Write plain data as indented JSON, whole or not at all."""
    write_bytes(path, json_bytes(data, indent=2))


def json_bytes(data: Any, **settings: Any) -> bytes:
    """Plain data as JSON in UTF-8 with a line end; half a surrogate pair, as in file names, becomes an escape."""
    text = json.dumps(data, ensure_ascii=False, **settings) + "\n"
    # What cannot be encoded can only stand inside text, where JSON has the same escapes as Python
    return text.encode("utf8", "backslashreplace")


def write_docs(path: str | Path, docs: Iterable[Doc], *, store_user_data: bool = False) -> None:
    """Write documents as one `.spacy` file, whole or not at all, with `doc.user_data` such as Bitexts if asked for."""
    write_bytes(path, docs_bytes(docs, store_user_data=store_user_data))


def docs_bytes(docs: Iterable[Doc], *, store_user_data: bool = False) -> bytes:
    """Documents as the bytes of a `.spacy` file."""
    from spacy.tokens import DocBin

    return bytes(DocBin(docs=docs, store_user_data=store_user_data).to_bytes())
