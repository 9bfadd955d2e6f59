"""The scripts of the project, as modules."""

from __future__ import annotations

import importlib.util
import sys
from types import ModuleType

from helpers.paths import ROOT


def load_script(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"scripts_{name}", ROOT / "scripts" / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # Typer looks up the annotations of its functions there
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


try_package = load_script("try_package")
