"""The run file: one SQLite file that holds a run, from which it is finished, reported, merged and repaired.

`file` is what others use; `journal`, `trainings` and `baseline` are its parts; `sqlite` is the file as such,
`checksums` those of its rows; `salvage`
reads what is left of a damaged one; `merge` makes one of the files of shards; `run_join` puts the users of two runs
side by side. Only this package imports sqlite3.
"""

from audit.runfile.file import RunFile
from audit.runfile.journal import JournalEntry
from audit.runfile.salvage import open_salvaged
from audit.runfile.sqlite import NOTHING_KEPT, DamagedError, TakenError, check_free

__all__ = ["NOTHING_KEPT", "DamagedError", "JournalEntry", "RunFile", "TakenError", "check_free", "open_salvaged"]
