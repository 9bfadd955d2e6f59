"""Choosing where the shards of a build are worked on."""

from __future__ import annotations

from pathlib import Path

from spacy.language import Language

from ...errors import error
from ..corrections import Corrections
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
    corrections: Corrections | None = None,
    code: Path | None = None,
) -> Executor:
    """Make an executor; nothing is started yet.

    kind (str): "local" or "ray".
    workers (int): Engines at once. "local": worker processes; 0 for none, all is done in this one. "ray": 0 for as many
        as the cluster has GPUs, or CPUs.
    address (str | None): Of a Ray cluster; Ray's own default where left out.
    gpu_id (int): The first GPU, of as many as there are local workers; or -1 for the CPU.
    corrections (Corrections | None): What was reviewed.
    code (Path | None): Python file with the user's own registered functions.
    RAISES (XltError): E510 for settings that do not fit each other.
    """
    if kind not in (LOCAL, RAY):
        raise error("E510", setting="--executor", value=kind, expected=f"{LOCAL} or {RAY}")
    if workers < 0:
        raise error("E510", setting="--workers", value=workers, expected="a number from 0")
    if address is not None and kind != RAY:
        raise error("E510", setting="--address", value=address, expected=f"nothing, without --executor {RAY}")
    text = None if code is None else code.read_text(encoding="utf8")
    recipe = Recipe(nlp.config.to_str(), corrections=corrections, code=text)
    if kind == RAY:
        from .ray import RayPool

        return PoolExecutor(RayPool(recipe, size=workers, address=address, gpu=gpu_id >= 0))
    if workers == 0:
        return InProcess(ShardProcessor(nlp, corrections=corrections))
    if gpu_id >= 0:
        return PoolExecutor(ProcessPool(recipe, size=workers, gpu_ids=list(range(gpu_id, gpu_id + workers))))
    recipe = Recipe(recipe.config, corrections=corrections, code=text, threads=share_of_cores(workers))
    return PoolExecutor(ProcessPool(recipe, size=workers))
