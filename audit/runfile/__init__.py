"""The run file, one SQLite file; the only place that says sqlite3.

`book` is what others use, `journal` its part about repairs, `storage` the file itself, `salvage` what is left of a
damaged one; `shards` makes one file of several, row by row, with `copies`.
"""

from audit.runfile.file import RunFile
from audit.runfile.repairs import JournalEntry
from audit.runfile.salvage import open_salvaged
from audit.runfile.sqlite import ELSEWHERE, DamagedError, check_free

__all__ = ["ELSEWHERE", "DamagedError", "JournalEntry", "RunFile", "check_free", "open_salvaged"]
