"""What `doctor` concludes from the database: server, tables, and why nobody shows up. Pure."""

import re

from audit.commands.doctor.checks import Check, CheckResult, CheckState, Group
from audit.model.ids import PART
from audit.model.tables import NULL, PLAIN, WHERE_WORDS_STAND, Column, Tables, counting_rows, shown_counts
from audit.model.text import backticked, escape_controls, shortened, toml_text
from audit.model.times import milliseconds
from audit.model.users import Population
from audit.postgres.server import AuditableUsers, Inspection, Server, TableShape

INDEX_WANTED_FROM = 1000
"""Rows. Below that, reading the whole table is as quick."""
SLOW_ROUND_TRIP = 0.5
"""Seconds."""
_REACHABLE = Check(Group.DATABASE, "database_reachable", "database")
_TLS = Check(Group.DATABASE, "database_tls", "encryption")
_ROLE = Check(Group.DATABASE, "database_role", "role")
_POOLER = Check(Group.DATABASE, "database_pooler", "pooler")
_CLOCK = Check(Group.DATABASE, "database_clock", "its clock")
_TABLES = Check(Group.DATABASE, "tables", "tables")
_COLUMNS = Check(Group.DATABASE, "optional_columns", "columns")
_INDEX = Check(Group.DATABASE, "user_id_index", "index")
_POPULATION = Check(Group.PEOPLE, "population", "users")
_STATUSES = Check(Group.PEOPLE, "training_status", "statuses")
_MODEL_IDS = Check(Group.PEOPLE, "model_ids", "model ids")
_TEST_ROWS = Check(Group.PEOPLE, "test_rows", "test rows")


def database_checks(inspection: Inspection, tables: Tables = PLAIN) -> list[CheckResult]:
    """Checks of the server and of the two tables, which are called as `tables` says."""
    server, error = inspection.server, inspection.error
    table_shape = inspection.tables
    if server is None:
        first = _REACHABLE.error(error) if error else _REACHABLE.skip("not checked: the setting is missing or wrong")
        why = "not checked: no connection to the database"
        rest = (_TLS, _ROLE, _POOLER, _CLOCK, _TABLES, _COLUMNS, _INDEX)
        return [first, *(check.skip(why) for check in rest)]
    clock = _CLOCK.clock(server.clock_ahead, "Set the wrong clock: this machine's or the server's.")
    results = [_reachable(server), _tls(server), _role(server, tables), _pooler(server), clock]
    if table_shape is None:
        why = "not checked: the tables are not as needed"
        return [*results, _TABLES.error(error), _COLUMNS.skip(why), _INDEX.skip(why)]
    there = "found, without a table of users" if tables.users.is_absent else "found"
    figure = f"{_both(tables)} {there}, with all required columns, {table_shape.rows:,} training rows"
    found = _TABLES.ok(figure, rows=table_shape.rows, is_view=table_shape.is_view)
    return [*results, found, _columns(table_shape, tables), _index(table_shape, tables)]


def user_checks(inspection: Inspection, tables: Tables = PLAIN, account: str | None = None) -> list[CheckResult]:
    """Checks of who would be audited. An error that came before the tables were read is in `database_checks`.

    `account` is the name of the token's account on Replicate.
    """
    users, error = inspection.users, inspection.error
    if users is None:
        first, *rest = _POPULATION, _STATUSES, _MODEL_IDS, _TEST_ROWS
        if error is None or inspection.tables is None:
            return [check.skip("not checked: see the database") for check in (first, *rest)]
        return [first.error(error), *(check.skip("not counted") for check in rest)]
    population = users.population
    return [
        _population(population, tables),
        _statuses(population, tables),
        _model_ids(users, tables, account),
        _test_rows(population),
    ]


def _both(tables: Tables) -> str:
    models = tables.user_models.brief
    both = models if tables.users.is_absent else f"{tables.users.brief} and {models}"
    return escape_controls(both)


def _reachable(server: Server) -> CheckResult:
    slow = server.latency > SLOW_ROUND_TRIP
    answers = f"answers in {milliseconds(server.latency)}, PostgreSQL {escape_controls(server.version)}"
    answers += "" if server.encoding == "UTF8" else f", encoding {escape_controls(server.encoding)}"
    return _REACHABLE.warn_if(
        "Run the audit closer to the database: every 1,000 users need a round trip." if slow else "",
        f"{escape_controls(server.label)} {answers}",
        label=server.label,
        version=server.version,
        encoding=server.encoding,
        latency_ms=round(server.latency * 1000, 3),
    )


def _tls(server: Server) -> CheckResult:
    step = "Add sslmode=verify-full (at least sslmode=require) to the URL: the password and e-mail addresses are sent."
    return _TLS.warn_if(
        step if server.tls is None and not server.local else "",
        server.tls or ("none needed: the server is on this machine" if server.local else "none"),
        tls=server.tls,
        local=server.local,
    )


def _role(server: Server, tables: Tables) -> CheckResult:
    name = escape_controls(server.role)
    figure, step = f"{name} can only read", ""
    if server.read_only:
        figure = f"{name}, in read-only sessions"
    elif server.superuser or server.writable:
        what = "is a superuser" if server.superuser else f"may change {escape_controls(' and '.join(server.writable))}"
        figure = f"{name} {what}; the audit itself never writes"
        step = f"Use a role that may only SELECT from {_both(tables)}."
    return _ROLE.warn_if(
        step,
        figure,
        role=server.role,
        superuser=server.superuser,
        writable=list(server.writable),
        read_only=server.read_only,
    )


def _pooler(server: Server) -> CheckResult:
    figure = "yes; the audit works with it" if server.pooled else "none found"
    return _POOLER.ok(figure, pooled=server.pooled)


def _columns(table_shape: TableShape, tables: Tables) -> CheckResult:
    lost = {column: column.lost for column in table_shape.missing}
    if not lost:
        return _COLUMNS.ok("all optional columns", missing=[], lost={})
    return _COLUMNS.warn(
        "without " + "; ".join(f"{column}: {what}" for column, what in lost.items()),
        "If the product has no such data, do nothing. Otherwise write the columns' names below "
        f"[database.columns] in the config file, or let {_adds(tables)}.",
        missing=list(lost),
        lost=lost,
    )


def _adds(tables: Tables) -> str:
    models = tables.user_models
    if models.query is not None:
        return f"the query {models.name} return them"
    return f"a view add them to {escape_controls(models.sql)}"


def _index(table_shape: TableShape, tables: Tables) -> CheckResult:
    step = ""
    models = tables.user_models
    user_id = models.line(Column.USER_ID)
    column = escape_controls(f"{models.sql}.{user_id}" if models.expression(Column.USER_ID) is None else user_id)
    if models.query is not None:
        figure = f"not known: {models.name} is a query"
    elif table_shape.is_view:
        figure = f"not known: {escape_controls(models.sql)} is a view"
    elif table_shape.index:
        figure = f"{escape_controls(table_shape.index)} on {column}"
    elif table_shape.rows < INDEX_WANTED_FROM:
        figure = f"none on {column}; not needed for {table_shape.rows:,} rows"
    else:
        figure = f"none on {column}, for {table_shape.rows:,} rows"
        key = user_id if models.expression(Column.USER_ID) is None else f"({user_id})"
        step = escape_controls(f"CREATE INDEX CONCURRENTLY ON {models.sql} ({key});")
    return _INDEX.warn_if(step, figure, index=table_shape.index, is_view=table_shape.is_view)


def _population(population: Population, tables: Tables) -> CheckResult:
    counting, users = population.users_with_completed_model, population.users
    figure, step = f"{counting:,} of {users:,} users have a completed model", ""
    if users == 0 and not tables.users.is_absent:
        figure = f"{escape_controls(tables.users.brief)} is empty"
        step = "Check that the URL is the product's database, not an empty copy."
    elif not population.training_status:
        figure = f"{users:,} users, and {escape_controls(tables.user_models.brief)} is empty"
        step = "Check that the URL is the product's database, not an empty copy."
    elif counting == 0:
        figure = f"none of {users:,} users has a completed model, so an audit would check nobody"
        step = escape_controls(f"Only rows {counting_rows(tables)} count.")
    orphans = population.models_without_user
    if orphans:
        figure += f"; {orphans:,} completed rows have no user in {escape_controls(tables.users.sql)}"
    return _POPULATION.result(
        CheckState.OK if counting else CheckState.FAIL,
        figure,
        step,
        users=users,
        users_with_completed_model=counting,
        users_with_several_completed_models=population.users_with_several_completed_models,
        models_without_user=orphans,
    )


def _statuses(population: Population, tables: Tables) -> CheckResult:
    counts = population.training_status
    near = {name: count for name, count in counts.items() if tables.is_near_miss(name)}
    unknown = tables.unknown(counts)
    listed = ", ".join(f"{count:,} {name}" for name, count in list(counts.items())[:8]) or "no rows"
    steps = []
    if near:
        words = ", ".join(near)
        steps.append(
            f"Fix the rows with {words} ({sum(near.values()):,} in total): only {backticked(tables.completed)} counts, "
            "exactly as written. If they mean the same, add them to the config file: [database] completed."
        )
    if unknown:
        steps.append(f"Add these words to the config file, {WHERE_WORDS_STAND}: {shown_counts(unknown)}.")
    return _STATUSES.warn_if(
        " ".join(shortened(escape_controls(step), 300) for step in steps),
        shortened(escape_controls(listed), 300),
        training_status=counts,
        near_misses=near,
        unknown=[name for name in counts if name in {*unknown, NULL}],
    )


def _model_ids(users: AuditableUsers, tables: Tables, account: str | None) -> CheckResult:
    faults = {"null": users.null_model_ids, "blank": users.blank_model_ids, "malformed": users.malformed_model_ids}
    if not any(faults.values()):
        return _MODEL_IDS.ok("every completed row has a model id", **faults)
    words = {"malformed": "not owner/name"}
    listed = ", ".join(f"{count:,} {words.get(fault, fault)}" for fault, count in faults.items() if count)
    example = f", such as {escape_controls(users.malformed_example)}" if users.malformed_example else ""
    step = "These users cannot be checked. The report lists each: sync-audit run"
    if tables.owner is None and re.fullmatch(PART, users.malformed_example or ""):
        owner = toml_text(account or "...")
        step = f"If these are model names of one account, write in the config file: [database] owner = {owner}"
    return _MODEL_IDS.warn(f"of completed rows: {listed}{example}", step, **faults)


def _test_rows(population: Population) -> CheckResult:
    count = population.test_models_left_out
    figure = f"{count:,} completed rows with is_test are left out (--include-tests)" if count else "none"
    return _TEST_ROWS.ok(figure, test_models_left_out=count)
