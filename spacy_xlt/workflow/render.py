"""The files of a project, from templates and what was chosen."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from thinc.api import Config

from ..config import CONFIGS
from ..errors import error
from ..io import write_bytes, write_json
from .choices import FOLDER, Choices

_CONFIG = re.compile(r"\bconfigs/([\w/]+\.cfg)")


def render(values: Mapping[str, Any]) -> dict[str, str]:
    """The text of every file of a project but its data, by the file's path in the project.

    Configs that project.yml or the plan of the comparison name are copied from the package.

    Args:
        values: What the templates name; see `choices.Choices`.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined

    # No page: nothing is escaped but what `json` quotes
    jinja = Environment(
        loader=PackageLoader("spacy_xlt.workflow"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,
    )
    jinja.filters["json"] = lambda value: json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    names = {
        "project.yml": "project.yml.j2",
        "README.md": "README.md.j2",
        values["build_config"]: "build.cfg.j2",
        "configs/compare.cfg": "compare.cfg.j2",
    }
    engine = engine_text(values["engine"])
    files = {
        path: jinja.get_template(template).render({**values, "engine": engine}) for path, template in names.items()
    }
    for name in sorted(set(_CONFIG.findall(files["project.yml"] + files["configs/compare.cfg"]))):
        if (CONFIGS / name).is_file():
            files.setdefault(f"configs/{name}", (CONFIGS / name).read_text(encoding="utf8"))
    return files


def engine_text(block: Mapping[str, Any]) -> str:
    """The block of a translation engine as a part of a config."""
    config = Config({"components": {"xlt_translator": {"engine": dict(block)}}}).to_str(interpolate=False)
    return config[config.index("[components.xlt_translator.engine]") :].rstrip()


def check_place(folder: Path, choices: Choices) -> None:
    """Make sure that a project does not lie in a folder that is copied into it.

    Raises:
        XltError: E553 where it would.
    """
    for source in choices.files.values():
        if source.is_dir() and Path(os.path.realpath(folder)).is_relative_to(os.path.realpath(source)):
            raise error("E553", path=folder, reason=f"is in {source}, which is read")


def write_project(folder: Path, choices: Choices) -> None:
    """Write a project: its data first and project.yml last. Where that fails, nothing of it stays.

    Raises:
        XltError: E553 for a folder with something in it, or in one that is read.
        OSError: Where it cannot be written.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise error("E553", path=folder, reason="is not empty" if folder.is_dir() else "is a file")
    check_place(folder, choices)
    try:
        _write(folder, choices)
    except BaseException:
        for path in folder.iterdir() if folder.is_dir() else ():
            shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)
        raise


def _write(folder: Path, choices: Choices) -> None:
    for place, source in choices.files.items():
        (folder / place).parent.mkdir(parents=True, exist_ok=True)
        (shutil.copytree if source.is_dir() else shutil.copyfile)(source, folder / place)
    write_json(folder / "assets" / "licences.json", choices.licences)
    if any("/sample/" in source.as_posix() for source in choices.files.values()):
        shutil.copyfile(FOLDER / "sample" / "LICENSE.txt", folder / "assets" / "LICENSE.txt")
    for path, text in reversed(list(render(choices.values).items())):
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        write_bytes(folder / path, text.encode("utf8"))
