"""What a loss of power can leave of a build, and what becomes of it; `benchmarks/build_kills.py --power N` runs it.

A build is recorded: all that it does to its folder, in order, on the level of the system: files that are made, what is
written to them, `fsync` of files and folders, renaming, removing. Then, for each prefix of that record, states of the
folder are made that a disk may be left in when the power goes at that moment. A content is safe after an `fsync` of its
file, a name after one of its folder; of what is not safe, these kinds of states have:

process  all of it: what a kill of the process leaves
synced   nothing
names    all names, and of the contents nothing
zeros    all names, and zeros for the contents
half     all names, and the first half of the contents
torn     all names, and the contents but for their first 4,096 bytes, which are zeros
mixed    each name or not, and each content in one of these ways, by chance

From each state the build goes on, without looking at checksums (`--no-verify`), so that it is the order of what it does
alone that makes it right, and must come to the end that a build comes to which was not disturbed. The first half of the
states is of a build from its beginning, the other half of one that goes on from a state of the kind "mixed".
"""

from __future__ import annotations

import hashlib
import os
import pickle
import random
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from threading import RLock
from typing import Any

from build_runs import PATIENCE, Reference, fork, readable_manifest

KINDS = ("process", "synced", "names", "zeros", "half", "torn", "mixed")
PAGE = 4096
# What may be lost: no other file depends on it
UNIMPORTANT = {"log.jsonl", ".lock"}
# Operation, path or number of a file, and a second path or a content
Operation = tuple[str, Any, Any]
# Relative path → content, None for a folder
State = dict[str, bytes | None]


class Recorder:
    """Notes what this process does below a folder.

    What the system is asked for is told by Python's own audit events before it is done, but for `fsync`; what was
    written is found by looking, before each of them. That is the order in which it was done, as one thread does it.

    sync (bool): If not, `fsync` does nothing to files that have not their final name yet.
    """

    def __init__(self, root: Path, *, sync: bool = True):
        self.root = str(root)
        self.operations: list[Operation] = []
        self._names: dict[str, int] = {}
        self._contents: dict[int, bytes] = {}
        self._folders = {self.root}
        self._files = 0
        self._lock = RLock()
        self._busy = False
        self._sync = sync

    def start(self) -> None:
        """From now on, in this process, without end."""
        if os.path.isdir(self.root):
            self._look()
            # What was there is safe
            self.operations += [("sync", number, None) for number in self._contents]
            self.operations += [("syncdir", path, None) for path in sorted(self._folders)]
        self._fsync = os.fsync
        os.fsync = self._hear_fsync
        sys.addaudithook(self._hear)

    def save(self, path: Path) -> None:
        """Write the operations to a file."""
        with self._lock:
            self._look()
            self._busy = True
        path.write_bytes(pickle.dumps(self.operations))

    def _hear(self, event: str, args: tuple[Any, ...]) -> None:
        if event not in ("open", "os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.truncate"):
            return
        with self._lock:
            if self._busy or not isinstance(args[0], str | bytes | os.PathLike):
                return
            path = os.path.abspath(os.fsdecode(args[0]))
            if not f"{path}/".startswith(f"{self.root}/"):
                return
            self._look()
            if event == "os.rename" and path in self._names:
                to = os.path.abspath(os.fsdecode(args[1]))
                self._names[to] = self._names.pop(path)
                self.operations.append(("rename", path, to))

    def _hear_fsync(self, handle: int) -> None:
        path = os.readlink(f"/proc/self/fd/{handle}")
        if not self._sync and path.endswith(".part"):
            return
        self._fsync(handle)
        with self._lock:
            self._look()
            if path in self._folders:
                self.operations.append(("syncdir", path, None))
            elif path in self._names:
                self.operations.append(("sync", self._names[path], None))

    def _look(self) -> None:
        """Note what is new, changed or gone."""
        self._busy = True
        seen = set()
        for place, folders, files in os.walk(self.root):
            folders.sort()
            if place not in self._folders:
                self._folders.add(place)
                self.operations.append(("mkdir", place, None))
            for name in sorted(files):
                path = os.path.join(place, name)
                try:
                    data = Path(path).read_bytes()
                except OSError:
                    continue
                seen.add(path)
                if path not in self._names:
                    self._files += 1
                    self._names[path] = self._files
                    self.operations.append(("create", path, self._files))
                number = self._names[path]
                if self._contents.get(number, b"") != data:
                    self._contents[number] = data
                    self.operations.append(("write", number, data))
        for path in sorted(self._names.keys() - seen):
            del self._names[path]
            self.operations.append(("remove", path, None))
        self._busy = False


@dataclass
class _File:
    """A file on the disk: what is safe, and what is to be."""

    safe: bytes = b""
    data: bytes = b""

    def contents(self) -> dict[str, bytes]:
        """What may be there when the power goes, by kind."""
        safe, new = self.safe, self.data
        if safe == new:
            return dict.fromkeys(KINDS, safe)
        kept = len(os.path.commonprefix([safe, new]))
        end = min(len(new), kept - kept % PAGE + PAGE)
        return {
            "process": new,
            "synced": safe,
            "names": safe,
            "zeros": new[:kept] + bytes(len(new) - kept),
            "half": new[: kept + (len(new) - kept) // 2],
            "torn": new[:kept] + bytes(max(0, end - kept)) + new[max(end, kept) :],
        }


@dataclass
class Disk:
    """What is on a disk after some operations, and what of it is safe."""

    root: str
    files: dict[int, _File] = field(default_factory=dict)
    # What was done to names, in order: folder that has to be synced for it, names that come or go
    changes: list[tuple[str, dict[str, int | None]]] = field(default_factory=list)
    safe: set[int] = field(default_factory=set)

    def do(self, operation: Operation) -> None:
        kind, what, more = operation
        if kind == "create":
            self.files[more] = _File()
            self._change(what, {what: more})
        elif kind == "mkdir":
            self._change(what, {what: 0})
        elif kind == "remove":
            self._change(what, {what: None})
        elif kind == "rename":
            number = self.names(range(len(self.changes)))[what]
            self._change(more, {what: None, more: number})
        elif kind == "write":
            self.files[what].data = more
        elif kind == "sync":
            self.files[what].safe = self.files[what].data
        elif kind == "syncdir":
            self.safe.update(n for n, (folder, _) in enumerate(self.changes) if folder == what)

    def _change(self, path: str, names: dict[str, int | None]) -> None:
        self.changes.append((os.path.dirname(path), names))

    def names(self, changes: Sequence[int] | range) -> dict[str, int]:
        """The names after some of the changes: of a file its number, of a folder 0."""
        found: dict[str, int] = {}
        for n in changes:
            for name, number in self.changes[n][1].items():
                found.pop(name, None)
                if number is not None:
                    found[name] = number
        # What is in a folder that is not there is not there, either
        return {
            name: number for name, number in found.items() if all(parent in found for parent in self._parents(name))
        }

    def _parents(self, name: str) -> Iterator[str]:
        while (name := os.path.dirname(name)) != self.root and name.startswith(self.root):
            yield name

    def state(self, kind: str, rng: random.Random) -> State:
        """What may be left."""
        every = range(len(self.changes))
        if kind == "synced":
            changes: Sequence[int] = [n for n in every if n in self.safe]
        elif kind == "mixed":
            changes = [n for n in every if n in self.safe or rng.random() < 0.5]
        else:
            changes = every
        found: State = {}
        for name, number in self.names(changes).items():
            contents = self.files[number].contents() if number else {kind: None}
            chosen = kind if kind != "mixed" or not number else rng.choice([one for one in KINDS if one != "mixed"])
            found[os.path.relpath(name, self.root)] = contents[chosen]
        return found


def states(operations: Sequence[Operation], root: Path, rng: random.Random, kind: str) -> Iterator[State]:
    """What may be left at each moment, each state once."""
    disk, known = Disk(str(root)), set()
    for n in range(len(operations) + 1):
        state = disk.state(kind, rng)
        key = _key(state)
        if key not in known:
            known.add(key)
            yield state
        if n < len(operations):
            disk.do(operations[n])


def _key(state: State) -> bytes:
    digest = hashlib.sha256()
    for name, data in sorted(state.items()):
        if name not in UNIMPORTANT:
            digest.update(repr((name, data and hashlib.sha256(data).digest())).encode())
    return digest.digest()


def record(
    reference: Reference, output: Path, *, sync: bool = True, more: Sequence[str] = ()
) -> tuple[list[Operation], str]:
    """Build, and note all that is done. RETURNS: The operations, and what is wrong, if anything."""
    saved = output.with_name(f"{output.name}.operations")
    saved.unlink(missing_ok=True)

    def begin() -> Callable[[], None]:
        recorder = Recorder(output, sync=sync)
        recorder.start()
        return lambda: recorder.save(saved)

    run = fork(reference.setting.arguments(output, *more), output.with_name("log"), before=begin)
    if not run.wait(PATIENCE) or run.code or not saved.exists():
        return [], f"the recorded build ended with {run.code}: {run.said()}"
    return pickle.loads(saved.read_bytes()), ""


def write_state(state: State, output: Path) -> None:
    """Make a folder that is in this state."""
    shutil.rmtree(output, ignore_errors=True)
    output.mkdir(parents=True)
    for name, data in sorted(state.items()):
        if data is None:
            (output / name).mkdir(exist_ok=True)
        else:
            (output / name).write_bytes(data)


def go_on(reference: Reference, output: Path) -> list[str]:
    """Go on with a build; what is wrong, if anything."""
    if isinstance(found := readable_manifest(output), str):
        return [found]
    run = fork(reference.setting.arguments(output, "--no-verify"), output.with_name("log"))
    if not run.wait(PATIENCE):
        run.kill(group=True)
        return [f"it did not end in {PATIENCE:.0f} s"]
    if run.code:
        return [f"it ended with {run.code}: {run.said()}"]
    return list(reference.problems(output))


def spread(every: Sequence[State], n: int, rng: random.Random) -> list[State]:
    """Some of the states, one by chance of each of as many parts of the same size."""
    if len(every) <= n:
        return list(every)
    edges = [len(every) * part // n for part in range(n + 1)]
    return [every[rng.randrange(start, stop)] for start, stop in pairwise(edges)]


def lose_power(
    reference: Reference,
    folder: Path,
    *,
    most: int,
    seed: int = 0,
    sync: bool = True,
    kinds: Sequence[str] = KINDS,
) -> Iterator[dict[str, Any]]:
    """What becomes of the states of each kind.

    most (int): States of each kind, spread over the whole build by chance where there are more.
    sync (bool): Without, the files of shards are not synced, so that there must be problems.
    """
    rng = random.Random(seed)
    folder.mkdir(parents=True, exist_ok=True)
    output = folder / "built"
    shutil.rmtree(output, ignore_errors=True)
    first, wrong = record(reference, output, sync=sync)
    middle = list(states(first, output, rng, "mixed"))
    if not wrong:
        write_state(middle[len(middle) // 2], output)
        second, wrong = record(reference, output, sync=sync, more=["--no-verify"])
    if wrong:
        yield {"kind": "power", "problems": [wrong]}
        return
    for kind in kinds:
        problems = []
        found = [list(states(operations, output, rng, kind)) for operations in (first, second)]
        drawn = [spread(every, (most + 1) // 2, rng) for every in found]
        for state in (one for part in drawn for one in part):
            write_state(state, output)
            problems += go_on(reference, output)
        counts = {"operations": len(first) + len(second), "possible_states": sum(map(len, found))}
        yield {"kind": f"power, {kind}", **counts, "states": sum(map(len, drawn)), "problems": problems}
