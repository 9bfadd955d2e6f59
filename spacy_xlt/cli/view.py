"""`spacy xlt view`: bitexts as a page, or as text for the terminal."""

from __future__ import annotations

from pathlib import Path

import typer

from ._app import app, check_outputs, friendly_errors, msg

PAGE_LIMIT, TEXT_LIMIT = 5000, 20


@app.command("view")
@friendly_errors
def view_cli(
    input_path: Path = typer.Argument(..., help="Build folder, or .spacy file with bitexts", metavar="INPUT"),
    output_path: Path | None = typer.Argument(None, help="Page to write; optional with --text", metavar="OUT.html"),
    text: bool = typer.Option(False, "--text", "-t", help="Text of 80 columns with a summary, to the terminal or OUT"),
    limit: int | None = typer.Option(
        None, "--limit", min=1, help=f"Documents to show ({PAGE_LIMIT} in a page, {TEXT_LIMIT} as text)"
    ),
    only_lost: bool = typer.Option(False, "--only-lost", help="Only sentences in which a span was lost"),
    review: bool = typer.Option(False, "--review", "-r", help="A page to correct spans in, and to save that as JSONL"),
) -> None:
    """Show source and target side by side: as one self-contained HTML page, or with --text in the terminal."""
    from ..errors import error, warn
    from ..io import write_bytes
    from ..readers.docbin import read_docs
    from ..view.reading import FirstDocs, Readable

    if output_path is None and not text:
        raise error("E563")
    check_outputs(output_path, inputs=[input_path], may_be_inside=True)
    folder = input_path / "bitext"
    readable = Readable()
    numbered = readable.read(read_docs(folder if folder.is_dir() else input_path))
    if text:
        from ..view.terminal import as_text, has_colors

        shown = as_text(
            numbered, limit=limit or TEXT_LIMIT, only_lost=only_lost, colors=output_path is None and has_colors()
        )
        content = "\n".join(shown) + "\n"
    else:
        from ..view.data import payload
        from ..view.page import page_of

        some = FirstDocs(numbered, limit or PAGE_LIMIT, only_lost)
        data = payload(some, title=input_path.resolve().name, only_lost=only_lost, review=review)
        content = page_of(data)
    if not readable.n_read:
        if readable.n_failed:
            raise error("E560", n=readable.n_failed, path=input_path, reason=readable.reason)
        raise error("E515", path=input_path)
    if readable.n_failed:
        warn("W560", n=readable.n_failed, path=input_path, reason=readable.reason)
    if output_path is None:
        typer.echo(content, nl=False)
        return
    # Half a surrogate pair, as of the name of a file, has no place in UTF-8
    write_bytes(output_path, content.encode("utf8", "replace"))
    if text:
        msg.good("Written", str(output_path))
        return
    if some.more:
        msg.info(f"The first {some.n_docs} documents; --limit shows more")
    msg.good(f"{some.n_docs} documents, {len(data['rows'])} sentences", str(output_path))
