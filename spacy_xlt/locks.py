"""See `io.FolderLock`."""

from .io import LOCK_NAME as FILE_NAME
from .io import FolderLock

BuildLock = FolderLock
__all__ = ["FILE_NAME", "BuildLock", "FolderLock"]
