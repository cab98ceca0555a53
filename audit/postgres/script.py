r"""The SQL of a repair as a file for psql: lines that tell the rows, and the statements that see to them.

A line is one row as JSON with a checksum, so lines can be deleted, but not changed. The statements are those of a
connection (`update_statements`); what they need travels in settings of the transaction, which take no right to make
tables. psql itself notes what was done, in a file of deeds that it adds to before the COMMIT; the file that undoes it
reads that.
"""

import hashlib
import re
from collections.abc import Iterator, Sequence

import msgspec

from audit.model.place import LOCAL, Place
from audit.model.sql import LITERAL, literal, literal_value
from audit.model.tables import TIMES, Column, ColumnTypes, Tables
from audit.postgres.columns import Columns, named_columns
from audit.postgres.update import GUARDED, Counting, transaction_status, unchecked_columns, update_statements
from audit.postgres.writing import Writing, writing_of

LOCK_TIMEOUT = "5s"
"""A row that somebody else holds for longer ends the whole transaction, rather than keeping all rows locked."""
_ENCODER = msgspec.json.Encoder()
_LINE = re.compile(rf"\(({LITERAL}), '([0-9a-f]{{16}})'\),")
_SET = "SELECT length(concat({})) AS ignored \\gset sync_audit_"
"""Sets things without showing them."""
_LINES = "current_setting('sync_audit.lines')"
_PLACE = r"""DO $sync_audit$
DECLARE
    file jsonb := current_setting('sync_audit.file')::jsonb;
    host text := lower(current_setting('sync_audit.host'));
    here text := format('%s:%s/%s', current_setting('sync_audit.host'), current_setting('sync_audit.port'),
        current_database());
    same_host boolean := EXISTS (SELECT FROM unnest(string_to_array(file ->> 'host', ','),
        string_to_array(file ->> 'port', ',')) AS one (host, port)
        WHERE one.host = lower(current_setting('sync_audit.host'))
            AND coalesce(one.port, file ->> 'port') = current_setting('sync_audit.port'));
    both_local boolean := (file ->> 'host') ~ (file ->> 'local') AND host ~ (file ->> 'local')
        AND file ->> 'port' = current_setting('sync_audit.port');
    system text;
BEGIN
    IF now() > (file ->> 'until')::timestamptz THEN
        RAISE EXCEPTION 'sync-audit: this file was good until %, and it is % now. Plan again: sync-audit sync RUN',
            file ->> 'until', to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"');
    END IF;
    IF to_regclass(file ->> 'table') IS NULL THEN
        RAISE EXCEPTION 'sync-audit: this file is for the table % in %, and % has no such table',
            file ->> 'table', file ->> 'named', here;
    END IF;
    IF file ? 'moved_from' THEN
        RETURN;
    END IF;
    BEGIN
        IF has_function_privilege('pg_catalog.pg_control_system()', 'EXECUTE') THEN
            SELECT system_identifier::text INTO system FROM pg_catalog.pg_control_system();
        END IF;
    EXCEPTION WHEN OTHERS THEN
        system := NULL;
    END;
    IF current_database() <> file ->> 'database' OR current_setting('port') <> file ->> 'server_port'
        OR NOT same_host AND NOT both_local OR system <> file ->> 'system'
        OR NOT same_host AND (system = file ->> 'system') IS NOT TRUE AND NOT (
            extract(epoch FROM pg_postmaster_start_time())::text = file ->> 'server_started_at'
            AND (SELECT oid::text FROM pg_database WHERE datname = current_database()) = file ->> 'database_oid')
    THEN
        RAISE EXCEPTION 'sync-audit: this file is for % (server port %, system %), and not for % (port %, system %)',
            file ->> 'named', file ->> 'server_port', coalesce(file ->> 'system', 'not known'),
            here, current_setting('port'), coalesce(system, 'not known')
            USING HINT = 'Connect to the database that was audited. If it has moved, plan again with --moved-from.';
    END IF;
END $sync_audit$;"""
_CHECK_LINES = """DO $sync_audit$
DECLARE
    changed text := (SELECT string_agg(entry ->> 'row', ', ')
        FROM jsonb_array_elements(current_setting('sync_audit.lines')::jsonb) AS entry
        WHERE NOT (entry -> 'right')::boolean);
BEGIN
    IF changed IS NOT NULL THEN
        RAISE EXCEPTION 'sync-audit: the line of row % was changed. Lines may be deleted, but not changed.', changed;
    END IF;
END $sync_audit$;"""
_CHECK_WRITTEN = """DO $sync_audit$
DECLARE
    after jsonb := current_setting('sync_audit.after')::jsonb;
    other text := (SELECT string_agg(entry ->> 'row', ', ')
        FROM jsonb_array_elements(current_setting('sync_audit.lines')::jsonb) AS entry
        JOIN jsonb_array_elements(current_setting('sync_audit.changed')::jsonb) AS changed
            ON changed ->> 'row' = entry ->> 'row'
        WHERE (after -> (entry ->> 'row') @> (((entry -> 'is') || (entry -> 'set')) - '{{{unchecked}}}'::text[]))
            IS NOT TRUE);
BEGIN
    IF other IS NOT NULL THEN
        RAISE EXCEPTION 'sync-audit: the database makes something else of row % (a trigger or a rule?)', other
            USING HINT = 'Nothing was changed. Delete these lines, or ask who looks after the table.';
    END IF;
    IF jsonb_array_length(current_setting('sync_audit.changed')::jsonb)
        > jsonb_array_length(current_setting('sync_audit.lines')::jsonb) THEN
        RAISE EXCEPTION 'sync-audit: several rows have the same id. Nothing was changed.';
    END IF;
END $sync_audit$;"""
_COUNTED = (
    "set_config('sync_audit.done', (current_setting('sync_audit.done')::int + jsonb_array_length("
    "current_setting('sync_audit.changed')::jsonb))::text, true), set_config('sync_audit.not_done', "
    "(current_setting('sync_audit.not_done')::int + (SELECT count(*) FROM jsonb_object_keys("
    "current_setting('sync_audit.skipped')::jsonb)))::text, true)"
)
_DEEDS = """SELECT jsonb_build_object('run', current_setting('sync_audit.file')::jsonb -> 'run',
        'place', current_setting('sync_audit.file')::jsonb -> 'named',
        'moved_from', current_setting('sync_audit.file')::jsonb -> 'moved_from',
        'txid', txid_current()::text, 'row', changed -> 'row', 'before', (
            SELECT jsonb_object_agg(was.key, was.value) FROM jsonb_each(changed -> 'before') AS was
            WHERE (entry -> 'set') ? was.key),
        'after', current_setting('sync_audit.after')::jsonb -> (changed ->> 'row'))::text
    FROM jsonb_array_elements(current_setting('sync_audit.lines')::jsonb) AS entry
    JOIN jsonb_array_elements(current_setting('sync_audit.changed')::jsonb) AS changed
        ON changed ->> 'row' = entry ->> 'row';"""
_ADD_TO_DEEDS = '\\o |umask 077; cat >> "$DEEDS_FILE"'
_LATER = "coalesce((deed ->> 'txid')::bigint >= coalesce(entry ->> 'by', entry ->> 'txid', '0')::bigint, false)"
"""Whether what the file of deeds says last of a row comes after what its line says."""
_OF_DEEDS = f"""WHERE CASE WHEN {_LATER} THEN deed ? 'after'
        ELSE entry ? 'is' AND (NOT entry ? 'txid' OR ({transaction_status("entry ->> 'txid'")}) = 'committed')
        END"""
"""Lines of what was done and not put back; a line may name a transaction of which it is not known."""
_SKIPPED = """SELECT format('skipped row %s: %s', to_json(row_id), why)
    FROM jsonb_each_text(current_setting('sync_audit.skipped')::jsonb) AS skipped (row_id, why);"""
_READ_DEEDS = """WITH read AS (
        SELECT line::jsonb AS deed, place
        FROM unnest(string_to_array(:'sync_audit_deeds', E'\\n')) WITH ORDINALITY AS lines (line, place)
        WHERE line LIKE '{%}'
    ), of_run AS (SELECT deed, place FROM read WHERE deed ->> 'run' = :'sync_audit_run'
    ), last AS (
        SELECT jsonb_object_agg(deed ->> 'row', deed ORDER BY place) AS deeds FROM of_run
        WHERE deed ? 'row' AND (deed ->> 'txid' IN (SELECT deed ->> 'committed' FROM of_run WHERE deed ? 'committed')
            OR (STATUS) = 'committed')
    )
    SELECT coalesce((SELECT deeds FROM last), '{}')::text""".replace("STATUS", transaction_status("deed ->> 'txid'"))
_UNDONE = """SELECT jsonb_build_object('run', current_setting('sync_audit.file')::jsonb -> 'run',
        'moved_from', current_setting('sync_audit.file')::jsonb -> 'moved_from',
        'txid', txid_current()::text, 'row', changed -> 'row', 'undone', true)::text
    FROM jsonb_array_elements(current_setting('sync_audit.changed')::jsonb) AS changed;"""


def table_of(columns: ColumnTypes, place: Place) -> str:
    """The table that is written, with its schema, as SQL writes it."""
    return columns.written.name if columns.written else place.user_models


class Script(msgspec.Struct, frozen=True, kw_only=True):
    """What the two files of a run are about."""

    run_id: str
    place: Place
    tables: Tables
    columns: ColumnTypes
    counting: Counting
    until: str
    """UTC: later neither file changes anything."""
    deeds: str
    """Absolute path of the file in which psql notes what was done."""
    moved_from: str | None = None

    @property
    def table(self) -> str:
        """The table that is written, with its schema, as SQL writes it."""
        return table_of(self.columns, self.place)

    def beginning(self, *, undoes: bool) -> Iterator[str]:
        """What comes before the first batch."""
        about = {
            "run": self.run_id,
            "host": self.place.host,
            "port": self.place.port,
            "local": f"^({LOCAL})$",
            "database": self.place.database,
            "named": self.place.named,
            "table": self.table,
            "system": self.place.system,
            "server_port": self.place.server_port,
            "server_started_at": self.place.server_started_at,
            "database_oid": self.place.database_oid,
            "until": self.until,
            **({"moved_from": self.moved_from} if self.moved_from else {}),
        }
        settings = [
            "set_config('sync_audit.host', :'HOST', true)",
            "set_config('sync_audit.port', :'PORT', true)",
            f"set_config('sync_audit.file', {literal(_ENCODER.encode(about).decode())}, true)",
            "set_config('sync_audit.done', '0', true)",
            "set_config('sync_audit.not_done', '0', true)",
        ]
        yield "\\set ON_ERROR_STOP on"
        yield "\\set QUIET on"
        yield "\\pset pager off"
        yield "\\pset tuples_only on"
        yield "\\pset format unaligned"
        yield f"\\setenv DEEDS_FILE {psql_quoted(self.deeds)}"
        yield "SET client_encoding = 'UTF8';"
        yield "BEGIN ISOLATION LEVEL READ COMMITTED;"
        for name, value in (
            ("standard_conforming_strings", "on"),
            ("lock_timeout", LOCK_TIMEOUT),
            ("TimeZone", "UTC"),
            ("DateStyle", "ISO"),
            ("row_security", "off"),
            ("enable_nestloop", "off"),
        ):
            yield f"SET LOCAL {name} = '{value}';"
        settings.append(f"set_config('search_path', {literal(self.place.search_path)}, true)")
        yield _SET.format(", ".join(settings))
        yield _PLACE
        if undoes:
            yield '\\set sync_audit_deeds `cat "$DEEDS_FILE" 2>/dev/null`'
            yield f"\\set sync_audit_run {psql_quoted(self.run_id)}"
            yield _SET.format(f"set_config('sync_audit.deeds', ({_READ_DEEDS}), true)")
        else:  # and once more at the end, whether all of it is there
            yield '\\set sync_audit_written `(umask 077; : >> "$DEEDS_FILE") 2>/dev/null && echo 0 || echo no`'
            yield _SET.format("set_config('sync_audit.written', :'sync_audit_written', true)")
            yield _CHECK_DEEDS

    def batch(self, lines: Sequence[str], kinds: Sequence[tuple[Column, ...]], *, undoes: bool) -> Iterator[str]:
        """`lines` of `data_line` that set the columns of one of `kinds`, and what sees to them."""
        users, models = named_columns(self.tables, self.columns, self.place)
        writing = writing_of(models, self.columns.written, table=self.table)
        sql = update_statements(
            (users, models),
            writing,
            _LINES,
            kinds,
            judged_by=None if undoes else self.counting,
            skip_locked=False,
            puts_back=undoes,
        )
        deeds = "'{}'::jsonb" if not undoes else "current_setting('sync_audit.deeds')::jsonb"
        yield "SELECT length(set_config('sync_audit.lines', ("
        yield f"    SELECT coalesce(jsonb_agg(CASE WHEN {_LATER} THEN entry"
        yield "        || jsonb_build_object('is', deed -> 'after', 'set', deed -> 'before') ELSE entry END), '[]')"
        yield "    ::text FROM ("
        yield "        SELECT text::jsonb || jsonb_build_object('right', checksum = left(encode(sha256(convert_to("
        yield f"            '{self.run_id}' || text, 'UTF8')), 'hex'), 16)) AS entry FROM (VALUES"
        yield from lines
        yield "(NULL, NULL)) AS line (text, checksum) WHERE text IS NOT NULL) AS entries"
        yield f"    LEFT JOIN jsonb_each({deeds}) AS deeds (row_id, deed) ON deeds.row_id = entry ->> 'row'"
        yield f"    {_OF_DEEDS}), true)) AS ignored \\gset sync_audit_"
        yield _CHECK_LINES
        yield f"SELECT count(*) AS ignored FROM ({sql.lock}) AS locked \\gset sync_audit_"  # noqa: S608 - of `update`
        changes = {f"changed_{number}": sql.changes[kind] for number, kind in enumerate(kinds, 1)}
        yield sql.judged.strip()
        for name, change in changes.items():
            yield f", {name} AS ({change})"
        union = " UNION ALL ".join(f"SELECT row_id, before FROM {name}" for name in changes)  # noqa: S608 - our names
        yield f", changed AS ({union})"
        yield _SET.format(
            "set_config('sync_audit.changed', (SELECT coalesce(jsonb_agg(jsonb_build_object('row', row_id, 'before', "
            "before)), '[]') FROM changed)::text, true), set_config('sync_audit.skipped', (SELECT "
            "coalesce(jsonb_object_agg(row_id, coalesce(why, 'the database left it as it was')), '{}') FROM judged "
            "WHERE row_id NOT IN (SELECT row_id FROM changed))::text, true)"
        )
        yield "SET CONSTRAINTS ALL IMMEDIATE;"
        now = f"SELECT coalesce(jsonb_object_agg(row_id, now::jsonb), '{{}}')::text FROM ({sql.after}) AS rows"  # noqa: S608 - of `update`
        yield _SET.format(f"set_config('sync_audit.after', ({now}), true), {_COUNTED}")
        yield _check_written(writing, models, kinds, undoes=undoes)
        yield _ADD_TO_DEEDS
        yield _UNDONE if undoes else _DEEDS
        yield "\\o"
        yield _SKIPPED

    def end(self, *, undoes: bool) -> Iterator[str]:
        """What comes after the last batch."""
        yield (
            "SELECT current_setting('sync_audit.done') AS done, current_setting('sync_audit.not_done') AS not_done, "
            'txid_current() AS txid, format(\'"txid": "%s"\', txid_current()) AS mark \\gset sync_audit_'
        )
        if not undoes:
            yield "\\setenv DEEDS_MARK :sync_audit_mark"
            yield '\\set sync_audit_written `cat "$DEEDS_FILE" 2>/dev/null | grep -c -F "$DEEDS_MARK" || true`'
            yield _SET.format("set_config('sync_audit.written', :'sync_audit_written', true)")
            yield _CHECK_DEEDS
        yield "COMMIT;"
        yield _ADD_TO_DEEDS
        yield f"SELECT jsonb_build_object('run', '{self.run_id}', 'committed', :'sync_audit_txid')::text;"
        yield "\\o"
        done = "put back" if undoes else "changed"
        yield f"\\echo rows {done}: :sync_audit_done, skipped: :sync_audit_not_done"
        yield LAST_LINE


def _check_written(writing: Writing, models: Columns, kinds: Sequence[tuple[Column, ...]], *, undoes: bool) -> str:
    """What sees that the database has made nothing else of the rows than they were to be."""
    unchecked = [unchecked_columns(writing, models, kind, puts_back=undoes) for kind in kinds]
    every = {column for each in unchecked for column in each}
    listed = [*TIMES, *(column for column in GUARDED if column in every and column not in TIMES)]
    text = _CHECK_WRITTEN.replace("{{{unchecked}}}", f"{{{','.join(listed)}}}")
    if not undoes and len(listed) > len(TIMES):  # what is set is read as it is given
        text = text.replace("(((entry -> 'is') || (entry -> 'set')) -", "(((entry -> 'is') -").replace(
            "'::text[]))\n", f"'::text[]) || ((entry -> 'set') - '{{{','.join(TIMES)}}}'::text[])))\n"
        )
    return text


_CHECK_DEEDS = """DO $sync_audit$
BEGIN
    IF current_setting('sync_audit.written') <> current_setting('sync_audit.done') THEN
        RAISE EXCEPTION 'sync-audit: what was done cannot be noted in the file that DEEDS_FILE names'
            USING HINT = 'Nothing was changed. Run psql where that file can be written, or change the \\setenv above.';
    END IF;
END $sync_audit$;"""
LAST_LINE = "-- end"


def data_line(run_id: str, row: dict[str, object]) -> str:
    """`row` as a line of the run's files."""
    text = _ENCODER.encode(row).decode()
    return f"({literal(text)}, '{_checksum(run_id, text)}'),"


def parse_data_line(run_id: str, line: str) -> dict[str, object] | None:
    """The row that `data_line` has written as exactly `line`; None where there is none."""
    match = _LINE.fullmatch(line)
    text = match and literal_value(match[1])
    if not match or text is None or match[2] != _checksum(run_id, text) or f"({literal(text)}, '{match[2]}')," != line:
        return None
    row: dict[str, object] = msgspec.json.decode(text)
    return row


def psql_quoted(text: str) -> str:
    """`text` as an argument of psql's own commands."""
    escaped = text.replace("\\", "\\\\").replace("'", "\\'").replace("\n", "\\n").replace("\r", "\\r")
    return f"'{escaped}'"


def _checksum(run_id: str, text: str) -> str:
    return hashlib.sha256(f"{run_id}{text}".encode()).hexdigest()[:16]
