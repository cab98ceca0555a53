"""Hints filled in: the table's steps with a user's own values, and answers made from the counts of a run."""

from collections.abc import Callable, Mapping
from functools import cache

import msgspec

from audit.hints.own_names import column_item, from_item, names, steps_of
from audit.hints.table import HIDDEN, HINTS, ONE_LINE, PER_MODEL, Hint
from audit.hints.trainings import TrainingLine, shown_trainings
from audit.model.codes import NoLine, Note, Reason, Status
from audit.model.findings import AuditedUser, Summary
from audit.model.ids import askable_model
from audit.model.lines import NOUNS
from audit.model.sql import literal
from audit.model.sql import one_line as sql_on_one_line
from audit.model.tables import DATES, NULL, PLAIN, WHERE_WORDS_STAND, Column, Tables, counting_rows, shown_counts
from audit.model.text import backticked, escape_controls, shortened, toml_text
from audit.model.times import to_minute
from audit.model.users import ModelRecord, Population, email_or_id

__all__ = [
    "HINTS",
    "NO_LINE_TITLES",
    "Hint",
    "completed_line",
    "filled",
    "model_url",
    "one_line",
    "population_answers",
    "rows_sql",
    "rows_sql_around",
]


def model_url(record: ModelRecord, named: str | None = None) -> str | None:
    """The model's page on replicate.com; None where the model id has not the form of one.

    `named` is the model where a training stands in its place.
    """
    model = askable_model(named or record.replicate_model_id)
    return f"https://replicate.com/{model}" if model else None


def rows_sql(user_id: str, tables: Tables = PLAIN) -> str:
    """The query for all training rows of a user, newest first: one line, safe to paste into psql."""
    return literal(user_id).join(_around_literal(tables))


def rows_sql_around(tables: Tables) -> tuple[str, str]:
    """The same query in front of the user's id, and behind it."""
    return _around_literal(tables)


_ALWAYS = ("id", "training_status", "replicate_model_id", "replicate_version_id", *DATES)
_SHOWN = ("id", "training_status", "replicate_owner", "replicate_name", "replicate_model_id", "replicate_version_id")


@cache
def _around_literal(tables: Tables) -> tuple[str, str]:
    models = tables.user_models
    is_known = models.there is not None  # older versions knew of no owner and name
    there = [each for each in (*_SHOWN, *DATES) if models.has(each) and (is_known or each in _ALWAYS)]
    own = {name: column_item(models, name) for name in (*there, "user_id")}
    dates: list[str] = [each for each in ("updated_at", "completed_at") if each in there]
    dates = dates or [each for each in DATES if each in there]
    by = [name if models.expression(name) else own[name] for name in (*dates, "id")]
    order = ", ".join([*(f"{each} DESC NULLS LAST" for each in by[:-1]), f"{by[-1]} DESC"])
    user_id = own["user_id"].removesuffix(" AS user_id")
    where = "" if tables.where is None else f"({sql_on_one_line(tables.where)}) AND "
    # Text for a person: names and the id are quoted, and nothing here runs it.
    beginning = f"SELECT {', '.join(own[name] for name in there)} FROM {from_item(tables)} WHERE {where}{user_id} = "  # noqa: S608
    return escape_controls(beginning), escape_controls(f" ORDER BY {order};")


def filled(code: Reason | Note, user: AuditedUser, tables: Tables = PLAIN) -> Hint:
    """The hint for `code` with this user's values in its steps, control characters spelled out."""
    hint = HINTS[code]
    values = _Values(user, tables)
    return Hint(hint.title, hint.meaning, tuple(step.format_map(values) for step in steps_of(code, tables)))


def one_line(user: AuditedUser, tables: Tables = PLAIN) -> str:
    """What to do about this user, in one line: the `hint` of JSON and CSV."""
    line = ONE_LINE[user.finding.reason]
    return line.format_map(_Values(user, tables)) if "{" in line else line  # most lines are plain, and values cost time


class _Values(dict[str, str]):
    """The values that steps may name, each made when it is first asked for: most steps name one of the many."""

    def __init__(self, user: AuditedUser, tables: Tables = PLAIN) -> None:
        super().__init__()
        self._user, self._tables = user, tables

    def __missing__(self, name: str) -> str:
        if name == "sql":
            value = rows_sql(self._user.record.user_id, self._tables)
        else:
            made = _VALUES.get(name)
            value = made(self._user) if made else names(self._tables)[name]
        return self.setdefault(name, shortened(escape_controls(value), 600))


_VALUES: Mapping[str, Callable[[AuditedUser], str]] = {
    "who": lambda user: email_or_id(user.record),
    "model": lambda user: user.record.replicate_model_id or "(none)",
    "recorded": lambda user: user.record.replicate_version_id or "(none)",
    "latest": lambda user: user.finding.latest_version or "(not known)",
    "behind": lambda user: _behind(user.finding.versions_behind),
    "page": lambda user: model_url(user.record, user.finding.model) or "(no page: the model id is not owner/name)",
    "detail": lambda user: user.finding.detail or "(not known)",
    "trigger": lambda user: user.record.trigger_word or "(none recorded)",
    "scale": lambda user: user.record.lora_scale or "(none recorded)",
    "weights": lambda user: user.record.lora_weights_url or "(none recorded)",
    "others": lambda user: _others(user.record),
    "failure": lambda user: user.record.later_failure_reason or "(no reason recorded)",
    "made_latest": lambda user: _of(shown_trainings(user).latest, "id"),
    "real_weights": lambda user: _of(shown_trainings(user).latest, "weights"),
    "current_weights": lambda user: _of(shown_trainings(user).current, "weights"),
    "row": lambda user: user.record.model_row_id,
    "row_status": lambda user: user.record.training_status or "(null)",
    "began": lambda user: to_minute(user.record.began_at) or "(not known)",
    "training": lambda user: user.record.training_id or "(none recorded)",
    "hidden": lambda user: _hidden(user.record.other_models),
    "trained_trigger": lambda user: _of(shown_trainings(user).current, "trigger_word"),
}


def _of(training: TrainingLine | None, field: str) -> str:
    return (getattr(training, field) if training else None) or "(not known)"


def _behind(count: int | None) -> str:
    return "(not known)" if count is None else f"{count} version{'s' * (count != 1)}"


def _others(record: ModelRecord) -> str:
    more = record.shared_with_count - len(record.shared_with)
    return ", ".join(record.shared_with) + (f" and {more:,} more" if more > 0 else "")


NO_LINE_TITLES: Mapping[NoLine, str] = {
    NoLine.REALLY_FAILED: "Users whose only training failed, with no version on Replicate",
    NoLine.STILL_RUNNING: "Users whose only training is still running on Replicate",
    NoLine.NOTHING_KNOWN: "Users whose only training Replicate can't tell anything about",
}
"""Who is in no line, for a person."""


def _hidden(other_models: int | None) -> str:
    if other_models is None:
        return HIDDEN
    if not other_models:
        return "All of them are for this model."
    models = "1 other model is" if other_models == 1 else f"{other_models:,} other models are"
    return f"{models} among them and not checked. If the product uses them all: {PER_MODEL}."


def population_answers(
    population: Population,
    summary: Summary,
    tables: Tables = PLAIN,
    without_line: Mapping[NoLine, int] | None = None,
    part: str = "",
) -> tuple[Hint, ...]:
    """Why nobody, one or so many are affected, then who is not in the report, as far as counts can tell.

    `part` is how many were checked where the run was narrowed: "Trial run: 20 of 800 users checked".
    """
    if summary.total:
        first = _affected(summary, part, NOUNS[tables.latest_per])
    elif population.users_with_completed_model:
        first = Hint(
            "Nobody was audited",
            "No user matches the run's filters.",
            ("Check --user. A shard may be empty.",),
        )
    else:
        first = _nobody(population, tables)
    without = without_line or {}
    nobody = []
    if summary.total and not population.users_with_completed_model:
        title = "Why only unfinished trainings show up"
        nobody = [msgspec.structs.replace(_nobody(population, tables), title=title)]
    further = _further(population, tables) if summary.total else []
    return (first, *nobody, *_unknown(population, tables), *further, *_left_out(population, tables, without))


_FEW = 5


def completed_line(population: Population, tables: Tables = PLAIN) -> str | None:
    """The line of `[database]` in the config file that would let rows count where none does.

    It has the words that a person would take for completed, else the most frequent one without a meaning. None where no
    word suggests itself.
    """
    counts = population.training_status
    near = [word for word in counts if word != NULL and tables.is_near_miss(word)][:_FEW]
    there = [word for word in counts if word in tables.completed]
    if not near and not there:
        near = list(tables.unknown(counts))[:1]
    return f"completed = [{', '.join(map(toml_text, there + near))}]" if near else None


def _nobody(population: Population, tables: Tables) -> Hint:
    models = tables.user_models
    no_rows = "If there are no rows at all: check that DATABASE_URL is the product's database, not an empty copy."
    meaning = f"The database has {population.users:,} users, but none has a training row {counting_rows(tables)}."
    if not models.has(Column.TRAINING_STATUS):
        steps = (f"Rows in total: {sum(population.training_status.values()):,}, none of them with a version.", no_rows)
        return Hint("Why nobody shows up", escape_controls(meaning), steps)
    status = escape_controls(column_item(models, Column.TRAINING_STATUS))
    near = [f"{count:,} {word}" for word, count in population.training_status.items()]
    line = completed_line(population, tables)
    step = f"If these rows are completed, add this to the config file, below [database]: {line}" if line else ""
    return Hint(
        "Why nobody shows up",
        escape_controls(meaning),
        (
            f"Rows by {status}: " + (escape_controls(", ".join(near)) or "there are no rows at all") + ".",
            *([step] if step else []),
            f"Only {backticked(tables.completed)} counts, exactly as written: fix rows that say it in another way.",
            no_rows,
        ),
    )


def _affected(summary: Summary, part: str, noun: str) -> Hint:
    need, total = summary.statuses[Status.NEEDS_SYNC], summary.total
    unknown = summary.statuses[Status.ERROR] + summary.statuses[Status.NOT_CHECKED]
    if need == 0:
        title = "Why none of the checked users needs a sync" if part else "Why nobody needs a sync"
        why = "Every stored version that could be compared is the latest one."
    elif need == 1:
        title = f"Why only one {noun} is affected"
        why = (
            f"Only users who trained again after their version was stored can get out of date; here that is one {noun}."
        )
    elif need == total:
        title = "Why all checked users are affected" if part else "Why everybody is affected"
        why = "If all are out of date, the code that stores the versions is broken: look there first."
    else:
        title = f"Why {need:,} of {total:,} are affected"
        why = (
            "These users trained again after their version was stored, or their training was not stored, or their "
            "data is damaged."
        )
    steps = (
        [f"{unknown:,} {noun}{'s' * (unknown != 1)} could not be checked, so the real number may be higher."]
        if unknown
        else []
    )
    if part:
        steps.append(f"{part}. The others were not checked.")
    return Hint(title, why, tuple(steps))


def _unknown(population: Population, tables: Tables) -> list[Hint]:
    if not (unknown := tables.unknown(population.training_status)):
        return []
    status = escape_controls(column_item(tables.user_models, Column.TRAINING_STATUS))
    return [
        Hint(
            "Unknown status words",
            f"{status} has words that are in no list: {shown_counts(unknown)}. Such a training does not count as "
            "completed, in progress or failed.",
            (f"Add each word to the config file: {WHERE_WORDS_STAND}.",),
        )
    ]


def _further(population: Population, tables: Tables) -> list[Hint]:
    several = population.users_with_several_models
    if not several or tables.latest_per != "user":
        return []
    have = "1 user has" if several == 1 else f"{several:,} users have"
    return [
        Hint(
            "Other models that were not checked",
            f"{have} completed rows of more than one model, but only the latest row of each user is checked.",
            (f"If the product uses them all: {PER_MODEL}.",),
        )
    ]


def _left_out(population: Population, tables: Tables, without_line: Mapping[NoLine, int]) -> list[Hint]:
    unfinished = population.users_with_unfinished_only
    facts = (
        (
            "Users without a completed model" + (" and without a training to look at" if unfinished else ""),
            population.users - population.users_with_completed_model - unfinished,
        ),
        *((NO_LINE_TITLES[why], without_line.get(why, 0)) for why in NoLine),
        (
            "Completed rows hidden by a newer one of the same user"
            + (" and model" if tables.latest_per == "model" else ""),
            population.completed_models_hidden,
        ),
        ("Completed test rows left out (use --include-tests to check them)", population.test_models_left_out),
        (
            f"Completed rows whose user is not in the table {escape_controls(tables.users.sql)}",
            population.models_without_user,
        ),
    )
    steps = tuple(f"{what}: {count:,}." for what, count in facts if count)
    return [Hint("Who is not in this report", "Rows of the database that are not shown here.", steps)] if steps else []
