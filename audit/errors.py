"""Everything that ends a run. What goes wrong with one user is a value (`models.Reply`), never one of these.

AuditError                      what happened, and the next step
├── SettingsError               an option, variable or file that the user gave           exit 2
├── DatabaseError                 PostgreSQL: unreachable, refused, missing table, slow    exit 5
├── ReplicateError              the API as a whole: token refused                        exit 5
├── RunFileError                 the run file: unwritable, damaged, in use, too new       exit 5
└── ReportError                 a report could not be written                            exit 5
"""


class AuditError(Exception):
    """A run that cannot start or go on, in words for the person who ran it.

    `str(error)` is one sentence that names the thing; `next_step` is what to do about it, or "".
    Neither ever holds a token or a password: whoever raises is responsible for that.
    """

    def __init__(self, message: str, next_step: str = "") -> None:
        super().__init__(message)
        self.next_step = next_step
        self.exit_code: int | None = None
        """Where it is not that of its kind: after a signal."""


class SettingsError(AuditError):
    """An option, environment variable or file name is wrong or missing."""


class DatabaseError(AuditError):
    """The database could not be read, or not be changed."""


class ReplicateError(AuditError):
    """Replicate will answer nobody: the token is refused."""


class RunFileError(AuditError):
    """The run file cannot be created, read or written."""


class ReportError(AuditError):
    """A report could not be written; the file that was there before is untouched."""
