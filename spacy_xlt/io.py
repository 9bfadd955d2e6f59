"""Files and folders that a kill at any moment leaves whole, and locks of folders that it lets go of."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import secrets
import shutil
import stat
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from .errors import XltError, error, warn

if TYPE_CHECKING:
    from spacy.tokens import Doc

# What the system says where a file cannot be written, whatever is in it.
CANNOT_WRITE = frozenset(
    getattr(errno, name)
    for name in (
        "ENOSPC EDQUOT EROFS EFBIG EIO EACCES EPERM EISDIR ENOTDIR EEXIST ELOOP ENAMETOOLONG EBUSY ETXTBSY ENXIO"
    ).split()
    if hasattr(errno, name)
)
_LEFTOVER = re.compile(r"\.(?P<name>.+)\.(?P<token>[0-9a-f]{12})\.(?P<end>part|old)", re.DOTALL)
# What a name would need to lead elsewhere
_NOT_IN_NAMES = frozenset("/\\\0")

LOCK_NAME = ".lock"
_POLL_SECONDS = 0.2
# So long the processes that a dead one forked have to let go of its lock
_GRACE_SECONDS = 1.0


@contextmanager
def naming(path: str | Path) -> Iterator[None]:
    """Let an error of the disk name a file: the system names it where one is opened, not where it is written to."""
    try:
        yield
    except OSError as err:
        if err.errno in CANNOT_WRITE and (err.filename is None or _LEFTOVER.fullmatch(Path(str(err.filename)).name)):
            err.filename = str(path)
        raise
    except XltError:
        raise
    except Exception as err:
        # Libraries in Rust (safetensors, tokenizers) have errors of their own for what the system says
        if (found := re.search(r"\(os error (\d+)\)", str(err))) is None:
            raise
        raise OSError(int(found[1]), os.strerror(int(found[1])), str(path)) from err


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
        beside, _ = _beside(final)
        # Whoever else may write to the folder cannot have put anything there
        with _held(os.open(beside, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666)):
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
        beside, old = _beside(final)
        beside.mkdir()
        with _held(os.open(beside, os.O_RDONLY) if os.name == "posix" else None):
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
    """What is there, or None; a link that leads round in a circle is an error."""
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


def _beside(final: Path) -> tuple[Path, Path]:
    """Names that nobody can guess, for what is being written and for what it replaces."""
    # Most disks take 255 bytes
    name, token = final.name if len(os.fsencode(final.name)) < 230 else final.name[:50], secrets.token_hex(6)
    return final.with_name(f".{name}.{token}.part"), final.with_name(f".{name}.{token}.old")


@contextmanager
def _held(handle: int | None) -> Iterator[None]:
    """Keep something open and locked as a sign that it is being written; the system lets go when the process ends."""
    if os.name != "posix" and handle is not None:
        # Windows renames nothing that is open
        os.close(handle)
        handle = None
    try:
        if handle is not None:
            _lock(handle)
        yield
    finally:
        if handle is not None:
            os.close(handle)


def _lock(handle: int) -> bool:
    """Lock an open file or folder; False where another process has it. Not every system and disk knows such locks."""
    try:
        import fcntl

        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except (ImportError, OSError):
        pass
    return True


def _stream_of(status: os.stat_result) -> int | None:
    """1 or 2 where a file is what standard output or error goes to."""
    for stream in (1, 2):
        with suppress(OSError):
            if os.path.samestat(status, os.fstat(stream)):
                return stream
    return None


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


def is_stdout(path: str | Path) -> bool:
    """Whether a path names what standard output goes to, where that is not nothing."""
    with suppress(OSError):
        status = os.stat(path)
        return os.path.samestat(status, os.fstat(1)) and not os.path.samefile(path, os.devnull)
    return False


def inside(folder: str | Path, *names: str) -> Path:
    """A path in a folder, of names that a file or a person gave, one for each level.

    Raises:
        XltError: E557 where it would lead out of the folder, also through a link.
    """
    path = Path(folder)
    try:
        plain = all(name not in ("", ".", "..") and not _NOT_IN_NAMES & set(name) for name in names)
        path = path.joinpath(*names)
        if plain and Path(os.path.realpath(path)).is_relative_to(os.path.realpath(folder)):
            return path
    except (ValueError, TypeError):
        # What cannot be a name at all
        pass
    raise error("E557", name="/".join(map(str, names)), folder=folder)


def check_own_folder(folder: str | Path, *, what: str, marker: str, is_ours: Callable[[], bool]) -> None:
    """Make sure that a folder is new, empty, or holds what we write, before anything in it is touched.

    Args:
        what: What it is to hold, in words.
        marker: The file in it that says so.
        is_ours: Whether the marker that is there is one of ours.

    Raises:
        XltError: E506 if it holds something else; those of `is_ours`.
    """
    folder = Path(folder)
    if not os.path.lexists(folder):
        return
    if not folder.is_dir():
        ours = False
    elif os.path.lexists(folder / marker):
        ours = is_ours()
    else:
        # The lock comes before the marker, and a kill may leave half a marker
        ours = all(
            (path.name == LOCK_NAME and not path.is_symlink() and path.is_file() and not path.stat().st_size)
            or is_leftover(path.name, of=marker)
            for path in folder.iterdir()
        )
    if not ours:
        raise error("E506", path=folder, what=what, marker=marker)


def remove_leftovers(folder: str | Path) -> list[Path]:
    """Remove what a process that was killed in the middle of `replacing` or `replacing_folder` has left below a folder.

    What a process is writing stays, and so does whatever else there is. Links are not followed.

    Returns:
        What was there and is no more. A folder that was about to be replaced has its name again.

    Raises:
        OSError: Where it cannot be removed.
    """
    removed = []
    for place, folders, files in os.walk(folder):
        removed += _remove(Path(place), sorted(folders + files))
        folders[:] = [name for name in folders if _LEFTOVER.fullmatch(name) is None]
    return removed


def remove_leftovers_of(path: str | Path) -> list[Path]:
    """The same for one file or folder that was to be written, whether it is there or not."""
    final = Path(os.path.realpath(path))
    if not final.parent.is_dir():
        return []
    return _remove(final.parent, sorted(name for name in os.listdir(final.parent) if is_leftover(name, of=final.name)))


def _remove(place: Path, names: Iterable[str]) -> list[Path]:
    removed = []
    for name in names:
        path = place / name
        if (match := _LEFTOVER.fullmatch(name)) is None or path.is_symlink() or _is_being_written(path):
            continue
        final = place / match["name"]
        with naming(path):
            if match["end"] == "old" and not os.path.lexists(final):
                # The kill came between the old folder's leaving and the new one's coming
                os.replace(path, final)
            elif path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink()
        removed.append(path)
    return removed


def _is_being_written(leftover: Path) -> bool:
    part = leftover.with_name(f"{leftover.name.rpartition('.')[0]}.part")
    try:
        handle = os.open(part, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
    except OSError:
        return False
    try:
        return not _lock(handle)
    finally:
        os.close(handle)


def is_leftover(name: str, *, of: str) -> bool:
    """Whether a file or folder of this name is what a killed process left when it wrote one of the name `of`."""
    match = _LEFTOVER.fullmatch(name)
    return match is not None and match["name"] == of


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


def file_digest(path: Path) -> str:
    """SHA-256 of a file's bytes."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


@contextmanager
def lock_folder(folder: str | Path, *, wait: bool = False) -> Iterator[None]:
    """Keep a folder for this process until the block ends.

    The system lets go of the lock when the process ends, however it does. The folder gets a file that stays.

    Args:
        folder: Made where it is not there.
        wait: Wait for a process that has it, with a warning.

    Raises:
        XltError: E571 where another process has it, E501 where it is a file.
        OSError: Where it cannot be written.
    """
    from filelock import FileLock, Timeout

    folder = Path(folder)
    if folder.exists() and not folder.is_dir():
        raise error("E501", path=folder, reason="it is no folder")
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / LOCK_NAME)
    try:
        lock.acquire(timeout=_GRACE_SECONDS)
    except Timeout as err:
        if not wait:
            raise error("E571", path=folder) from err
        warn("W572", path=folder)
        lock.acquire(poll_interval=_POLL_SECONDS)
    try:
        yield
    finally:
        lock.release()


def _sync_folder(folder: Path) -> None:
    # The new name is safe from a power loss only when the folder itself has been written. Windows cannot open one.
    if os.name != "posix":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
