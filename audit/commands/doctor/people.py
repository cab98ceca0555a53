"""Who is in the database, judged for `doctor`: why does nobody show up? Pure."""

from audit.commands.doctor.checks import Group, Result, State, failed, skipped
from audit.errors import AuditError
from audit.findings.rows import OTHERS, is_near_miss
from audit.model.tables import PLAIN, Tables
from audit.model.text import backticked, escape_controls, shortened
from audit.model.users import Population
from audit.postgres.server import AuditableUsers

_PEOPLE_CHECKS = (
    ("population", "users"),
    ("training_status", "statuses"),
    ("model_ids", "model ids"),
    ("test_rows", "test rows"),
)


def people(found: AuditableUsers | None, error: AuditError | None, tables: Tables = PLAIN) -> list[Result]:
    """Who would be audited; `error` is what kept us from counting them."""
    if found is None:
        if error is None:
            return skipped(Group.PEOPLE, _PEOPLE_CHECKS, "not looked at: see the database")
        first, *rest = _PEOPLE_CHECKS
        return [failed(Group.PEOPLE, first, error), *skipped(Group.PEOPLE, rest, "not counted")]
    return [
        _population(found.population, tables),
        _statuses(found.population, tables.completed),
        _model_ids(found),
        _tests(found.population),
    ]


def _population(population: Population, tables: Tables) -> Result:
    counting, users = population.users_with_completed_model, population.users
    figure, step = f"{counting:,} of {users:,} users have a completed model", ""
    if users == 0:
        figure = f"the table {escape_controls(tables.users.sql)} is empty"
        step = "Check that the URL names the product's own database, not an empty copy."
    elif not population.training_status:
        figure = f"{users:,} users, and {escape_controls(tables.user_models.sql)} is empty"
        step = "Check that the URL names the product's own database, not an empty copy."
    elif counting == 0:
        figure = f"none of {users:,} users has a completed model: an audit finds nobody"
        status, test = (tables.user_models.column(name) for name in ("training_status", "is_test"))
        words = tables.completed_shown
        step = escape_controls(f"Only rows with {status} = {words}, exactly that word, and {test} not true count.")
    orphans = population.models_without_user
    if orphans:
        figure += f"; {orphans:,} completed rows belong to nobody in {escape_controls(tables.users.sql)}"
    return Result(
        group=Group.PEOPLE,
        name="population",
        title="users",
        state=State.OK if counting else State.FAIL,
        figure=figure,
        next_step=step,
        data={
            "users": users,
            "users_with_completed_model": counting,
            "users_with_several_completed_models": population.users_with_several_completed_models,
            "models_without_user": orphans,
        },
    )


def _statuses(population: Population, completed: tuple[str, ...]) -> Result:
    counts = population.training_status
    near = {name: count for name, count in counts.items() if is_near_miss(name, completed)}
    strange = [name for name in counts if name not in {*OTHERS, *completed, *near}]
    listed = ", ".join(f"{count:,} {name}" for name, count in list(counts.items())[:8]) or "no rows"
    step = ""
    if near:
        words = ", ".join(near)
        step = (
            f"Correct the rows that say {words} ({sum(near.values()):,} in all): only {backticked(completed)}, exactly "
            "so, counts. Or, where they do mean that, say so in the config file: [database] completed."
        )
    return Result(
        group=Group.PEOPLE,
        name="training_status",
        title="statuses",
        state=State.WARN if step else State.OK,
        figure=shortened(escape_controls(listed), 300),
        next_step=shortened(escape_controls(step), 300),
        data={"training_status": counts, "near_misses": near, "unknown": strange},
    )


def _model_ids(found: AuditableUsers) -> Result:
    faults = (
        (found.null_model_ids, "null"),
        (found.blank_model_ids, "blank"),
        (found.malformed_model_ids, "not owner/name"),
    )
    bad = sum(count for count, _ in faults)
    listed = ", ".join(f"{count:,} {what}" for count, what in faults if count)
    example = f", such as {escape_controls(found.malformed_example)}" if found.malformed_example else ""
    return Result(
        group=Group.PEOPLE,
        name="model_ids",
        title="model ids",
        state=State.WARN if bad else State.OK,
        figure=f"of completed rows: {listed}{example}" if bad else "every completed row has owner/name",
        next_step="These users cannot be checked and end up as errors; a report names each: sync-audit run"
        if bad
        else "",
        data={"null": found.null_model_ids, "blank": found.blank_model_ids, "malformed": found.malformed_model_ids},
    )


def _tests(population: Population) -> Result:
    count = population.test_models_left_out
    figure = f"{count:,} completed rows with is_test are left out (--include-tests)" if count else "none"
    return Result(
        group=Group.PEOPLE,
        name="test_rows",
        title="test rows",
        state=State.OK,
        figure=figure,
        data={"test_models_left_out": count},
    )
