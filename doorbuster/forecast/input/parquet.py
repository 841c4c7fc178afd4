"""Rows of a Parquet file; needs polars, from the extra `forecast`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from doorbuster.errors import UsageError
from doorbuster.forecast.input.table_rows import TableRows


def read_parquet_rows(path: Path, wanted: Sequence[str]) -> TableRows:
    """The table of a Parquet file; only the columns `wanted`, if any are named.

    Raises: UsageError if polars is missing or the file is not Parquet.
    """
    try:
        import polars
    except ImportError:
        raise UsageError(
            f"{path}: reading Parquet needs polars; run: pip install 'doorbuster[forecast]'"
        ) from None
    try:
        schema = polars.read_parquet_schema(path)
        missing = [name for name in wanted if name not in schema]
        if missing:
            raise UsageError(f"{path}: has no column {missing[0]}; it has {', '.join(schema)}")
        frame = polars.read_parquet(path, columns=list(wanted) or None)
    except (OSError, polars.exceptions.PolarsError) as error:
        raise UsageError(f"{path}: is not a readable Parquet file ({error})") from error

    def rows() -> Iterator[tuple[int, Sequence[str]]]:
        for number, row in enumerate(frame.iter_rows(), 1):
            yield number, [_text(value) for value in row]

    return TableRows(str(path), tuple(frame.columns), rows(), row_count=len(frame))


def _text(value: Any) -> str:
    return "" if value is None else value.isoformat() if hasattr(value, "isoformat") else str(value)
