"""What a config file has to say of what was recognised: lines with keys, values and reasons. Pure."""

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from typing import NamedTuple

from audit.cli.config_file import LONGEST, SETTABLE_NAMES
from audit.commands.init.persons import Person, UsersTable
from audit.commands.init.places import Place, View
from audit.commands.init.recognise import Reading, alias
from audit.commands.init.values import Looks
from audit.model.sql import identifier, json_path
from audit.model.tables import COLUMNS, Column, TableName, TrainingState
from audit.model.text import toml_text

_MEANS = {
    TrainingState.COMPLETED: "says that a training has completed",
    TrainingState.IN_PROGRESS: "says that it is on its way",
    TrainingState.FAILED: "says that it has come to nothing",
}
_BARE = re.compile(r'[^".]+')


class Entry(NamedTuple):
    """One line of the file."""

    table: str
    """Below which it stands: "database.columns"."""
    key: str
    value: str
    """In TOML."""
    why: str = ""
    """A comment behind it, or above it where the value has several lines."""
    left_open: bool = False
    """It is to be completed, and stands in a comment."""


class Draft(NamedTuple):
    """The file, and what a person has to know of it."""

    entries: tuple[Entry, ...]
    columns: Mapping[Column, Place]
    """Of `user_models`, by the audit's names."""
    users: UsersTable | None
    owner: str | None
    not_repaired: tuple[Column, ...]
    """Columns that a repair would have to set, and can't, as nothing can be written to where they are from."""


def draft(reading: Reading, owner: str | None, latest_per: str | None) -> Draft:
    """What has to be said for `reading`; what is as the audit calls it anyway is not."""
    columns = _columns(reading)
    by_query = bool(reading.steps) or not _is_nameable(reading.view)
    if by_query:
        columns = {column: place if place.of else place.in_query(alias(0)) for column, place in columns.items()}
    entries = list(
        chain(
            _choices(reading, columns, owner, latest_per, by_query=by_query),
            _tables(reading, by_query=by_query),
            () if by_query else _mapped("user_models", columns, reading.view, reading),
            _users(reading.users),
            _query(reading, columns) if by_query else (),
            _repair(reading, columns, by_query=by_query),
            _left_open(reading, owner),
        )
    )
    settable = [Column(name) for name in SETTABLE_NAMES if name in columns]
    stuck = tuple(column for column in settable if not _is_settable(columns[column], by_query=by_query))
    needed = (Column.VERSION_ID, Column.LORA_WEIGHTS_URL)
    return Draft(tuple(entries), columns, reading.users, owner, tuple(column for column in stuck if column in needed))


def _columns(reading: Reading) -> dict[Column, Place]:
    found: dict[Column, Place] = {}
    if reading.id is not None:
        found[Column.ID] = reading.id
    if reading.person is not None:
        steps = len(reading.person.steps)
        place = reading.person.place
        found[Column.USER_ID] = place.in_query(alias(steps)) if steps else place
    if reading.states is not None:
        found[Column.TRAINING_STATUS] = reading.states.place
    for name, place in reading.model.places.items():
        found[Column(name)] = place
    found[Column.VERSION_ID] = reading.version
    if reading.training is not None:
        found[Column.TRAINING_ID] = reading.training
    found |= {Column(name): place for name, place in reading.dates.items()}
    found |= {Column(name): place for name, place in reading.others.items()}
    return found


def _choices(
    reading: Reading, columns: Mapping[Column, Place], owner: str | None, latest_per: str | None, *, by_query: bool
) -> Iterator[Entry]:
    if owner and _has_bare_names(reading):
        place = columns.get(Column.NAME) or columns.get(Column.MODEL_ID)
        yield Entry("database", "owner", toml_text(owner), f"{_shown(place)} holds names without an owner")
    if latest_per:
        yield Entry("database", "latest_per", toml_text(latest_per))
    if reading.filters and not by_query:
        condition = " AND ".join(each.sql for each in reading.filters)
        why = " and ".join(dict.fromkeys(each.why for each in reading.filters))
        yield Entry("database", "where", toml_text(condition), f"leaves out {why}")
    if reading.states is not None:
        for state, words in reading.states.words.items():
            listed = ", ".join(map(toml_text, words))
            value = listed if len(words) == 1 else f"[{listed}]"
            yield Entry("database", state.value, value, _MEANS[state] if state is TrainingState.COMPLETED else "")


def _has_bare_names(reading: Reading) -> bool:
    return reading.model.how == "name"


def _shown(place: Place | None) -> str:
    return place.name if place is not None and place.name.isprintable() else "the column"


def _tables(reading: Reading, *, by_query: bool) -> Iterator[Entry]:
    users = reading.users
    if users is None:
        yield Entry("database.tables", "users", "false", "there is no table of users that can be read: ids are shown")
    elif not _users_by_query(users) and users.view.table.path != ("users",):
        yield Entry("database.tables", "users", toml_text(named(users.view.table.path)))
    if not by_query and reading.view.table.path != ("user_models",):
        yield Entry("database.tables", "user_models", toml_text(named(reading.view.table.path)))


def named(path: Sequence[str]) -> str:
    """Schema and name, as a config file has them."""
    return ".".join(part if _BARE.fullmatch(part) else '"' + part.replace('"', '""') + '"' for part in path)


def _is_name(name: str) -> bool:
    """Whether a config file can name it; any other stands in an expression or in a query."""
    return name == name.strip() and name.isprintable() and len(name.encode()) <= LONGEST


def _is_nameable(view: View) -> bool:
    return all(map(_is_name, view.table.path))


def _users_by_query(users: UsersTable) -> bool:
    return users.joined is not None or users.grouped or not _is_nameable(users.view)


def _mapped(table: TableName, columns: Mapping[Column, Place], view: View, reading: Reading | None) -> Iterator[Entry]:
    other: TableName = "users" if table == "user_models" else "user_models"
    for column in COLUMNS[table]:
        place = columns.get(column)
        shared = column in COLUMNS[other]
        where = f"database.columns.{table}" if shared else "database.columns"
        if place is not None and not (place.is_column and place.column.name == column):
            yield Entry(where, column.value, _own(place), _guessed(column, reading))
        elif place is None and reading is not None and (instead := _misnamed(column, view, reading)):
            yield Entry(
                where, column.value, f"{{sql = {toml_text(instead)}}}", "the column of this name is another thing"
            )


def _guessed(column: Column, reading: Reading | None) -> str:
    person = reading.person if reading else None
    return "a guess: nothing else is left that could say whose a row is" if _is_guess(column, person) else ""


def _is_guess(column: Column, person: Person | None) -> bool:
    return column is Column.USER_ID and person is not None and person.guessed


def _own(place: Place) -> str:
    if place.is_column and _is_name(place.column.name):
        return toml_text(named((place.column.name,)))
    return f"{{sql = {toml_text(place.expression)}}}"


def _misnamed(column: Column, view: View, reading: Reading) -> str | None:
    """SQL in the place of a column that is called as the audit's, and is something else; None where there is none."""
    there = view.place(column.value)
    if there is None:
        return None
    if column is Column.MODEL_ID and reading.model.how == "qualified":
        return f"split_part({reading.version.expression}, ':', 1)"
    if column is Column.TRAINING_ID and there.seen.present and there.seen.share(Looks.TRAINING) < 0.5:
        return "NULL::text"
    if column in {Column.CREATED_AT, Column.UPDATED_AT, Column.COMPLETED_AT} and there.kind != "date":
        return "NULL::timestamptz"
    if column is Column.LORA_WEIGHTS_URL and there.kind != "text":
        return "NULL::text"
    return None


def _users(users: UsersTable | None) -> Iterator[Entry]:
    if users is None:
        return
    columns = {Column.ID: users.id}
    if users.name is not None:
        columns[Column.DISPLAY_NAME] = users.name
    if not _users_by_query(users):
        if users.email is not None:
            columns[Column.EMAIL] = users.email
        yield from _mapped("users", columns, users.view, None)
        return
    listed = [_selected(column, place.in_query("u")) for column, place in columns.items()]
    source = f"FROM {users.view.table.sql} AS u"
    if users.grouped and users.email is not None:
        address = users.email.in_query("u").with_form("max({})")
        query = (
            f"SELECT {listed[0]}, {_selected(Column.EMAIL, address)}\n{source}\nGROUP BY {users.id.in_query('u').raw}"
        )
        yield Entry(
            "database.queries", "users", multiline(query), "there is no table of users, but rows have addresses"
        )
        return
    if users.email is not None:
        listed.append(_selected(Column.EMAIL, users.email.in_query("a" if users.joined else "u")))
    if users.joined is not None:
        own, other = map(identifier, users.on)
        source += f"\nLEFT JOIN {users.joined.table.sql} AS a ON a.{other} = u.{own}"
    query = f"SELECT {', '.join(listed)}\n{source}"
    yield Entry("database.queries", "users", multiline(query), "their addresses are in another table")


def _selected(column: Column, place: Place) -> str:
    if place.is_column and place.column.name == column.value:
        return place.expression
    return f"{place.expression} AS {column.value}"


def _query(reading: Reading, columns: Mapping[Column, Place]) -> Iterator[Entry]:
    listed = [_selected(column, place) for column, place in columns.items()]
    selected = ",\n    ".join(listed)
    lines = [f"SELECT\n    {selected}", f"FROM {reading.view.table.sql} AS {alias(0)}"]
    for number, step in enumerate(reading.steps, 1):
        join, own = "JOIN" if step.always else "LEFT JOIN", f"{alias(number - 1)}.{identifier(step.column)}"
        other = f"{alias(number)}.{identifier(step.other)}"
        lines.append(f"{join} {step.view.table.sql} AS {alias(number)} ON {other} = {own}")
    conditions = [
        (each if each.place.of else each._replace(place=each.place.in_query(alias(0)))).sql for each in reading.filters
    ]
    if conditions:
        lines.append(f"WHERE {' AND '.join(conditions)}")
    yield Entry("database.queries", "user_models", multiline("\n".join(lines)), "what counts stands in several tables")


def multiline(text: str) -> str:
    """A text of several lines in TOML; on one where it has something that would not come through."""
    if not all(line.isprintable() for line in text.split("\n")):
        return toml_text(text)
    escaped = text.replace("\\", "\\\\").replace('"""', '\\"\\"\\"')
    if escaped.endswith('"'):
        escaped = escaped[:-1] + '\\"'
    return f'"""\n{escaped}"""'


def _is_settable(place: Place, *, by_query: bool) -> bool:
    if by_query and place.of != alias(0):
        return False
    return place.can_be_set and (place.is_column or json_path(_path(place)) is not None)


def _path(place: Place) -> str:
    """The place in JSON, without the name of its table."""
    return Place(place.column, place.seen, place.path).expression


def _repair(reading: Reading, columns: Mapping[Column, Place], *, by_query: bool) -> Iterator[Entry]:
    settable = [(Column(name), columns[Column(name)]) for name in SETTABLE_NAMES if Column(name) in columns]
    wanted = [(column, place) for column, place in settable if _is_settable(place, by_query=by_query)]
    if not by_query:
        wanted = [(column, place) for column, place in wanted if place.path]
    if by_query and not (reading.id and _is_nameable(reading.view)):
        return
    if by_query and reading.id is not None:
        yield Entry(
            "database.repair", "table", toml_text(named(reading.view.table.path)), "what `sync --apply` changes"
        )
        if _is_name(reading.id.column.name):
            yield Entry("database.repair", "key", toml_text(named((reading.id.column.name,))))
    if not by_query and Column.MODEL_ID not in columns and _misnamed(Column.MODEL_ID, reading.view, reading):
        own = Column.MODEL_ID.value
        yield Entry("database.repair.columns", own, toml_text(own), "read from the version, and written here")
    for column, place in wanted:
        if place.path:
            yield Entry("database.repair.columns", column.value, f"{{sql = {toml_text(_path(place))}}}")
        elif _is_name(place.column.name):
            yield Entry("database.repair.columns", column.value, toml_text(named((place.column.name,))))


def _perhaps(reading: Reading) -> str:
    """The columns that are equally good."""
    names = [_shown(each.place) for each in reading.other_persons if each.guessed][:4]
    return f"; it may be {' or '.join(names)}" if names else ""


def _left_open(reading: Reading, owner: str | None) -> Iterator[Entry]:
    for missing in reading.open:
        why = {
            "id": "the column that tells rows apart",
            "user_id": f"whose the model is{_perhaps(reading)}",
            "replicate_model_id": "the column with the model, as owner/name; or replicate_name and database.owner",
            "created_at": "a date by which the latest row is known",
        }[missing]
        where = "database.columns.user_models" if missing == "id" else "database.columns"
        yield Entry(where, missing, '"…"', f"to complete: {why}", left_open=True)
    if _has_bare_names(reading) and not owner:
        yield Entry(
            "database", "owner", '"…"', "to complete: the account on Replicate whose models these are", left_open=True
        )
    if reading.states is not None and reading.states.open:
        listed = ", ".join(map(toml_text, reading.states.open))
        yield Entry(
            "database", "in_progress", f"[{listed}]", "these words are not known: which of them mean", left_open=True
        )
