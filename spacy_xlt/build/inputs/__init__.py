"""Corpora of any format as files whose documents are read in pieces: `.spacy`, columns, JSON lines and brat."""

from .base import FileInfo, InputFile
from .finding import open_inputs
from .settings import InputSettings

__all__ = ["FileInfo", "InputFile", "InputSettings", "open_inputs"]
