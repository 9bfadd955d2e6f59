"""`spacy xlt cache`: look into a cache of translations or of answers of language models, or empty it."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import error
from ._app import app, echo, existing, friendly_errors, msg

if TYPE_CHECKING:
    from ..io.disk_cache import DiskCache


@app.command("cache")
@friendly_errors
def cache_cli(
    action: Annotated[str, typer.Argument(help="stats, list or clear")],
    path: Annotated[
        str,
        typer.Argument(
            help="The cache file; user for translations, answers for those of language models, in your cache folder"
        ),
    ] = "user",
    limit: Annotated[int, typer.Option(help="Entries to list")] = 20,
) -> None:
    """
    Look into a cache of translations, as the setting `cache` of xlt_translator names it, or empty it. A cache of a
    language model's answers can be given as well.

    stats counts the entries by direction and by what made them, list shows those used last, clear removes all.
    """
    if action not in ("stats", "list", "clear"):
        raise typer.BadParameter(f"{action!r} is none of stats, list, clear", param_hint="ACTION")
    cache = _cache_at(path)
    try:
        if action == "stats":
            _stats(cache)
        elif action == "list":
            for label, text, value in cache.entries(limit=limit):
                echo(f"{label}\t{_line(text)}\t{_line(value)}")
        else:
            msg.good(f"{cache.clear()} {cache.what} removed", str(cache.path))
    except sqlite3.Error as err:
        raise error("E535", path=cache.path, reason=str(err)) from err
    finally:
        cache.close()


def _cache_at(path: str) -> DiskCache[Any]:
    """The cache in a file, of the kind that the file says it is; of translations where it does not say."""
    from ..io.disk_cache import application_of
    from ..llm.cache import AnswerCache
    from ..translation.cache import TranslationCache

    if path == "answers":
        answers = AnswerCache("user")
        existing(answers.path, what="cache")
        return answers
    cache = TranslationCache(path)
    existing(cache.path, what="cache")
    try:
        is_answers = application_of(cache.path) == AnswerCache.application
    except sqlite3.Error as err:
        raise error("E535", path=cache.path, reason=str(err)) from err
    return AnswerCache(Path(path)) if is_answers else cache


def _stats(cache: DiskCache[Any]) -> None:
    stats = cache.stats()
    msg.good(f"{stats.entries} {cache.what}, {stats.bytes / (1 << 20):.1f} MiB", str(cache.path))
    # What is long comes last, where nothing is to be in line with it
    rows = [(n, label) for label, n in stats.labels.items()]
    msg.table(rows, header=(cache.what, "by"), aligns=("r", "l"), divider=True, max_col=100)


def _line(text: str) -> str:
    return " ".join(text.split())
