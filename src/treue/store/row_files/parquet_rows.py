"""Parquet, where pyarrow is installed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from treue.errors import RejectedInput
from treue.store.row_files.rows import FileRow

_PORTION = 5_000


def columns(path: Path) -> tuple[str, ...]:
    """Return the columns' names. Raises RejectedInput where it is no such file, or pyarrow is missing."""
    return tuple(_opened(path).schema_arrow.names)


def read_rows(path: Path) -> Iterator[FileRow]:
    """Read the rows, numbered from 1 on. Raises OSError where the file breaks off."""
    from pyarrow import ArrowException

    number = 0
    try:
        for batch in _opened(path).iter_batches(batch_size=_PORTION):
            for values in batch.to_pylist():
                number += 1
                yield FileRow(number, values)
    except ArrowException as error:
        raise OSError(str(error).splitlines()[0]) from error


def _opened(path: Path) -> Any:
    try:
        from pyarrow import ArrowInvalid
        from pyarrow.parquet import ParquetFile
    except ModuleNotFoundError:
        raise RejectedInput(
            f"{path.name} is a Parquet file; reading one needs pyarrow: pip install 'treue[parquet]'."
        ) from None
    try:
        return ParquetFile(path)
    except ArrowInvalid:
        raise RejectedInput(f"{path.name} is not a Parquet file, whatever its name says.") from None
