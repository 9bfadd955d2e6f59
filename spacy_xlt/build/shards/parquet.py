"""Rows of documents as a Parquet file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...errors import error

if TYPE_CHECKING:
    import pyarrow

# Tokens of a part of the file that readers read at once, and of what is turned into columns at once
_TOKENS_A_GROUP, _TOKENS_A_TABLE = 1_000_000, 50_000


def check_installed() -> None:
    """Make sure that Parquet can be written.

    RAISES (XltError): E555 without pyarrow.
    """
    try:
        import pyarrow.parquet  # noqa: F401
    except ImportError as err:
        raise error("E555", reason=err) from err


class ParquetWriter:
    """Writes rows to a Parquet file; to be used in a `with` statement.

    with_links (bool): Whether the rows are those of bitexts.
    about (dict[str, Any]): What the file says of itself, as JSON under "spacy_xlt" in its metadata.
    RAISES (XltError): E555 without pyarrow.
    """

    def __init__(self, path: Path, *, with_links: bool, about: dict[str, Any]):
        check_installed()
        import pyarrow.parquet

        self._schema = schema(with_links=with_links).with_metadata({"spacy_xlt": json.dumps(about)})
        self._writer = pyarrow.parquet.ParquetWriter(path, self._schema, compression="zstd")
        self._rows: list[dict[str, Any]] = []
        self._tables: list[pyarrow.Table] = []
        self._in_rows = self._in_tables = 0

    def __enter__(self) -> ParquetWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self._write_group()
        self._writer.close()

    def write(self, row: dict[str, Any]) -> None:
        """Add a row."""
        self._rows.append(row)
        # An empty document is something, too
        self._in_rows += 1 + len(row["tokens"]) + len(row["source"].get("tokens", ()))
        if self._in_rows >= _TOKENS_A_TABLE:
            self._make_table()
        if self._in_tables >= _TOKENS_A_GROUP:
            self._write_group()

    def _make_table(self) -> None:
        import pyarrow

        self._tables.append(pyarrow.Table.from_pylist(self._rows, schema=self._schema))
        self._in_tables += self._in_rows
        self._rows, self._in_rows = [], 0

    def _write_group(self) -> None:
        import pyarrow

        if self._rows:
            self._make_table()
        if self._tables:
            table = pyarrow.concat_tables(self._tables)
            self._writer.write_table(table, row_group_size=len(table))
        self._tables, self._in_tables = [], 0


def schema(*, with_links: bool) -> pyarrow.Schema:
    """The columns: lists of structs, with a type for each value.

    with_links (bool): Those of bitexts.
    """
    import pyarrow as pa

    text, number, score = pa.string(), pa.int32(), pa.float32()
    place = [(name, number) for name in ("start", "end", "token_start", "token_end")]
    span = [("label", text), ("key", text), ("score", score), ("kb_id", text), ("id", text)]
    token = [("id", number), ("text", text), ("start", number), ("end", number), ("ws", pa.bool_()), ("tag", text)]
    lost = [("text", text), ("label", text), ("reason", text), ("key", text), ("side", text)]

    def structs(*fields: tuple[str, pa.DataType]) -> pa.DataType:
        return pa.list_(pa.struct(fields))

    annotation = [
        ("text", text),
        ("spans", structs(*place, *span)),
        ("annotated", pa.list_(text)),
        ("missing", structs(*place)),
    ]
    side = [*annotation, ("tokens", structs(*token)), ("sentences", structs(*place))]
    columns = [
        ("shard", text),
        ("doc", number),
        ("lang", text),
        *side,
        ("source", pa.struct([("lang", text), *(side if with_links else annotation)])),
        ("lost", structs(*place, *lost)),
        ("flags", pa.list_(text)),
        ("translation_score", score),
    ]
    if with_links:
        ranges = [(name, number) for name in ("source_start", "source_end", "target_start", "target_end")]
        columns += [
            ("pairs", structs(*ranges, ("score", score), ("flags", pa.list_(text)))),
            ("links", structs(("source", number), ("target", number), ("score", score))),
        ]
    return pa.schema(columns)
