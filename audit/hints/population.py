"""Hints for the whole population: why only one user, why nobody."""

from audit.hints.table import Hint
from audit.model.codes import Status
from audit.model.findings import Summary
from audit.model.tables import PLAIN, Tables
from audit.model.text import backticked, escape_controls
from audit.model.users import Population


def population_answers(population: Population, summary: Summary, tables: Tables = PLAIN) -> tuple[Hint, ...]:
    """Answers to "why does nobody show up?" and "why is only one affected?" from the counts, where they arise."""
    answers = []
    if population.users_with_completed_model == 0:
        answers.append(_nobody(population, tables))
    elif summary.total == 0:
        answers.append(
            Hint(
                "Nobody was audited",
                "No user matches what the run was narrowed to.",
                ("Check --user. A shard may well be empty.",),
            )
        )
    else:
        answers.append(_affected(summary))
    answers.extend(_left_out(population, tables))
    return tuple(answers)


def _nobody(population: Population, tables: Tables) -> Hint:
    status, test = (escape_controls(tables.user_models.column(name)) for name in ("training_status", "is_test"))
    near = [f"{count:,} {status}" for status, count in population.training_status.items()]
    return Hint(
        "Why nobody shows up",
        f"The database has {population.users:,} users, and none has a training row with "
        f"{status} = {escape_controls(tables.completed_shown)} (exactly that word, and {test} not true).",
        (
            f"Rows by {status}: " + (escape_controls(", ".join(near)) or "there are no rows at all") + ".",
            f"Only {backticked(tables.completed)} counts, exactly so: correct rows that say the same in other words.",
            "No rows at all: check that DATABASE_URL names the product's own database, not an empty copy.",
        ),
    )


def _affected(summary: Summary) -> Hint:
    need, total = summary.statuses[Status.NEEDS_SYNC], summary.total
    unknown = summary.statuses[Status.ERROR] + summary.statuses[Status.NOT_CHECKED]
    if need == 0:
        title, why = "Why nobody needs a sync", "Every recorded version that could be compared is the newest one."
    elif need == 1:
        title, why = (
            "Why only one user is affected",
            ("Only users who trained again after their version was recorded can fall behind; that is one user here."),
        )
    elif need == total:
        title, why = (
            "Why everybody is affected",
            ("When all fall behind at once, recording itself is broken: look at what stores the versions."),
        )
    else:
        title, why = (
            f"Why {need:,} of {total:,} are affected",
            ("Only users who trained again after their version was recorded, or whose record is damaged, fall behind."),
        )
    steps = (f"{unknown:,} users could not be judged, so the true number may be higher.",) if unknown else ()
    return Hint(title, why, steps)


def _left_out(population: Population, tables: Tables) -> list[Hint]:
    facts = (
        ("Users without a completed model", population.users - population.users_with_completed_model),
        ("Completed rows hidden by a newer one of the same user", population.completed_models_hidden),
        ("Completed test rows left out (--include-tests takes them in)", population.test_models_left_out),
        (
            f"Completed rows whose user is not in the table {escape_controls(tables.users.sql)}",
            population.models_without_user,
        ),
    )
    steps = tuple(f"{what}: {count:,}." for what, count in facts if count)
    return [Hint("Who is not in this report", "Rows of the database that do not show up here.", steps)] if steps else []
