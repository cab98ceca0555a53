"""Where a repair writes: the table, its key, and for each column of the audit what there is to be set. Text only.

What is set need not be what is read. A model may stand as owner and name, a version inside JSON, and what is read may
be a query over a table that is written. `Slot` knows both ways: a value of the audit's as the table has it, and what
is in the row exactly, so that it can be put back.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from audit.model.repair import SETTABLE
from audit.model.sql import json_path, literal, quoted
from audit.model.tables import TIMES, Column, RepairTable, Tables, WrittenTable
from audit.postgres.columns import DATE_TYPES, TEXT_TYPES, Columns

JSON_TYPES = frozenset({"json", "jsonb"})
_READ_ONLY = "the config file does not say where it is to be written"


class Part(NamedTuple):
    """A column of the table that is written, or a place in one of JSON."""

    column: str
    """By the database's name."""
    sql: str
    """The same as SQL names it."""
    kind: str = ""
    """Its type, as in pg_type."""
    keys: tuple[str, ...] = ()
    """Those that lead to the value, where the column is one of JSON."""


class Slot(NamedTuple):
    """What is set for one column of the audit."""

    parts: tuple[Part, ...]
    holds: Literal["value", "owner_and_name", "name"] = "value"
    """What of a model each part has, where they are not the whole."""


def one_column_for_both(columns: Collection[str]) -> bool:
    """Whether one of `columns` has model and version together, as `owner/name:hash`."""
    return Column.NAME not in columns and not {Column.MODEL_ID, Column.VERSION_ID} <= {*columns}


def names_alone(tables: Tables, columns: Collection[str]) -> bool:
    """Whether models stand there by their names alone, without the owner, so that no other owner's can."""
    if Column.NAME in columns:
        return Column.OWNER not in columns
    return tables.owner is not None and not one_column_for_both(columns)


@dataclass(frozen=True)
class Writing:
    """Where a repair writes."""

    table: str
    """As SQL names it; what is read where nobody knows of another one."""
    key: Part | None
    """Holds the audit's id; null where that is not known."""
    apart: bool
    """It is another table than is read, or a query is read."""
    slots: Mapping[Column, Slot]
    why_not: Mapping[Column, str] = field(default_factory=dict)
    """Columns that are read and cannot be set, and why: clauses."""
    found: WrittenTable | None = None
    """What the catalog was asked for; null where what is read says all."""

    def names(self, columns: Iterable[Column]) -> tuple[str, ...]:
        """What is set for these, as SQL names it."""
        parts = (part for column in columns if column in self.slots for part in self.slots[column].parts)
        return tuple(dict.fromkeys(part.sql for part in parts))

    def own(self, column: Column) -> tuple[str, ...]:
        """What is set for `column`, by the database's names."""
        return tuple(part.column for part in self.slots[column].parts) if column in self.slots else ()

    def unchecked(self, models: Columns) -> frozenset[Column]:
        """Columns that may come to read otherwise when another one is set."""
        found = {Column.MODEL_ID} if self._model_is_made(models) else set[Column]()
        found |= {Column.VERSION_ID} - models.keys()
        for column in map(Column, models):
            shares = any(models.table.called(column) in self.own(other) for other in self.slots if other != column)
            if (
                self.apart
                or models.table.expression(column) is not None
                or shares
                or not self._is_itself(column, models)
            ):
                found.add(column)
        return frozenset(found | ({Column.MODEL_ID, Column.VERSION_ID} if self.apart else set())) - {*TIMES}

    def _model_is_made(self, models: Columns) -> bool:
        return Column.NAME in models or models.tables.owner is not None or one_column_for_both(models)

    def _is_itself(self, column: Column, models: Columns) -> bool:
        """Whether it is read as it is written."""
        slot = self.slots.get(column)
        return slot is None or [(part.column, part.keys) for part in slot.parts] == [(models.table.called(column), ())]

    def before(self, columns: Iterable[Column], of: str) -> dict[Column, str]:
        """SQL for what is in the row `of`, exactly, as a text, by column: what `sets` can put back."""
        return {column: _exact(self.slots[column], of) for column in columns if column in self.slots}

    def sets(self, columns: Sequence[Column], wanted: Callable[[Column], str], *, puts_back: bool) -> str:
        """SET of an UPDATE of `m`: `wanted` is SQL for the text of each of `columns`, a value or what `before` gave."""
        writes: dict[str, list[tuple[Part, str]]] = {}
        for column in columns:
            slot = self.slots[column]
            for number, part in enumerate(slot.parts):
                value = _part_of(wanted(column), slot, number, puts_back=puts_back)
                writes.setdefault(part.sql, []).append((part, value))
        return ", ".join(f"{sql} = {self._value(several, puts_back=puts_back)}" for sql, several in writes.items())

    def _value(self, several: Sequence[tuple[Part, str]], *, puts_back: bool) -> str:
        part, value = several[0]
        if not part.keys:
            return self._typed(part, value)
        return (_json_put_back if puts_back else _json_written)(f"m.{part.sql}", several)

    def _typed(self, part: Part, value: str) -> str:
        """A text needs no cast, and with one would be cut to the length of its column unnoticed.

        A type of the user's own, such as an enum, may have any name in any schema: the table's row has the value in it.
        """
        if part.kind in TEXT_TYPES:
            return f"({value})"
        if part.kind in DATE_TYPES:
            return f"({value})::{part.kind}"
        row = f"jsonb_populate_record(NULL::{self.table}, jsonb_build_object({literal(part.column)}, {value}))"
        return f"({row}).{part.sql}"


def is_plain(models: Columns) -> bool:
    """Whether what is read says all that a repair has to know."""
    return models.table.query is None and models.tables.repair == RepairTable()


def table_to_write(models: Columns) -> str | None:
    """The table, as SQL names it; None where a query is read and nobody says of which table it is."""
    path = models.tables.repair.path or models.table.path
    if path:
        return ".".join(map(quoted, path))
    return models.table.sql if models.table.query is None else None


def writing_of(models: Columns, found: WrittenTable | None = None, *, table: str | None = None) -> Writing:
    """Where a repair of rows that are read as `models` writes.

    `found` is what the catalog has of the table, null where there is no such table, or `is_plain`. `table` names it
    where it should not be left to the search path.
    """
    apart = models.table.query is not None or models.tables.repair.path != ()
    name = table or table_to_write(models) or models.table.sql
    types = dict(found.types) if found else {}
    if is_plain(models):
        types = {models.table.called(column): kind for column, kind in models.items() if _has_own(models, column)}
    elif found is None:
        missing = (
            f"there is no table {name} that this role can see (database.repair.table)"
            if table_to_write(models)
            else "it comes from a query, and database.repair.table does not say which table is to be written"
        )
        return Writing(name, None, apart, {}, dict.fromkeys(_to_be_set(models), missing))
    key = _key(models, types)
    slots, why_not = dict[Column, Slot](), dict[Column, str]()
    for column in _to_be_set(models):
        slot = _slot(models, column)
        problem = _problem(models, column, slot, types, name) if key else _no_key(models, name)
        if slot and not problem:
            typed = (part._replace(kind=types[part.column]) for part in slot.parts)
            slots[column] = slot._replace(parts=tuple(typed))
        elif problem:
            why_not[column] = problem
    return Writing(name, key, apart, slots, why_not, found)


def _has_own(models: Columns, column: str) -> bool:
    return models.table.query is None and models.table.expression(column) is None


def _to_be_set(models: Columns) -> tuple[Column, ...]:
    """Columns that a repair may come to set, as far as they are read."""
    both = one_column_for_both(models)
    made = {Column.VERSION_ID} | (set() if both else {Column.MODEL_ID})
    return tuple(column for column in SETTABLE if column in made or (column in models and column != Column.MODEL_ID))


def _key(models: Columns, types: Mapping[str, str]) -> Part | None:
    own = models.tables.repair.key
    if own is None:
        own = models.table.called(Column.ID) if models.table.expression(Column.ID) is None else None
    if own is None or own not in types:
        return None
    return Part(own, _named(models, own), types[own])


def _no_key(models: Columns, table: str) -> str:
    own = models.tables.repair.key
    if own is not None:
        return f"{table} has no column {own} (database.repair.key)"
    return f"database.repair.key does not say which column of {table} holds the id of a row"


def _named(models: Columns, own: str) -> str:
    """A column of the table, as SQL names it: names that are not mapped stand there as they are."""
    same = (column for column in models if _has_own(models, column) and models.table.called(column) == own)
    return next(map(models.table.column, same), quoted(own))


def _slot(models: Columns, column: Column) -> Slot | None:
    """Without types; None where nothing says where it is written."""
    repair = models.tables.repair
    explicit = column in {*dict(repair.columns), *dict(repair.paths)}
    if column is Column.MODEL_ID:
        if Column.NAME in models and not explicit:
            names = (Column.OWNER, Column.NAME) if Column.OWNER in models else (Column.NAME,)
            parts = tuple(filter(None, (_part(models, each) for each in names)))
            return Slot(parts, "owner_and_name" if len(names) > 1 else "name") if len(parts) == len(names) else None
        whole = _part(models, column)
        return whole and Slot((whole,), "name" if models.tables.owner and Column.NAME not in models else "value")
    part = _part(models, column)
    if part is None and column is Column.VERSION_ID and column not in models:
        part = _part(models, Column.MODEL_ID)
    return part and Slot((part,))


def _part(models: Columns, column: Column) -> Part | None:
    repair = models.tables.repair
    own = dict(repair.columns).get(column)
    if own is not None:
        return Part(own, _named(models, own))
    path = json_path(dict(repair.paths)[column]) if column in dict(repair.paths) else None
    if path is not None:
        return Part(path.column, quoted(path.column), keys=path.keys)
    if column not in models or not _has_own(models, column):
        return None
    return Part(models.table.called(column), models.table.column(column))


def _problem(models: Columns, column: Column, slot: Slot | None, types: Mapping[str, str], table: str) -> str | None:
    """Why nothing can be set for `column`: a clause."""
    if slot is None:
        made = "it comes from a query" if models.table.query is not None else "it is made by an expression"
        return f"{made}, and {_READ_ONLY}: database.repair.columns.{column}"
    for part in slot.parts:
        if part.column not in types:
            return f"{table} has no column {part.column} (database.repair)"
        if column in TIMES and not part.keys and types[part.column] not in DATE_TYPES | TEXT_TYPES:
            return f"{table}.{part.column} is of type {types[part.column]}, and no date"
        if types[part.column] == "record" or types[part.column].startswith("_"):
            return f"{table}.{part.column} is of type {types[part.column]}, which holds several values"
        if part.keys and types[part.column] not in JSON_TYPES:
            return f"{table}.{part.column} is of type {types[part.column]}, and no JSON (database.repair)"
        if not part.keys and types[part.column] in JSON_TYPES:
            return f"{table}.{part.column} is JSON, and database.repair.columns names no place in it"
    return None


def _exact(slot: Slot, of: str) -> str:
    texts = [_exact_part(part, f"{of}{part.sql}") for part in slot.parts]
    return texts[0] if len(texts) == 1 else f"jsonb_build_array({', '.join(texts)})::text"


def _exact_part(part: Part, column: str) -> str:
    if not part.keys or part.kind == "json":  # whose very text is kept, as a change writes it anew
        return f"{column}::text"
    return _described(column, part.keys)


def _part_of(value: str, slot: Slot, number: int, *, puts_back: bool) -> str:
    """What a part has of a value, or of what `_exact` gave."""
    if puts_back:
        return value if len(slot.parts) == 1 else f"(({value})::jsonb ->> {number})"
    match slot.holds:
        case "value":
            return value
        case "name":
            return f"split_part({value}, '/', 2)"
        case "owner_and_name":
            return f"split_part({value}, '/', {number + 1})"


def _path(keys: Sequence[str]) -> str:
    return f"ARRAY[{', '.join(map(literal, keys))}]::text[]"


def _at(column: str, keys: Sequence[str]) -> str:
    """SQL for what is at a place of a jsonb."""
    return f"({column} #> {_path(keys)})" if keys else column


def _level(column: str, keys: Sequence[str]) -> str:
    """SQL for how many of the keys lead somewhere: all but the last, or fewer where nothing or null is in the way."""
    cases = "".join(
        f" WHEN coalesce(jsonb_typeof({_at(column, keys[:level])}), 'null') = 'null' THEN {level}"
        for level in range(len(keys))
    )
    return f"CASE{cases} ELSE {len(keys)} END"


def _described(column: str, keys: Sequence[str]) -> str:
    """SQL for what is at a place of a jsonb, and how far there is anything, as the text of a JSON object."""
    was = "".join(f" WHEN {level} THEN {_at('it.c', keys[:level])}" for level in range(len(keys) + 1))
    return (
        "(SELECT (jsonb_build_object('level', at.level) || CASE WHEN at.was IS NULL THEN '{}'::jsonb "  # noqa: S608 - literals and names
        f"ELSE jsonb_build_object('was', at.was) END)::text FROM (SELECT it.level, CASE it.level{was} END AS was "
        f"FROM (SELECT d.c, {_level('d.c', keys)} AS level FROM (SELECT {column} AS c) AS d) AS it) AS at)"
    )


def _wrapped(keys: Sequence[str], value: str) -> str:
    made = f"to_jsonb({value})"
    for key in reversed(keys):
        made = f"jsonb_build_object({literal(key)}::text, {made})"
    return made


def _with_value(column: str, keys: Sequence[str], value: str) -> str:
    """SQL for a jsonb with a text at a place of it. Something else than an object in the way stays as it is."""
    cases = [f"WHEN 0 THEN {_wrapped(keys, 'it.v')}"]
    for level in range(1, len(keys) + 1):
        put = f"jsonb_set(it.c, {_path(keys[:level])}, {_wrapped(keys[level:], 'it.v')})"
        scalar = "jsonb_typeof(it.c) IN ('object', 'array')"
        cases.append(f"WHEN {level} THEN CASE WHEN {scalar} THEN {put} ELSE it.c END")
    return (
        f"(SELECT CASE it.level {' '.join(cases)} END FROM (SELECT d.c, d.v, {_level('d.c', keys)} AS level "  # noqa: S608 - the same
        f"FROM (SELECT {column} AS c, {value} AS v) AS d) AS it)"
    )


def _as_described(column: str, keys: Sequence[str], described: str) -> str:
    """SQL for a jsonb in which a place is what `_described` gave, as JSON."""
    cases = ["WHEN '0' THEN it.d -> 'was'"]
    for level in range(1, len(keys) + 1):
        path = _path(keys[:level])
        cases.append(
            f"WHEN '{level}' THEN CASE WHEN jsonb_typeof(it.c) NOT IN ('object', 'array') THEN it.c "
            f"WHEN it.d ? 'was' THEN jsonb_set(it.c, {path}, it.d -> 'was') ELSE it.c #- {path} END"
        )
    return (
        f"(SELECT CASE it.d ->> 'level' {' '.join(cases)} END "  # noqa: S608 - the same
        f"FROM (SELECT {column} AS c, ({described})::jsonb AS d) AS it)"
    )


def _json_written(column: str, several: Sequence[tuple[Part, str]]) -> str:
    is_json = several[0][0].kind == "json"
    made = f"{column}::jsonb" if is_json else column
    for part, value in several:
        made = _with_value(made, part.keys, value)
    return f"({made})::json" if is_json else made


def _json_put_back(column: str, several: Sequence[tuple[Part, str]]) -> str:
    if several[0][0].kind != "json":
        made = column
        for part, value in several:
            made = _as_described(made, part.keys, value)
        return made
    # The very text, unless somebody has changed something else in it: then what was set, and that alone.
    whole = several[0][1]
    again, apart = "was.text::jsonb", "was.now::jsonb"
    for part, _ in several:
        again = _with_value(again, part.keys, f"was.now::jsonb #>> {_path(part.keys)}")
        apart = _as_described(apart, part.keys, _described("was.text::jsonb", part.keys))
    return (
        f"(SELECT CASE WHEN was.now::jsonb IS NOT DISTINCT FROM {again} THEN was.text::json ELSE ({apart})::json END "  # noqa: S608 - the same
        f"FROM (SELECT {column} AS now, {whole} AS text) AS was)"
    )
