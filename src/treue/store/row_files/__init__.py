"""Files of rows as people have them: CSV, JSON lines and Parquet, packed or not, as one stream in which each line is told."""

from treue.store.row_files.recognition import RowFile, recognise
from treue.store.row_files.rejects import Rejects
from treue.store.row_files.rows import FileRow

__all__ = ["FileRow", "Rejects", "RowFile", "recognise"]
