"""A copy of a pipeline's folder, so that what a training wrote stays as it was."""

from __future__ import annotations

import shutil
from pathlib import Path

from ..errors import error
from ..io import replacing_folder


def copy_pipeline(source: Path, output: Path) -> None:
    """Copy a pipeline. A copy that is there already is replaced, and nothing else is.

    source (Path): Folder of a pipeline.
    output (Path): A folder that does not exist, is empty, or is a pipeline.
    RAISES (XltError): E687 for another folder, or one inside the other.
    """
    inside = output.resolve().is_relative_to(source.resolve()) or source.resolve().is_relative_to(output.resolve())
    is_other = output.exists() and not (output / "meta.json").is_file() and (output.is_file() or any(output.iterdir()))
    if inside or is_other:
        raise error("E687", output=output, source=source)
    with replacing_folder(output) as beside:
        shutil.copytree(source, beside, dirs_exist_ok=True)
