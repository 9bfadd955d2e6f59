"""Choosing where the shards of a build are worked on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from spacy.language import Language

from ...errors import error
from ...review.records import Corrections
from ..processing import ShardProcessor
from .base import Executor
from .local import InProcess
from .pool import PoolExecutor
from .processes import ProcessPool
from .recipe import Recipe, share_of_cores

LOCAL, RAY = "local", "ray"


def make_executor(
    nlp: Language,
    *,
    kind: str = LOCAL,
    workers: int = 0,
    address: str | None = None,
    gpu_id: int = -1,
    workers_per_gpu: int = 1,
    corrections: Corrections | None = None,
    code: Path | None = None,
) -> Executor:
    """Make an executor; nothing is started yet.

    kind (str): "local" or "ray".
    workers (int): Engines at once. "local": worker processes; 0 for none, all is done in this one. "ray": 0 for as many
        as the cluster has room for.
    address (str | None): Of a Ray cluster; Ray's own default where left out.
    gpu_id (int): The first GPU, of as many as the local workers need; or -1 for the CPU.
    workers_per_gpu (int): Engines that share a GPU. One alone leaves it idle most of the time where documents are
        short: Python, which prepares and stores them, is on one core.
    corrections (Corrections | None): What was reviewed.
    code (Path | None): Python file with the user's own registered functions.
    RAISES (XltError): E510 for settings that do not fit each other, E589 for GPUs that are not there, E587 and E588
        where Ray or its cluster is not there.
    """
    if kind not in (LOCAL, RAY):
        raise error("E510", setting="--executor", value=kind, expected=f"{LOCAL} or {RAY}")
    if workers < 0:
        raise error("E510", setting="--workers", value=workers, expected="a number from 0")
    if address is not None and kind != RAY:
        raise error("E510", setting="--address", value=address, expected=f"nothing, without --executor {RAY}")
    if workers_per_gpu < 1 or (workers_per_gpu > 1 and (gpu_id < 0 or (kind == LOCAL and workers == 0))):
        expected = "a number from 1; above 1 with --gpu-id and --workers"
        raise error("E510", setting="--workers-per-gpu", value=workers_per_gpu, expected=expected)
    if workers == 0 and kind == LOCAL:
        return InProcess(ShardProcessor(nlp, corrections=corrections))
    recipe = Recipe.of(nlp, corrections=corrections, code=code)
    if kind == RAY:
        from .ray import RayPool

        return PoolExecutor(
            RayPool(recipe, size=workers, address=address, per_gpu=workers_per_gpu if gpu_id >= 0 else 0)
        )
    if gpu_id >= 0:
        gpu_ids = [gpu_id + worker // workers_per_gpu for worker in range(workers)]
        _check_gpus(gpu_ids)
        # What prepares and stores documents is on the CPU
        recipe = replace(recipe, threads=share_of_cores(workers))
        return PoolExecutor(ProcessPool(recipe, size=workers, gpu_ids=gpu_ids))
    return PoolExecutor(ProcessPool(replace(recipe, threads=share_of_cores(workers)), size=workers))


def _check_gpus(wanted: Sequence[int]) -> None:
    import torch

    has = torch.cuda.device_count()
    if wanted[-1] >= has:
        raise error("E589", workers=len(wanted), first=wanted[0], last=wanted[-1], has=has)
