"""Files and folders that a kill at any moment leaves whole, and folders that are ours."""

from .digests import file_digest, fingerprint, path_digest
from .folders import LOCK_NAME, check_new_folder, check_own_folder, inside, lock_folder
from .leftovers import CANNOT_WRITE, is_leftover, remove_leftovers, remove_leftovers_of
from .writing import (
    docs_bytes,
    is_stdout,
    json_bytes,
    replacing,
    replacing_folder,
    replacing_pipeline,
    write_bytes,
    write_docs,
    write_json,
)

__all__ = [
    "CANNOT_WRITE",
    "LOCK_NAME",
    "check_new_folder",
    "check_own_folder",
    "docs_bytes",
    "file_digest",
    "fingerprint",
    "inside",
    "is_leftover",
    "is_stdout",
    "json_bytes",
    "lock_folder",
    "path_digest",
    "remove_leftovers",
    "remove_leftovers_of",
    "replacing",
    "replacing_folder",
    "replacing_pipeline",
    "write_bytes",
    "write_docs",
    "write_json",
]
