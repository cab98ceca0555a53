"""What `init` says about what it has found: lines for a person. Pure; no row's text but words of states is in it."""

from collections.abc import Iterator
from typing import NamedTuple

from audit.commands.init.asking import Whose
from audit.commands.init.check import Coverage
from audit.commands.init.draft import Draft
from audit.commands.init.names import MODELS, PERSONS, has
from audit.commands.init.places import Place, Survey, View
from audit.commands.init.recognise import Reading, Recognised, several_models
from audit.commands.init.values import Looks
from audit.model.tables import COLUMNS, Column, TrainingState, shown_counts
from audit.model.text import escape_controls, shortened

_SHOWN = 60


class Match(NamedTuple):
    """One line: what the audit calls it, what the database does, and why."""

    ours: str
    theirs: str
    why: str


def _name(text: str) -> str:
    return shortened(escape_controls(text), _SHOWN)


def matches(draft: Draft, reading: Reading, owner: str | None) -> Iterator[Match]:
    """What was matched to what."""
    yield from _tables(draft, reading)
    for column in COLUMNS["user_models"]:
        if (place := draft.columns.get(column)) is not None:
            yield Match(column.value, _place(place, reading), _why(column, place, reading, owner))
    if reading.model.how == "qualified":
        yield Match("replicate_model_id", _place(reading.version, reading), "the part of the version before the colon")
    for each in reading.filters:
        yield Match("where", _name(each.sql), f"leaves out {each.why}")


def _tables(draft: Draft, reading: Reading) -> Iterator[Match]:
    users = draft.users
    if users is None:
        closed = reading.person.closed if reading.person else ""
        why = f"{_name(closed)} can't be read by this role" if closed else "no table has their ids"
        yield Match("users", "none: ids are shown", why)
    else:
        addresses = users.email.name if users.email else None
        joined = f", addresses from {_name(users.joined.table.sql)}" if users.joined else ""
        why = "a foreign key leads there" if reading.person and reading.person.declared else "it has the ids"
        if users.view is reading.view:
            why = (
                "no table has their ids, but rows have addresses" if users.grouped else "the model stands with the user"
            )
        shown = f"e-mail in {_name(addresses)}" if addresses and not joined else "" if joined else "no e-mail in it"
        yield Match("users", _name(users.view.table.sql) + joined, ", ".join(filter(None, (why, shown))))
    through = "".join(f" with {_name(step.view.table.sql)}" for step in reading.steps)
    yield Match("user_models", _name(reading.view.table.sql) + through, "versions are recorded there")


def _place(place: Place, reading: Reading) -> str:
    tables = [reading.view.table, *(step.view.table for step in reading.steps)]
    number = int(place.of[1:] or 0) if place.of else 0
    table = f"{tables[number].sql}." if number else ""
    return _name(f"{table}{place.name}")


def _why(column: Column, place: Place, reading: Reading, owner: str | None) -> str:
    match column:
        case Column.VERSION_ID:
            return _why_version(place)
        case Column.TRAINING_STATUS:
            return "; ".join(_words(reading)) or "by its name"
        case Column.USER_ID:
            person = reading.person
            own = person is not None and person.users is reading.view
            linked = bool(person and person.declared and person.users)
            if person is not None and person.guessed:
                return "a guess, as nothing else is left that could say whose a row is"
            return "the row is the user's own" if own else "a foreign key" if linked else "by its name and values"
        case Column.NAME if reading.model.how == "name":
            return "names without an owner" + (f"; the owner is {_name(owner)}" if owner else "")
        case Column.MODEL_ID if reading.model.how == "training":
            return "ids of trainings: Replicate tells the model of each"
    said = {
        Column.MODEL_ID: "owner/name",
        Column.LORA_WEIGHTS_URL: "URLs of weights",
        Column.TRAINING_ID: "26 letters and digits, as Replicate's ids are",
    }
    return (
        said.get(column, "a date" if place.kind == "date" else "by its name") if place.seen.present else "by its name"
    )


def _why_version(place: Place) -> str:
    seen = place.seen
    forms = {
        Looks.HASH: "64 hexadecimal digits",
        Looks.QUALIFIED: "owner/name and 64 hexadecimal digits",
        Looks.REFERENCE: "references to a version",
    }
    counts = {words: seen.count(kind) for kind, words in forms.items()}
    listed = ", ".join(f"{words} in {count:,}" for words, count in counts.items() if count)
    if not listed:
        return "by its name: no version is in it yet"
    return f"{listed} of {len(seen.texts):,} rows that were looked at"


def _words(reading: Reading) -> Iterator[str]:
    states = reading.states
    if states is None:
        return
    for state, words in (
        (TrainingState.COMPLETED, states.completed),
        (TrainingState.IN_PROGRESS, states.in_progress),
        (TrainingState.FAILED, states.failed),
    ):
        if words:
            yield f"{state.replace('_', ' ')}: {', '.join(map(_name, words[:6]))}"
    if states.open:
        yield f"not known: {', '.join(map(_name, states.open[:6]))}"


def lost(draft: Draft) -> Iterator[str]:
    """What is not there, and what an audit can't do without it."""
    there = {*draft.columns}
    if draft.users is not None:
        there |= {Column.EMAIL} if draft.users.email else set()
        there |= {Column.DISPLAY_NAME} if draft.users.name else set()
    dates = {Column.CREATED_AT, Column.UPDATED_AT, Column.COMPLETED_AT}
    for column in Column:
        if (
            column.lost
            and column not in there
            and not (column in dates and there & dates and column.lost.startswith("another"))
        ):
            yield f"{column.value}: {column.lost}"


def remarks(draft: Draft, found: Recognised, survey: Survey, whose: Whose, covered: Coverage) -> Iterator[str]:
    """What else a person should know, a paragraph each."""
    reading = found.reading
    if reading is None:
        return
    if whose.account is None:
        yield f"Replicate was not asked: {escape_controls(whose.why_not)}."
    for rival in found.rivals:
        theirs = f"{_name(rival.view.table.sql)}.{_name(rival.version.name)}"
        yield f"{theirs} looks nearly as much like the versions that count; {_name(reading.view.table.sql)} was taken."
    several, of = several_models(reading)
    if several and found.reading and not draft_has(draft, "latest_per"):
        yield (
            f"{several:,} of {of:,} users in the sample have several models, and the latest of each user counts. Where "
            'all are in use: sync-audit init --force --latest-per model, or latest_per = "model" in the file.'
        )
    if reading.person and reading.person.closed:
        yield f"With the right to read {_name(reading.person.closed)}, reports would name users by more than their ids."
    if covered.unknown:
        yield f"Words of states that mean nothing to the audit: {shown_counts(covered.unknown)}."
    if draft.not_repaired:
        columns = ", ".join(column.value for column in draft.not_repaired)
        yield f"sync can plan, and not write: {columns} is made by an expression or in another table."
    yield from unseen(survey)


def draft_has(draft: Draft, key: str) -> bool:
    """Whether the file says `key`."""
    return any(entry.key == key and not entry.left_open for entry in draft.entries)


def unseen(survey: Survey) -> Iterator[str]:
    """What was not looked at."""
    if survey.failed:
        names = list(survey.failed)
        listed = "; ".join(f"{_name(name)} ({_name(survey.failed[name])})" for name in names[:3])
        more = f"; and {len(names) - 3:,} more" if len(names) > 3 else ""
        yield f"Could not be looked into: {listed}{more}."
    if survey.unseen:
        total = len(survey.catalog.tables) + survey.catalog.left_out
        yield (
            f"{survey.unseen:,} of {total:,} tables were not looked into, as neither names nor "
            "first rows suggest fine-tunes."
        )
    likely = [name for name in survey.catalog.closed if has(name, *MODELS, *PERSONS)]
    if likely:
        listed = ", ".join(map(_name, likely[:3])) + (" and others" if len(likely) > 3 else "")
        yield f"This role may not read {listed}."


def nothing(found: Recognised, survey: Survey) -> tuple[str, str]:
    """Why there is nothing to audit, and what to do."""
    view: View | None = found.latest_only
    count = len(survey.catalog.tables)
    looked = sum(not view.is_empty for view in survey.views.values())
    by_hand = "say so in [database.columns] or [database.queries] of sync-audit.toml."
    if view is not None:
        why = (
            f"Nothing to audit: {_name(view.table.sql)} stores models or trainings, and no version of any. The product "
            "always runs the latest version, so nobody can fall behind."
        )
        return why, f"Where versions are kept elsewhere, {by_hand}"
    if not count:
        return "There is no table that this role may read.", _grant(survey)
    if not looked:
        why = f"Of {count:,} tables that this role may read, none has rows, and no name tells which keeps fine-tunes."
        return why, "Train one first, or write sync-audit.toml by hand."
    why = (
        f"No version of a model on Replicate was found in {looked:,} of {count:,} tables: neither 64 hexadecimal "
        "digits nor owner/name:version."
    )
    step = "Check that the URL leads to the product's database. Where versions are kept in another form, "
    return why, step + by_hand


def _grant(survey: Survey) -> str:
    likely = [name for name in survey.catalog.closed if has(name, *MODELS, *PERSONS)] or list(survey.catalog.closed)
    if not likely:
        return "Check the name of the database in the URL."
    listed = ", ".join(likely[:4])
    return f"Have an owner run: GRANT SELECT ON {listed} TO {survey.catalog.role}; and GRANT USAGE on their schemas."
