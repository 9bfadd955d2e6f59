"""Workers on the machines of a Ray cluster, as actors that hold a pipeline each."""

from __future__ import annotations

import logging
import os
import socket
import sys
from collections import Counter
from concurrent.futures import Future
from importlib.metadata import version
from typing import Any

from spacy.language import Language

from ..errors import error, missing_package
from .shard import Shard, ShardProcessor
from .worker_spec import WorkerSpec
from .workers import DEPTH, WorkerPool, process

# Seconds in which one of the actors must have started, while none is ready
START_SECONDS = 600.0
# Times that an actor may fail to start before the others go on without it
MOST_FAILED_STARTS = 3
# Seconds for a cluster to answer at all
_REACH_SECONDS = 5.0
# What decides the output beside the engines' own packages, which their signatures name
_PACKAGES = ("spacy-xlt", "spacy", "torch")


class RayWorker:
    """What an actor runs; `on_gpu`: on the one GPU that it sees."""

    def __init__(self, spec: WorkerSpec, *, on_gpu: bool):
        self._worker: ShardProcessor | Exception
        try:
            self._worker = spec.start(0 if on_gpu else -1)
        except Exception as err:  # whatever the user's code and other packages raise: the first shard reports it
            self._worker = err

    def runtime(self) -> dict[str, Any]:
        return runtime(self._worker.nlp if isinstance(self._worker, ShardProcessor) else None)

    def process(self, shard: Shard) -> Any:
        return process(self._worker, shard)


class RayWorkers(WorkerPool):
    """Actors of a Ray cluster. The package has to be installed on every machine.

    The cluster is that of RAY_ADDRESS, one that runs on this machine, or a new one for as long as this lives.

    Args:
        spec: How each makes its pipeline.
        size: How many; 0 for as many as the cluster has room for.
        on_gpu: Whether each has a GPU, or else a CPU.

    Raises:
        XltError: E106 if Ray is not installed, E588 if the cluster cannot be reached or has no room.
    """

    def __init__(self, spec: WorkerSpec, *, size: int = 0, on_gpu: bool = False):
        super().__init__()
        self._ray = _import_ray()
        self.death = self._ray.exceptions.RayError
        self._spec, self._on_gpu = spec, on_gpu
        # Signatures may differ from here, where there may be no GPU: those of the first actor count
        self._expected = {"versions": runtime(None)["versions"]}
        # Actors that are ready, with the number of shards that they have; and those that are not, by what is awaited
        self._ready: Counter[Any] = Counter()
        self._starting: dict[Any, Any] = {}
        self._actor_of: dict[Future[Any], Any] = {}
        self._failed_starts = 0
        self._is_ours = not self._ray.is_initialized()
        if self._is_ours:
            _connect(self._ray)
        kind = "GPU" if on_gpu else "CPU"
        has = int(self._ray.cluster_resources().get(kind, 0))
        if not 0 < (size or has) <= has:
            self.close()
            raise error(
                "E588", address=_address(), reason=f"it has {has} {kind}s, and --workers is {size or 'not set'}"
            )
        self._size = size or has

    def room(self) -> int:
        """Waits while no actor is ready."""
        if not self._ready and not self._starting:
            for _ in range(self._size):
                self._start()
        while self._starting:
            done, _ = self._ray.wait(list(self._starting), num_returns=1, timeout=0 if self._ready else START_SECONDS)
            if not done and not self._ready:
                raise error("E585", reason=f"no machine had room for one in {START_SECONDS:.0f} s")
            if not done:
                break
            self._add(done[0])
        return DEPTH * len(self._ready)

    def submit(self, shard: Shard) -> Future[Any]:
        self.room()
        actor = min(self._ready, key=lambda actor: self._ready[actor])
        self._ready[actor] += 1
        future: Future[Any] = actor.process.remote(shard).future()
        self._actor_of[future] = actor
        return future

    def receive(self, future: Future[Any]) -> Any:
        result = future.result()
        self._ready[self._actor_of.pop(future)] -= 1
        return result

    def replace_worker(self, future: Future[Any]) -> bool:
        actor = self._actor_of.pop(future)
        if actor not in self._ready:
            return False
        del self._ready[actor]
        # One that is only out of reach must not go on
        self._ray.kill(actor)
        self._start()
        return True

    def close(self, *, now: bool = False) -> None:
        """End all actors, and the connection to the cluster if this made it."""
        for actor in [*self._ready, *self._starting.values()]:
            self._ray.kill(actor)
        self._ready.clear()
        self._starting.clear()
        if self._is_ours:
            self._ray.shutdown()

    def _start(self) -> None:
        """Start an actor; Ray finds a machine with room for it."""
        resources = {"num_cpus": 1, "num_gpus": int(self._on_gpu)}
        actor = self._ray.remote(RayWorker).options(max_restarts=0, **resources).remote(self._spec, on_gpu=self._on_gpu)
        self._starting[actor.runtime.remote()] = actor

    def _add(self, ref: Any) -> None:
        """Take an actor that has started; its output must be like that of this process."""
        actor = self._starting.pop(ref)
        try:
            there = self._ray.get(ref)
        except self._ray.exceptions.RayError as err:
            self._failed_starts += 1
            if self._failed_starts < MOST_FAILED_STARTS:
                self._start()
            elif not self._ready and not self._starting:
                raise error("E585", reason=" ".join(str(err).split())[:300]) from err
            return
        self._ready[actor] = 0
        for kind in ("versions", "engines") if there["engines"] else ():
            expected = self._expected.setdefault(kind, there[kind])
            if names := sorted(name for name in there[kind] if there[kind][name] != expected[name]):
                values = [", ".join(f"{name} {of[name]}" for name in names) for of in (there[kind], expected)]
                raise error("E590", host=there["host"], found=values[0], expected=values[1])


def runtime(nlp: Language | None) -> dict[str, Any]:
    """What has to be the same wherever shards of a build are processed, and on which machine this is.

    Args:
        nlp: The pipeline whose engines' signatures belong to it; None if it could not be made.
    """
    # "+cpu" and "+cu128" are for the kind of machine
    versions = {name: version(name).partition("+")[0] for name in _PACKAGES}
    versions["python"] = "{}.{}".format(*sys.version_info)
    engines = {name: str(getattr(pipe, "signature", "")) for name, pipe in nlp.pipeline} if nlp is not None else {}
    return {"host": socket.gethostname(), "versions": versions, "engines": engines}


def _import_ray() -> Any:
    try:
        import ray
    except ImportError as err:
        raise missing_package("--executor ray", "ray", "ray") from err
    return ray


def _address() -> str:
    return os.environ.get("RAY_ADDRESS", "") or "its default address"


def _connect(ray: Any) -> None:
    host, _, port = _address().rpartition("//")[2].rpartition(":")
    try:
        # Ray itself tries for minutes
        if host and port.isdecimal():
            socket.create_connection((host.strip("[]"), int(port)), timeout=_REACH_SECONDS).close()
    except (OSError, OverflowError) as err:
        raise error("E588", address=_address(), reason=f"nothing answers there ({err})") from err
    try:
        ray.init(log_to_driver=False, include_dashboard=False, logging_level=logging.WARNING)
    except (ray.exceptions.RayError, ConnectionError, ValueError, RuntimeError, OSError) as err:
        raise error("E588", address=_address(), reason=" ".join(str(err).split())) from err
