"""Runs that meet another place than their own: two servers, two ports, two schemas, and what is one place after all."""

import asyncio
import json
import os
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import jsonschema
import pytest

from audit.demo.database import load
from audit.demo.fake_replicate.server import in_thread
from audit.demo.postgres import embedded_postgres
from audit.model.exit_status import NEEDS_SYNC, OK
from audit.runfile import RunFile
from tests.report.test_json_report import SCHEMA
from tests.support.audits import Ended, Servers, Shell, new_database
from tests.support.database_rows import execute
from tests.support.instrumented_replicate import InstrumentedReplicate
from tests.support.synthetic_users import SyntheticUsers
from tests.support.tunnels import Tunnel, tunnel

NAME = "twin"
RUN = ("run", "--run-file", "run.sqlite", "-o", "report.json")
RESUME = ("run", "--resume", "run.sqlite", "-o", "report.json")
APPLY = ("sync", "run.sqlite", "--apply", "--yes")
UNDO = ("sync", "--undo", "run-undo.sql", "--yes")
REFUSED = 2


@dataclass
class Twins:
    """Two servers with the same users in databases of one name, and the Replicate of both."""

    one: Tunnel
    other: Tunnel
    fake: InstrumentedReplicate


@pytest.fixture(scope="module")
def twins(postgres_server: str) -> Iterator[Twins]:
    users = SyntheticUsers(16, oddities=0.5)
    binaries = os.environ.get("SYNC_AUDIT_PG_BIN")
    with ExitStack() as stack:
        second = stack.enter_context(embedded_postgres(Path(binaries) if binaries else None))
        dsns = [asyncio.run(new_database(server, NAME)) for server in (postgres_server, second)]
        for dsn in dsns:
            asyncio.run(load(dsn, users))
            copies = (f"CREATE TABLE tb.{name} AS TABLE {name}" for name in ("users", "user_models"))
            asyncio.run(execute(dsn, "CREATE SCHEMA tb", *copies))
        fake = stack.enter_context(in_thread(InstrumentedReplicate(users)))
        one, other = (stack.enter_context(tunnel(dsn)) for dsn in dsns)
        yield Twins(one, other, fake)


@dataclass
class Sides:
    """A shell, and what stands for the database in it."""

    twins: Twins
    shell: Shell

    def __call__(self, url: str, *arguments: str, **environ: str) -> Ended:
        return self.shell(*arguments, DATABASE_URL=url, **environ)

    def refuses(self, url: str, *commands: tuple[str, ...], words: str, **environ: str) -> None:
        """Each of `commands` ends in 2 with `words`, and nobody is asked for anything."""
        asked = self.twins.fake.request_log.requests
        for command in commands:
            ended = self(url, *command, **environ)
            assert ended.code == REFUSED, (command, ended.err)
            assert words in ended.err, command
        assert self.twins.fake.request_log.requests == asked


@pytest.fixture
def sides(twins: Twins, shell: Shell) -> Sides:
    shell.environ = Servers("", twins.fake).environ
    return Sides(twins, shell)


def plan(sides: Sides, url: str, *more: str) -> None:
    """Make the run and its plan."""
    assert sides(url, *RUN, *more).code in {NEEDS_SYNC, 4}
    assert sides(url, "sync", "run.sqlite").code == NEEDS_SYNC


def test_run_of_one_server_is_neither_applied_nor_undone_nor_resumed_on_another(sides: Sides) -> None:
    one, other = sides.twins.one, sides.twins.other
    plan(sides, one.url(NAME))
    for url in (other.url(NAME), f"postgresql://postgres@db.example.com:{one.port}/{NAME}", one.url("postgres")):
        sides.refuses(url, APPLY, UNDO, RESUME, words=f"now, and was {one.named(NAME)} (public.user_models) in the run")
    sides.refuses(other.url(NAME), APPLY, UNDO, RESUME, words=f"is {other.named(NAME)} now")
    sides.refuses(other.url(NAME), APPLY, UNDO, RESUME, words=f"add --moved-from {one.named(NAME)}; or start a new run")


def test_port_that_leads_to_another_server_by_now_is_another_place_and_a_move_if_that_is_said(sides: Sides) -> None:
    with tunnel(sides.twins.one.dsn) as port:
        plan(sides, port.url(NAME))
        port.dsn = sides.twins.other.dsn
        asked = sides.twins.fake.request_log.requests
        for command in (APPLY, UNDO):
            refused = sides(port.url(NAME), *command)
            assert refused.code == REFUSED
            assert f"is {port.named(NAME)} (public.user_models) now, and was {port.named(NAME)}" in refused.err
            assert "the server's system identifier is" in refused.err
        assert sides.twins.fake.request_log.requests - asked <= 1, "the account alone"
        moved = ("--moved-from", port.named(NAME))
        done = sides(port.url(NAME), *APPLY, *moved)
        assert done.code in {OK, 4}, done.err
        assert "rows changed" in done.err
        assert sides(port.url(NAME), *UNDO, *moved).code == OK


def test_tables_of_another_schema_are_another_place_to_all_who_write_or_resume(sides: Sides) -> None:
    url = sides.twins.one.url(NAME)
    plan(sides, url)
    other = sides.twins.one.url(NAME, "&schema=tb")
    for command in (APPLY, UNDO):
        refused = sides(other, *command)
        assert refused.code == REFUSED
        assert "the table is public.users and tb.users" in refused.err
    sides.refuses(other, RESUME, words='with search path "tb" now')
    path = sides.twins.one.url(NAME, "&options=-csearch_path%3Dpublic")
    assert sides(path, *APPLY).code in {OK, 4}
    assert sides(path, *UNDO).code == OK


def test_tables_of_a_schema_that_the_config_file_names_are_the_run_s_own(sides: Sides) -> None:
    named = '[database.tables]\nusers = "tb.users"\nuser_models = "tb.user_models"\n'
    (sides.shell.folder / "sync-audit.toml").write_text(named)
    url = sides.twins.one.url(NAME)
    plan(sides, url)
    with RunFile.open(sides.shell.folder / "run.sqlite") as run_file:
        assert run_file.info.place
        assert run_file.info.place.full == f"{sides.twins.one.named(NAME)} (tb.user_models)"
    (sides.shell.folder / "sync-audit.toml").write_text(named.replace("tb.", "public."))
    sides.refuses(url, APPLY, UNDO, RESUME, words="maps tables or columns otherwise than they were in the run")
    (sides.shell.folder / "sync-audit.toml").unlink()
    assert sides(url, *APPLY).code in {OK, 4}
    assert sides(url, *UNDO).code == OK


def test_socket_and_loopback_of_one_server_are_one_place_also_to_a_role_that_may_not_read_which_it_is(
    sides: Sides, tmp_path_factory: pytest.TempPathFactory
) -> None:
    one = sides.twins.one
    folder = tmp_path_factory.mktemp("s", numbered=True)
    (folder / f".s.PGSQL.{one.port}").symlink_to(one.socket_file)
    socket = f"postgresql://plain@/{NAME}?host={quote(str(folder))}&port={one.port}"
    asyncio.run(
        execute(
            one.dsn,
            "REVOKE EXECUTE ON FUNCTION pg_control_system() FROM public",
            "CREATE ROLE plain LOGIN",
            "GRANT SELECT ON users, user_models TO plain",
            "GRANT UPDATE (replicate_version_id, lora_weights_url) ON user_models TO plain",
        )
    )
    try:
        plan(sides, socket)
        with RunFile.open(sides.shell.folder / "run.sqlite") as run_file:
            assert run_file.info.place
            assert run_file.info.place.system is None
        assert sides(one.url(NAME), *RESUME).code in {NEEDS_SYNC, 4}
        assert sides(one.url(NAME), *APPLY).code in {OK, 4}
        assert sides(socket, *UNDO).code == OK
        one.dsn, was = sides.twins.other.dsn, one.dsn
        try:
            refused = sides(one.url(NAME), *APPLY)
        finally:
            one.dsn = was
        assert refused.code == REFUSED
        assert f"nothing shows that {folder}:{one.port} and 127.0.0.1:{one.port} are one server" in refused.err
    finally:
        asyncio.run(execute(one.dsn, "DROP OWNED BY plain", "DROP ROLE plain"))


def test_service_that_leads_elsewhere_by_now_is_another_place(sides: Sides) -> None:
    one, other, file = sides.twins.one, sides.twins.other, sides.shell.folder / "services"
    text = f"[shop]\nhost=127.0.0.1\ndbname={NAME}\nuser=postgres\nsslmode=disable\nport="
    sides.shell.environ["PGSERVICEFILE"] = str(file)
    file.write_text(f"{text}{one.port}\n")
    plan(sides, "postgresql:///?service=shop")
    assert sides(one.url(NAME), *APPLY).code in {OK, 4}
    assert sides("postgresql:///?service=shop", *UNDO).code == OK
    file.write_text(f"{text}{other.port}\n")
    sides.refuses("postgresql:///?service=shop", APPLY, UNDO, RESUME, words=f"is {other.named(NAME)} now, and was")


def test_shards_of_two_ports_are_merged_if_one_has_moved_and_not_otherwise(sides: Sides) -> None:
    one, other = sides.twins.one, sides.twins.other
    for number, url in enumerate((one.url(NAME), other.url(NAME)), start=1):
        ended = sides(url, "run", "--shard", f"{number}/2", "--run-file", f"{number}.sqlite", "-o", f"{number}.json")
        assert ended.code in {OK, NEEDS_SYNC, 4}
    merge = ("merge", "1.sqlite", "2.sqlite", "--run-file", "all.sqlite", "-o", "all.json")
    sides.refuses("", merge, words=f"(the server is {other.named(NAME)[:-5]} and {one.named(NAME)[:-5]})")
    sides.refuses("", merge, words=f"if it has moved between them, add --moved-from {one.named(NAME)}.")
    assert not (sides.shell.folder / "all.sqlite").exists()
    merged = sides("", *merge, "--moved-from", one.named(NAME))
    assert merged.code in {NEEDS_SYNC, 4}, merged.err
    assert f"Some shards were made in {one.named(NAME)}" in " ".join(merged.err.split())
    with RunFile.open(sides.shell.folder / "all.sqlite") as run_file:
        assert run_file.info.place
        assert run_file.info.place.named == other.named(NAME)


def test_resumed_run_says_that_its_database_has_moved(sides: Sides) -> None:
    one, other = sides.twins.one, sides.twins.other
    assert sides(one.url(NAME), *RUN).code in {NEEDS_SYNC, 4}
    resumed = sides(other.url(NAME), *RESUME, "--moved-from", one.named(NAME))
    assert resumed.code in {NEEDS_SYNC, 4}, resumed.err
    assert f"--moved-from: the run was made in {one.named(NAME)}, and its database has moved" in resumed.err


def test_every_output_says_that_the_run_compared_with_is_of_another_place(sides: Sides) -> None:
    one, other, folder = sides.twins.one, sides.twins.other, sides.shell.folder
    assert sides(one.url(NAME), *RUN).code in {NEEDS_SYNC, 4}
    why = f"the server is {one.named(NAME)[:-5]} and {other.named(NAME)[:-5]}"
    both = f"{one.named(NAME)} (public.user_models) and {other.named(NAME)} (public.user_models) ({why})"
    kinds = ("json", "html", "md", "xml")
    outputs = [word for kind in kinds for word in ("-o", f"now.{kind}")]
    ended = sides(other.url(NAME), "run", "--baseline", "run.sqlite", "--run-file", "now.sqlite", *outputs)
    assert ended.code in {NEEDS_SYNC, 4}, ended.err
    assert f"The baseline is of another database: {both}" in " ".join(ended.err.split())
    for kind in kinds:
        assert both in (folder / f"now.{kind}").read_text(), kind
    document = json.loads((folder / "now.json").read_text())
    jsonschema.Draft202012Validator(SCHEMA).validate(document)
    assert document["run"]["baseline"]["other_place"] == both
    said = ("txt", "json", "html", "md")
    outputs = [word for kind in said for word in ("-o", f"diff.{kind}")]
    assert sides("", "diff", "run.sqlite", "now.sqlite", *outputs).code == OK
    for kind in said:
        assert f"The databases differ: {both}." in " ".join((folder / f"diff.{kind}").read_text().split()), kind
    assert json.loads((folder / "diff.json").read_text())["warnings"] == [f"The databases differ: {both}."]


def test_baseline_of_the_same_place_is_said_nothing_of(sides: Sides) -> None:
    url = sides.twins.one.url(NAME)
    assert sides(url, *RUN).code in {NEEDS_SYNC, 4}
    for baseline in ("run.sqlite", "report.json"):
        ended = sides(url, "run", "--baseline", baseline, "--run-file", f"{baseline}.now", "-o", "now.json")
        assert "another database" not in ended.err
        assert "other_place" not in json.loads((sides.shell.folder / "now.json").read_text())["run"]["baseline"]
