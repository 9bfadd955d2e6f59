"""Workers on the machines of a Ray cluster, as actors that hold the engines."""

from __future__ import annotations

import logging
import os
import socket
import threading
from dataclasses import replace
from typing import Any

from ...errors import error
from ..processing import ShardProcessor
from ..sharding import Built, Shard
from .pool import Event
from .processes import portable
from .recipe import Recipe, identity

# Seconds in which one of the workers must have started, where none has
START_SECONDS = 600.0
# Seconds for a cluster to answer at all
_REACH_SECONDS = 5.0
_DEFAULT = "its default address"


class RayWorker:
    """What an actor does. It is called from several threads, so that its next shards are there already.

    recipe (Recipe): How it makes its pipeline.
    """

    def __init__(self, recipe: Recipe):
        self._recipe = recipe
        self._processor: ShardProcessor | None = None
        self._lock = threading.Lock()

    def ready(self) -> Any:
        """Make the pipeline. RETURNS (Any): This worker's `identity`, or what is wrong."""
        with self._lock:
            try:
                self._processor = self._recipe.make()
                return identity(self._processor.nlp)
            except Exception as err:
                return portable(err)

    def build(self, shard: Shard) -> Any:
        """Work on a shard. RETURNS (Any): The Built, or what is wrong with a setting."""
        with self._lock:
            processor = self._processor
            assert processor is not None
            try:
                future = processor.submit(shard)
            except Exception as err:
                return portable(err)
        try:
            return future.result()
        except Exception as err:
            return portable(err)


class RayPool:
    """Actors of a Ray cluster; see `Pool`. The package has to be installed on every machine.

    recipe (Recipe): How each makes its pipeline.
    size (int): How many; 0 for as many as the cluster has room for.
    address (str | None): Of the cluster; Ray's default where left out: RAY_ADDRESS, or one on this machine alone.
    per_gpu (int): How many share a GPU; 0 where each has a CPU alone.
    depth (int): Shards that each has at once.
    RAISES (XltError): E587 where Ray is not installed, E588 where the cluster cannot be reached or has no room.
    """

    name = "ray"

    def __init__(self, recipe: Recipe, *, size: int = 0, address: str | None = None, per_gpu: int = 0, depth: int = 3):
        ray = import_ray()
        self.depth = depth
        self._resources = {"num_gpus": 1 / per_gpu, "num_cpus": 1} if per_gpu else {"num_cpus": 1}
        # On a machine of its own, the only GPU that an actor sees has the number 0
        self._recipe = replace(recipe, threads=0 if per_gpu else 1, gpu_id=0 if per_gpu else -1)
        self._owned = not ray.is_initialized()
        if self._owned:
            _connect(ray, address)
        has = int(ray.cluster_resources().get("GPU" if per_gpu else "CPU", 0) * max(1, per_gpu))
        self.size = size or has
        if not 0 < self.size <= has:
            what = f"{has // per_gpu} GPUs for {has} workers" if per_gpu else f"{has} CPUs"
            what = f"{what}, and {self.size or 'one'} are asked for (--workers)"
            self._shut_down()
            raise error("E588", address=address or _DEFAULT, reason=f"it has {what}")
        self._actors: dict[int, Any] = {}
        # What is awaited: whose it is, and of which shard; None for a start
        self._awaited: dict[Any, tuple[int, str | None]] = {}

    def start(self, worker: int) -> None:
        """Start an actor; Ray finds a machine with room for it."""
        ray = import_ray()
        options: dict[str, Any] = {"max_concurrency": self.depth + 1, "max_restarts": 0}
        actor = ray.remote(RayWorker).options(**options, **self._resources).remote(self._recipe)
        self._actors[worker] = actor
        self._awaited[actor.ready.remote()] = worker, None

    def submit(self, worker: int, shard: Shard) -> None:
        """Give an actor a shard."""
        self._awaited[self._actors[worker].build.remote(shard)] = worker, shard.id

    def wait(self) -> list[Event]:
        """Wait until an actor has something, or has died."""
        ray = import_ray()
        working = any(shard is not None for _, shard in self._awaited.values())
        timeout = None if working else START_SECONDS
        done, _ = ray.wait(list(self._awaited), num_returns=1, timeout=timeout)
        if not done:
            starting = sorted({worker for worker, _ in self._awaited.values()})
            return [self._dead(worker, f"no machine had room for it in {START_SECONDS:.0f} s") for worker in starting]
        ref = done[0]
        worker, shard = self._awaited[ref]
        try:
            value = ray.get(ref)
        except ray.exceptions.RayError as err:
            return [self._dead(worker, " ".join(str(err).split())[:300])]
        del self._awaited[ref]
        if isinstance(value, Built):
            return [Event(worker, "built", value)]
        if shard is None and isinstance(value, dict):
            return [Event(worker, "ready", value)]
        return [Event(worker, "error", value)]

    def close(self, *, now: bool) -> None:
        """End all actors, and the connection to the cluster where this one made it."""
        ray = import_ray()
        for actor in self._actors.values():
            ray.kill(actor)
        self._actors.clear()
        self._shut_down()

    def _shut_down(self) -> None:
        if self._owned:
            import_ray().shutdown()

    def _dead(self, worker: int, reason: str) -> Event:
        for ref in [ref for ref, (whose, _) in self._awaited.items() if whose == worker]:
            del self._awaited[ref]
        actor = self._actors.pop(worker, None)
        if actor is not None:
            # One that is only out of reach must not go on
            import_ray().kill(actor)
        return Event(worker, "died", reason)


def _connect(ray: Any, address: str | None) -> None:
    _check_reachable(address or os.environ.get("RAY_ADDRESS", ""))
    try:
        # Where no cluster is named and none runs here, this starts one for as long as the build takes
        ray.init(address=address, log_to_driver=False, include_dashboard=False, logging_level=logging.WARNING)
    except (ray.exceptions.RayError, ConnectionError, ValueError, RuntimeError, OSError) as err:
        raise error("E588", address=address or _DEFAULT, reason=" ".join(str(err).split())) from err


def _check_reachable(address: str) -> None:
    """Ray itself tries for minutes."""
    host, _, port = address.rpartition("//")[2].rpartition(":")
    if not host or not port.isdecimal():
        # A word such as "auto"
        return
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=_REACH_SECONDS).close()
    except (OSError, OverflowError) as err:
        raise error("E588", address=address, reason=f"nothing answers there ({err})") from err


def import_ray() -> Any:
    """The package.

    RAISES (XltError): E587 where it is not installed.
    """
    try:
        import ray
    except ImportError as err:
        raise error("E587") from err
    return ray
