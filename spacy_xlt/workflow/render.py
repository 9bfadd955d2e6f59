"""The files of a project, from templates and what was chosen."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from thinc.api import Config

from ..config import CONFIGS

_CONFIG = re.compile(r"\bconfigs/([\w/]+\.cfg)")


def render(values: Mapping[str, Any]) -> dict[str, str]:
    """The text of every file of a project but its data, by the file's path in the project.

    Configs that project.yml or the plan of the comparison name are copied from the package.

    Args:
        values: What the templates name; see `Project.values`.
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


def write_files(folder: Path, files: Mapping[str, str]) -> None:
    """Write the files of a project."""
    from ..io import write_bytes

    for path, text in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        write_bytes(folder / path, text.encode("utf8"))
