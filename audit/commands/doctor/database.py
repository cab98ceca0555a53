"""Server and tables, judged for `doctor`. Pure."""

from audit.commands.doctor.checks import Group, Result, State, clock_result, failed, skipped
from audit.errors import AuditError
from audit.model.tables import PLAIN, Tables
from audit.model.text import escape_controls
from audit.model.times import milliseconds
from audit.postgres.server import Server, TableShape

INDEX_WANTED_FROM = 1000
"""Rows. Below that, reading the whole table is as quick."""
SLOW_ROUND_TRIP = 0.5
"""Seconds."""
_REACHABLE = ("database_reachable", "database")
_SERVER_CHECKS = (("database_tls", "encryption"), ("database_role", "role"), ("database_pooler", "pooler"))
_CLOCK = ("database_clock", "its clock")
_TABLES = ("tables", "tables")
_TABLE_CHECKS = (("optional_columns", "columns"), ("user_id_index", "index"))


def database(
    server: Server | None, shape: TableShape | None, error: AuditError | None, tables: Tables = PLAIN
) -> list[Result]:
    """Server and `tables`; `error` is what kept us from seeing the first of them that is None, or what comes later."""
    group = Group.DATABASE
    if server is None:
        why = escape_controls(str(error)) if error else "not looked at: the setting is missing or wrong"
        first = failed(group, _REACHABLE, error) if error else skipped(group, [_REACHABLE], why)[0]
        rest = (*_SERVER_CHECKS, _CLOCK, _TABLES, *_TABLE_CHECKS)
        return [first, *skipped(group, rest, "not looked at: no connection to the database")]
    results = [_reachable(server), _tls(server), _role(server, tables), _pooler(server), clock(group, _CLOCK, server)]
    if shape is None:
        return [
            *results,
            failed(group, _TABLES, error),
            *skipped(group, _TABLE_CHECKS, "not looked at: the tables are not as needed"),
        ]
    found = Result(
        group=group,
        name="tables",
        title="tables",
        state=State.OK,
        figure=f"{_both(tables)} are there with all needed columns, {shape.rows:,} training rows",
        data={"rows": shape.rows, "is_view": shape.is_view},
    )
    return [*results, found, _columns(shape, tables), _index(shape, tables)]


def _both(tables: Tables) -> str:
    return escape_controls(f"{tables.users.sql} and {tables.user_models.sql}")


def _reachable(server: Server) -> Result:
    slow = server.latency > SLOW_ROUND_TRIP
    name, title = _REACHABLE
    label = escape_controls(server.label)
    return Result(
        group=Group.DATABASE,
        name=name,
        title=title,
        state=State.WARN if slow else State.OK,
        figure=f"{label} answers in {milliseconds(server.latency)}, PostgreSQL {escape_controls(server.version)}",
        next_step="Run the audit nearer to the database: each 1,000 users cost a round trip." if slow else "",
        data={"label": server.label, "version": server.version, "latency_ms": round(server.latency * 1000, 3)},
    )


def _tls(server: Server) -> Result:
    open_to_all = server.tls is None and not server.local
    way = server.tls or ("none, and none needed: the server is on this machine" if server.local else "none")
    return Result(
        group=Group.DATABASE,
        name="database_tls",
        title="encryption",
        state=State.WARN if open_to_all else State.OK,
        figure=way,
        next_step="Add sslmode=verify-full (at least sslmode=require) to the URL: password and e-mail addresses travel."
        if open_to_all
        else "",
        data={"tls": server.tls, "local": server.local},
    )


def _role(server: Server, tables: Tables) -> Result:
    name = escape_controls(server.role)
    figure, step = f"{name} may read and not write", ""
    if server.read_only:
        figure = f"{name}, in sessions that are read-only"
    elif server.superuser or server.writable:
        what = "is a superuser" if server.superuser else f"may change {escape_controls(' and '.join(server.writable))}"
        figure = f"{name} {what}; the audit never writes"
        step = f"Better use a role that may only SELECT from {_both(tables)}."
    data = {"role": server.role, "superuser": server.superuser, "writable": list(server.writable)}
    return Result(
        group=Group.DATABASE,
        name="database_role",
        title="role",
        state=State.WARN if step else State.OK,
        figure=figure,
        next_step=step,
        data=data | {"read_only": server.read_only},
    )


def _pooler(server: Server) -> Result:
    figure = "one is in between; the audit is made for that" if server.pooled else "none seen"
    data = {"pooled": server.pooled}
    return Result(
        group=Group.DATABASE, name="database_pooler", title="pooler", state=State.OK, figure=figure, data=data
    )


def clock(group: Group, check: tuple[str, str], server: Server) -> Result:
    """The database's clock against ours."""
    return clock_result(
        group, check, server.clock_ahead, "Set the clock that is wrong, this machine's or the server's."
    )


def _columns(shape: TableShape, tables: Tables) -> Result:
    missing = shape.missing
    lost = "; ".join(f"{column}: {column.lost}" for column in missing)
    return Result(
        group=Group.DATABASE,
        name="optional_columns",
        title="columns",
        state=State.WARN if missing else State.OK,
        figure=f"without {lost}" if missing else "all optional ones",
        next_step="Nothing, if the product has no such data; else say in [database.columns] of the config file how "
        f"they are called, or have a view add them to {escape_controls(tables.user_models.sql)}."
        if missing
        else "",
        data={"missing": list(missing), "lost": {column: column.lost for column in missing}},
    )


def _index(shape: TableShape, tables: Tables) -> Result:
    state, step = State.OK, ""
    models = tables.user_models
    column = escape_controls(f"{models.sql}.{models.column('user_id')}")
    if shape.is_view:
        figure = f"not known: {escape_controls(models.sql)} is a view"
    elif shape.index:
        figure = f"{escape_controls(shape.index)} on {column}"
    elif shape.rows < INDEX_WANTED_FROM:
        figure = f"none on {column}, nor needed for {shape.rows:,} rows"
    else:
        figure = f"none on {column}, for {shape.rows:,} rows"
        state, step = (
            State.WARN,
            escape_controls(f"CREATE INDEX CONCURRENTLY ON {models.sql} ({models.column('user_id')});"),
        )
    data = {"index": shape.index, "is_view": shape.is_view}
    return Result(
        group=Group.DATABASE,
        name="user_id_index",
        title="index",
        state=state,
        figure=figure,
        next_step=step,
        data=data,
    )
