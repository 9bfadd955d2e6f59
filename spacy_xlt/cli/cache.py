"""`spacy xlt cache`: look into a cache of translations, or empty it."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import error
from ._app import app, echo, existing, friendly_errors, msg

if TYPE_CHECKING:
    from ..translation.cache import TranslationCache


@app.command("cache")
@friendly_errors
def cache_cli(
    action: Annotated[str, typer.Argument(help="stats, list or clear")],
    path: Annotated[str, typer.Argument(help="The cache file, or user for the one in your cache folder")] = "user",
    limit: Annotated[int, typer.Option(help="Translations to list")] = 20,
) -> None:
    """
    Look into a cache of translations, as the setting `cache` of xlt_translator names it, or empty it.

    stats counts the translations by direction and by what made them, list shows those used last, clear removes all.
    """
    from ..translation.cache import TranslationCache

    if action not in ("stats", "list", "clear"):
        raise typer.BadParameter(f"{action!r} is none of stats, list, clear", param_hint="ACTION")
    cache = TranslationCache(path)
    existing(cache.path, what="cache")
    try:
        if action == "stats":
            _stats(cache)
        elif action == "list":
            for source, target, text, translation, score in cache.entries(limit=limit):
                made = "" if score is None else f" ({score:.2f})"
                echo(f"{source}-{target}\t{_line(text)}\t{_line(translation)}{made}")
        else:
            msg.good(f"{cache.clear()} translations removed", str(cache.path))
    except sqlite3.Error as err:
        raise error("E535", path=cache.path, reason=str(err)) from err
    finally:
        cache.close()


def _stats(cache: TranslationCache) -> None:
    stats = cache.stats()
    msg.good(f"{stats.entries} translations, {stats.bytes / (1 << 20):.1f} MiB", str(cache.path))
    # What is long comes last, where nothing is to be in line with it
    rows = [(n, name) for counts in (stats.directions, stats.signatures) for name, n in counts.items()]
    msg.table(rows, header=("translations", "direction or engine"), aligns=("r", "l"), divider=True, max_col=100)


def _line(text: str) -> str:
    return " ".join(text.split())
