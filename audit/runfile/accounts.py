"""Whose models a run is about, and what asking for them has shown; and how all of it is taken back.

For a run whose token is of another account than the models. `Accounts` is a `Known` of `audit.findings.hopeless`.
"""

from collections.abc import Callable

import msgspec

from audit.findings.classify import ON_REPLICATE
from audit.findings.hopeless import Key
from audit.model.codes import Reason
from audit.model.findings import Finding
from audit.model.run import NoneFound
from audit.model.users import TRIMMED, ModelRecord
from audit.runfile.file import RunFile, Verdict

_RECORD = msgspec.json.Decoder(ModelRecord)
_FOUND = (*ON_REPLICATE, Reason.NO_VERSION_RECORDED, Reason.INVALID_MODEL_ID, Reason.EVIDENCE_DISAGREES)
"""Reasons of findings that rest on more than a 404, where there is an answer at all."""
_REASONS = ", ".join(f"'{reason}'" for reason in _FOUND)
_ANY_USER = f"SELECT 1 FROM audited WHERE outcome = 'training' OR outcome = 'answered' AND reason IN ({_REASONS})"  # noqa: S608 - constants
_ANY_ROW = (
    "SELECT 1 FROM unfinished WHERE instr(heard, '\"training\":') OR json_array_length(heard, '$.versions') > 0"
    " OR json_extract(base, '$.evidence') IS NOT NULL AND json_extract(base, '$.reason') <> 'model_not_found'"
)
"""Also where a model was found, and the verdict on a newer row is still to come."""
_ROW_MODEL = (
    "lower(trim(coalesce(iif(json_extract(a.record, '$.newer') IS NULL, json_extract(a.record, '$.replicate_model_id'),"
    " json_extract(a.record, '$.newer.replicate_model_id')), ''), ?))"
)
"""Key of the model of an unfinished row."""
_ROWS = "unfinished AS u JOIN audited AS a ON a.id = u.id"
_OWNERS = (
    "SELECT substr(model, 1, instr(model, '/') - 1) AS owner, count(*) AS models FROM ({})"
    " WHERE model GLOB '?*/?*' AND model NOT GLOB '*[^a-z0-9._/-]*' AND model NOT GLOB '*/*/*' GROUP BY owner"
)
"""Of ids that can be asked for; those of rows may be anything."""
_ANSWERED = "outcome = 'answered'"
_NAMED = 3
Unasked = Callable[[ModelRecord], tuple[Finding | None, Verdict]]
"""What is true of a record as long as nobody was asked: of its completed row, and in all."""


class Accounts:
    """What a run file has of the owners of models. Methods raise `RunFileError` where SQLite or the disk fails."""

    def __init__(self, run_file: RunFile) -> None:
        self._run_file = run_file
        self._rows = run_file.asks_about_rows

    def anything_found(self) -> bool:
        """See `Known`. Reads the whole file where nothing was."""
        return bool(self._first(_ANY_USER) or (self._rows and self._first(_ANY_ROW)))

    def unanswered(self, owner: str, after: Key | None) -> Key | None:
        """See `Known`: models by their keys, through the index, then rows. Each question is passed once."""
        if not isinstance(after, int):
            query = (
                "SELECT model FROM audited WHERE model > ? AND model < ? AND outcome IS NOT 'answered' ORDER BY model"
            )
            if model := self._first(query, after or f"{owner}/", f"{owner}0"):  # 0 comes behind the slash
                return str(model)
        row = f"u.id > ? AND u.outcome IS NOT 'answered' AND substr({_ROW_MODEL}, 1, ?) = ?"
        query = f"SELECT u.id FROM {_ROWS} WHERE {row} ORDER BY u.id"  # noqa: S608 - constants
        behind = after if isinstance(after, int) else 0
        found = self._first(query, behind, TRIMMED, len(owner) + 1, f"{owner}/") if self._rows else None
        return None if found is None else int(str(found))

    def none_found(self, not_found: int) -> NoneFound:
        """Whose all models are, where the first `not_found` questions were answered with 404."""
        models = "SELECT DISTINCT model FROM audited WHERE model IS NOT NULL"
        if rows := self._rows and bool(self._first("SELECT 1 FROM unfinished")):
            models = f"{models} UNION SELECT {_ROW_MODEL} FROM {_ROWS}"  # noqa: S608 - constants
        values = [TRIMMED] * rows
        query = f"{_OWNERS.format(models)} ORDER BY models DESC, owner"
        with self._run_file.storage.reading():
            owners = self._run_file.storage.connection.execute(query, values).fetchall()
        return NoneFound(
            not_found=not_found, owners=tuple(map(tuple, owners[:_NAMED])), more_owners=len(owners[_NAMED:])
        )

    def _first(self, query: str, *values: str | int) -> object:
        with self._run_file.storage.reading():
            row = self._run_file.storage.connection.execute(f"{query} LIMIT 1", values).fetchone()
            return row[0] if row else None


def put_back(run_file: RunFile, unasked: Unasked, *, all_of_them: bool = False) -> None:
    """Make questions pending again, as they were when the records were read: the answered ones, or all.

    To be called within a transaction of the run file.
    """
    wanted = "model IS NOT NULL" if all_of_them else _ANSWERED
    if run_file.asks_about_rows:
        rows = "1" if all_of_them else _ANSWERED
        wanted = f"({wanted} OR id IN (SELECT id FROM unfinished WHERE {rows}))"  # noqa: S608 - constants
    query = f"SELECT id, record FROM audited WHERE {wanted} AND id > ? ORDER BY id LIMIT ?"  # noqa: S608 - constants
    for row_id, record in run_file.storage.paged(query, (), lambda row_id, text: (row_id, _RECORD.decode(text))):
        run_file.put_back(row_id, *unasked(record))
