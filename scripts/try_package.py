"""Install a packaged pipeline where there is spaCy and spacy-transformers but no spacy_xlt, and run it there.

python scripts/try_package.py packages --text "Maria mora em Lisboa." --json metrics/package.json
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import sysconfig
import tempfile
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from wasabi import msg

import spacy_xlt
from spacy_xlt.io import write_json

# Run by the other Python, before the script. Fails where anything of ours can be found there, even if nothing uses it.
_WITHOUT_US = """
import importlib.util
from importlib import metadata
assert importlib.util.find_spec("spacy_xlt") is None, "spacy_xlt can be imported"
assert "spacy-xlt" not in {d.name.replace("_", "-") for d in metadata.distributions()}, "spacy-xlt is installed"
"""
_SCRIPT = """
import json, sys
import spacy
nlp = spacy.load(sys.argv[1])
texts = json.loads(sys.argv[2])
found = [[[ent.text, ent.label_] for ent in doc.ents] for doc in nlp.pipe(texts)]
with open(sys.argv[3], "w", encoding="utf8") as file:
    json.dump(found, file)
"""


class TrialError(RuntimeError):
    """A package cannot be found, installed or run."""


def main(
    path: Annotated[Path, typer.Argument(help="A wheel, or a folder in which spacy package wrote one")],
    text: Annotated[list[str], typer.Option("--text", "-t", help="Text to find entities in; may be repeated")],
    json_path: Annotated[Path | None, typer.Option("--json", help="Also write what was found to this file")] = None,
    with_spacy_xlt: Annotated[
        bool, typer.Option("--with-spacy-xlt", help="Beside spacy_xlt, for pipelines that need it")
    ] = False,
) -> None:
    """Run a packaged pipeline in a temporary environment with links to the packages of this one."""
    try:
        result = try_package(newest_wheel(path) if path.is_dir() else path, text, with_spacy_xlt=with_spacy_xlt)
    except TrialError as err:
        msg.fail("The package cannot be used", str(err), exits=1)
    if json_path is not None:
        write_json(json_path, result)
    msg.good(f"Installed and run {'beside' if with_spacy_xlt else 'without'} spacy_xlt", result["wheel"])
    for item in result["found"]:
        msg.text(item["text"])
        msg.text("  " + (", ".join(f"{ent} {label}" for ent, label in item["ents"]) or "no entities"))


def newest_wheel(folder: Path) -> Path:
    """The wheel below a folder that was made last."""
    wheels = sorted(folder.rglob("*.whl"), key=lambda path: path.stat().st_mtime)
    if not wheels:
        raise TrialError(f"There is no wheel in {folder}; run the package command first")
    return wheels[-1]


def needs_spacy_xlt(wheel: Path) -> bool:
    """Whether a wheel says of itself that it needs this package."""
    with zipfile.ZipFile(wheel) as archive:
        names = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        lines = [line for name in names for line in archive.read(name).decode("utf8").splitlines()]
    return any(re.match(r"Requires-Dist:\s*spacy[-_]xlt\b", line, re.IGNORECASE) for line in lines)


def make_bare_python(folder: Path, *, with_spacy_xlt: bool = False) -> Path:
    """Make a virtual environment that has every package of this one but spacy_xlt: linked, not copied.

    Args:
        folder: Gets the environment.
        with_spacy_xlt: Put spacy_xlt there too.

    Returns:
        Its Python.
    """
    packages = folder / "packages"
    try:
        packages.mkdir(parents=True)
        for source in {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}:
            for path in Path(source).iterdir():
                if not _is_ours(path.name) and not (packages / path.name).exists():
                    (packages / path.name).symlink_to(path)
        if with_spacy_xlt:
            # The package itself, as where it is installed for development there is only a way to it
            ours = Path(spacy_xlt.__file__).parent
            (packages / ours.name).symlink_to(ours)
            # Its entry points, through which spaCy finds what it registers
            for info in Path(sysconfig.get_path("purelib")).glob("spacy_xlt-*.dist-info"):
                (packages / info.name).symlink_to(info)
    except OSError as err:
        raise TrialError(f"An environment cannot be made in {folder}: {err}") from err
    _run(sys.executable, "-m", "venv", "--without-pip", folder / "venv")
    python = folder / "venv" / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    site = _run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=folder).strip()
    # A line in a .pth file adds a folder, and does not run the .pth files in it.
    Path(site, "packages.pth").write_text(f"{packages.resolve()}\n", encoding="utf8")
    return python


def try_package(wheel: Path, texts: Sequence[str], *, with_spacy_xlt: bool = False) -> dict[str, Any]:
    """Install a packaged pipeline beside spaCy and spacy-transformers, without spacy_xlt, and run it.

    Args:
        wheel: What `spacy package --build wheel` made.
        texts: What to find entities in.
        with_spacy_xlt: Beside spacy_xlt, for pipelines that translate or ask several others.

    Returns:
        `wheel`, and `found`: for each text, `text` and its `ents`, pairs of text and label.

    Raises:
        TrialError: The wheel says that it needs spacy_xlt and there is to be none, or it cannot be installed, loaded or
            run there.
    """
    name = wheel.name.split("-")[0]
    if not with_spacy_xlt and needs_spacy_xlt(wheel):
        raise TrialError(f"{wheel.name} needs spacy-xlt, as it says itself. To try it beside it: --with-spacy-xlt")
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        python = make_bare_python(folder, with_spacy_xlt=with_spacy_xlt)
        pip = [sys.executable, "-m", "pip", "--python", python, "install", "--no-deps", "--no-index", "--quiet"]
        _run(*pip, wheel.resolve(), cwd=folder)
        # Not in this folder, where Python would find the modules that lie there.
        script = _SCRIPT if with_spacy_xlt else _WITHOUT_US + _SCRIPT
        _run(python, "-c", script, name, json.dumps(list(texts)), folder / "found.json", cwd=folder)
        found = json.loads((folder / "found.json").read_text(encoding="utf8"))
    pairs = zip(texts, found, strict=True)
    return {"wheel": str(wheel), "found": [{"text": text, "ents": ents} for text, ents in pairs]}


def _is_ours(name: str) -> bool:
    return name.lower().startswith(("spacy_xlt", "spacy-xlt", "__editable__"))


def _run(*command: str | Path, cwd: Path | None = None) -> str:
    # Without the paths by which spacy_xlt could be found after all.
    env = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONHOME")}
    words = [str(part) for part in command]
    done = subprocess.run(words, cwd=cwd, env=env, capture_output=True, text=True, check=False)
    if done.returncode:
        lines = (done.stderr or done.stdout).strip().splitlines()
        raise TrialError(f"{Path(words[0]).name} {words[1]} failed: {lines[-1] if lines else 'no message'}")
    return done.stdout


if __name__ == "__main__":
    typer.run(main)
