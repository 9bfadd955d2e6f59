"""Prompts: Jinja templates, those of the package by name and others by path."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from ..errors import XltError, error
from .api import Message

FOLDER = Path(__file__).parent / "templates"
# What each prompt must name, as nothing could come of it otherwise
_NEEDED = {"translate": ("text",), "project": ("text", "translation"), "annotate": ("text",)}


class Prompt:
    """A template whose text is one message of a user.

    Args:
        kind: What the prompt is for, which is the name of the package's own template: "translate".
        path: A file to use in its place.
        example: What the template is filled with once to see that it works; it can name these values.

    Raises:
        XltError: E502 for a file that is not there, E278 for one that is no such template, or does not name what it is
            about.
    """

    def __init__(self, kind: str, path: str | Path | None = None, *, example: Mapping[str, Any]):
        self.kind = kind
        self.path = FOLDER / f"{kind}.j2" if path is None else Path(path)
        self._names = sorted(example)
        try:
            self.template = self.path.read_text(encoding="utf8")
        except OSError as err:
            raise error("E502", what="prompt", path=self.path) from err
        except UnicodeDecodeError as err:
            raise self._broken("it is not in UTF-8") from err
        self.messages(**example)
        if missing := [name for name in _NEEDED[kind] if name not in self._named()]:
            raise self._broken(f"it does not name {' and '.join(missing)}")

    @property
    def signature(self) -> str:
        """The kind, and a checksum of the template."""
        return f"{self.kind} {hashlib.sha256(self.template.encode()).hexdigest()[:12]}"

    def messages(self, **values: Any) -> list[Message]:
        """The prompt, filled in.

        Raises:
            XltError: E278 where that fails, or nothing comes out.
        """
        from jinja2 import TemplateError

        try:
            text = self._compiled.render(values).strip()
        except (TemplateError, TypeError, ValueError, ArithmeticError, LookupError, RecursionError) as err:
            if isinstance(err, XltError):
                raise
            raise self._broken(_reason(err)) from err
        if not text:
            raise self._broken("nothing is left of it when it is filled in")
        return [{"role": "user", "content": text}]

    def _named(self) -> set[str]:
        """The values that the template names."""
        from jinja2 import Environment, meta

        return meta.find_undeclared_variables(Environment(autoescape=False).parse(self.template))

    @cached_property
    def _compiled(self) -> Any:
        from jinja2 import StrictUndefined
        from jinja2.sandbox import ImmutableSandboxedEnvironment

        # Not a page: nothing is escaped. A template can come with another person's pipeline, and runs no code.
        jinja = ImmutableSandboxedEnvironment(
            undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, autoescape=False
        )
        return jinja.from_string(self.template)

    def _broken(self, reason: str) -> XltError:
        return error("E278", path=self.path, reason=reason, known=", ".join(self._names), kind=self.kind)


def _reason(err: Exception) -> str:
    line = getattr(err, "lineno", None)
    said = " ".join(str(err).split()).rstrip(".")
    return said if line is None else f"line {line}: {said}"
