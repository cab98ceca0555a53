"""What the documents say is so: examples run, links lead somewhere, the reference is the code's."""

import asyncio
import json
import os
import re
import subprocess
from collections.abc import Iterator
from configparser import ConfigParser
from itertools import count, pairwise
from pathlib import Path

import pytest

import audit
from audit.cli.settings import check, found
from audit.commands.accept import file as accept_file
from audit.demo.database import load
from audit.demo.fake_replicate.server import in_thread
from audit.demo.users import DemoUsers
from audit.model.tables import COLUMNS, REQUIRED
from audit.postgres.url import parse_database_url
from tests import ROOT
from tests.docs import licences, reference
from tests.support import psql
from tests.support.audits import Servers, Shell, new_database
from tests.support.command_lines import context
from tests.support.database_rows import execute
from tests.support.documents import Block, anchors, blocks, documents, links
from tests.support.instrumented_replicate import InstrumentedReplicate

NOT_RUN = {
    "make demo": "sets up a virtual environment; CI runs it",
    "python3 -m venv .venv": "installs packages; CI does so with the wheel",
    "pipx install": "installs packages",
    "export DATABASE_URL='postgresql://reader": "names a database that is not there",
    "docker build": "there may be no container runtime; tests/examples/test_container.py runs the steps",
    "mkdir -p reports\ndocker": "the same",
    "sync-audit sync reports/now.sqlite --apply --moved-from": "tests/commands/sync/test_place.py moves a database",
}
"""How the blocks begin that are not run, and why."""
NAMES = {
    "anna@example.com": "beatriz.costa@example.com",
    "user anna ": "user beatriz ",
    "sync-audit-….sqlite": "sync-audit-0.sqlite",
    "--limit 5 --apply": "--limit 5 --apply --yes",
    "sync --undo": "sync --yes --undo",
}
"""What stands for something in a document, and what there is of it in the tests; nobody is there to be asked."""
EARLIER = """
sync-audit run --run-file reports/sync-audit-0.sqlite
sync-audit render reports/sync-audit-0.sqlite -o reports/last.json
cp reports/sync-audit-0.sqlite reports/monday.sqlite
cp reports/last.json reports/tuesday.json
cp reports/last.json monday.json
cp reports/last.json tuesday.json
"""
"""What documents take to be there."""
VERDICTS = {"0", "3", "4"}
"""What a command ends in that did what was asked; the demo's users include some who cannot be checked."""
WAIT = 'while [ -e "reports/sync-audit-$(date -u +%Y%m%dT%H%M%SZ).sqlite" ]; do sleep 0.1; done'
"""Runs are called after the second in which they begin, and nobody types two within one."""
SLOW = ("ibrahim.toure@example.com", "stella.rojas@example.com")
"""Replicate makes everybody wait for the one, and never answers for the other; there are dozens of audits here."""
NOT_COMMITTED = {"benchmarks/results/quick/"}
_databases = count(1)


LONG = {"before-a-release.md", "reports.md", "run.md", "trainings.md", "tutorial.md", "unfinished.md"}
"""Documents whose examples take seconds."""


def with_examples() -> list[Path]:
    return [path for path in documents() if runnable(path)]


def runnable(path: Path) -> list[Block]:
    """The examples that are run, and the files and the outputs between them."""
    listed = [each for each in blocks(path) if not skipped(each)]
    return listed if any(each.language == "sh" for each in listed) else []


def skipped(block: Block) -> bool:
    return block.language == "sh" and any(block.text.startswith(start) for start in NOT_RUN)


@pytest.fixture
def place(postgres_server: str, demo_users: DemoUsers) -> Iterator[Servers]:
    """The demo's users, for one document alone: examples may change them."""
    dsn = asyncio.run(new_database(postgres_server, f"docs_{next(_databases)}"))
    asyncio.run(load(dsn, demo_users))
    asyncio.run(execute(dsn, f"DELETE FROM user_models USING users WHERE user_id = users.id AND email IN {SLOW}"))
    with in_thread(InstrumentedReplicate(demo_users.world)) as fake:
        yield Servers(dsn, fake)


def script(path: Path, folder: Path) -> str:
    """All examples of a document, one after the other in one Bash; what each says goes into a file."""
    lines = ["set -u", 'trap \'printf "%s %s\\n" "$?" "$BASH_COMMAND" >>failed\' ERR', ": >failed"]
    lines.append(f"{{ {EARLIER}\n}} >/dev/null 2>&1")
    for number, block in enumerate(runnable(path)):
        if block.language == "toml" and block.title:
            (folder / f"{number}.toml").write_text(block.text)
            lines.append(f"cp {number}.toml {block.title}")
        elif block.language == "sh":
            text = block.text
            for name, there in NAMES.items():
                text = text.replace(name, there)
            lines.append(f"{{\n:\n{text}\n}} >{number}.out 2>&1")
    return "\n".join(lines)


@pytest.mark.parametrize(
    "path",
    [pytest.param(path, marks=pytest.mark.slow if path.name in LONG else (), id=str(path)) for path in with_examples()],
)
def test_the_examples_of_a_document_run(path: Path, place: Servers, shell: Shell) -> None:
    programs = shell.folder / "bin"
    programs.mkdir()
    command = programs / "sync-audit"
    command.write_text(f"#!/bin/sh\n{WAIT}\n{shell.script()}")
    command.chmod(0o755)
    binaries = Path(psql.binary()).parent  # first, as Debian's own psql may do nothing but ask for a real one
    database = parse_database_url(place.dsn)
    of_psql = {
        "PGHOST": database.hosts[0],
        "PGPORT": database.address.port,
        "PGDATABASE": database.name,
        "PGUSER": database.user or "postgres",
    }
    path_of_programs = f"{programs}:{binaries}:{os.environ['PATH']}"
    environ = shell.all_environ(place.environ | of_psql | {"SYNC_AUDIT_RETRIES": "0", "PATH": path_of_programs})
    done = subprocess.run(
        ["bash", "-c", script(path, shell.folder)],
        cwd=shell.folder,
        env=environ,
        capture_output=True,
        timeout=120,
        check=False,
    )
    said = {
        number: (shell.folder / f"{number}.out") for number, each in enumerate(runnable(path)) if each.language == "sh"
    }
    texts = {number: file.read_text() for number, file in said.items() if file.exists()}
    assert done.returncode in {0, 3, 4}, (done.stderr, texts)
    failed = (shell.folder / "failed").read_text().splitlines()
    assert [line for line in failed if not expected(line)] == [], texts
    for number, block in enumerate(runnable(path)):
        if block.language == "text" and block.follows and number - 1 in texts:
            assert_said(block.text, texts[number - 1])


def expected(line: str) -> bool:
    code, _, command = line.partition(" ")
    return command.startswith(("sync-audit", "REPLICATE_")) and code in VERDICTS


def assert_said(output: str, said: str) -> None:
    """Every line of `output` is part of a line that was said, in this order; `…` stands for anything."""
    pattern = r".*?\n.*?".join(
        r"\s+".join(".*?".join(map(re.escape, word.split("…"))) for word in line.split())
        for line in output.splitlines()
    )
    assert re.search(pattern, said, re.DOTALL), said


@pytest.mark.parametrize("start", NOT_RUN)
def test_what_is_not_run_is_there(start: str) -> None:
    everything = [block.text for path in documents() for block in blocks(path) if block.language == "sh"]
    assert any(text.startswith(start) for text in everything)


TOML = [(path, each) for path in documents() for each in blocks(path) if each.language == "toml"]


@pytest.mark.parametrize(("path", "block"), TOML, ids=[f"{path}: {block.title}" for path, block in TOML])
@pytest.mark.parametrize("command", ["run", "render", "demo"])
def test_an_example_of_a_file_is_one(path: Path, block: Block, command: str, tmp_path: Path) -> None:
    file = tmp_path / (block.title or "sync-audit.toml")
    file.write_text(block.text)
    if "[[accept]]" in block.text:
        assert accept_file.read(file).entries
    else:
        arguments = ["x.sqlite"] if command == "render" else []
        ctx = context(command, *arguments, environ={"REPLICATE_API_TOKEN": "r8_x"}, config=file)
        check(ctx)
        read = found(ctx).file
        assert read
        assert ctx.default_map or read.tables or command != "run"


def test_there_is_a_test_for_each_kind_of_example() -> None:
    kinds = {block.language for path in documents() for block in blocks(path)}
    # run; read by the program; output; examples/ in tests/examples; tests/cli/test_completion.py; and made here
    assert kinds == {"sh", "toml", "text", "yaml", "bash", "json", "dockerfile", "zsh", "fish", "sql"}


@pytest.mark.parametrize("path", documents(), ids=str)
def test_links_lead_somewhere(path: Path) -> None:
    dead = []
    for link in links(path):
        target, _, anchor = link.partition("#")
        if target.startswith(("https://", "http://")):
            continue
        file = (ROOT / path.parent / target).resolve() if target else ROOT / path
        if not file.exists() or (anchor and anchor not in anchors(file.relative_to(ROOT))):
            dead.append(link)
    assert dead == []


@pytest.mark.parametrize("path", [path for path in documents() if path.parts[0] == "docs"], ids=str)
def test_a_page_needs_nothing_that_is_not_in_the_built_site(path: Path) -> None:
    files = [(ROOT / path.parent / link).resolve() for link in links(path) if not re.match("https?://|#", link)]
    assert [str(file) for file in files if not file.is_relative_to(ROOT / "docs")] == []


@pytest.mark.parametrize("path", documents(), ids=str)
def test_files_that_are_named_exist(path: Path) -> None:
    text = (ROOT / path).read_text()
    named = set(re.findall(r"`((?:audit|tests|docs|benchmarks|examples|templates)/[\w./-]*)`", text))
    assert {name for name in named if not (ROOT / name).exists()} <= NOT_COMMITTED


@pytest.mark.parametrize("name", [name for name in reference.pages() if name != "licences.md"])
def test_a_page_of_the_reference_is_current(name: str) -> None:
    assert (reference.FOLDER / name).read_text() == reference.pages()[name], "python -m tests.docs.reference"


def test_the_licence_of_each_dependency_is_listed() -> None:
    page = (reference.FOLDER / "licences.md").read_text()
    names = licences.direct("run") + licences.direct("demo")
    listed = {
        name.lower() for name, said in re.findall(r"^\| (\S+) \| ([^|]+) \|", page, re.MULTILINE) if said != "not said"
    }
    assert set(names) <= listed, "python -m tests.docs.reference"


def test_the_design_names_tests_that_exist() -> None:
    named = set(re.findall(r"`(tests/[\w/]+\.py)`", (ROOT / "docs/design.md").read_text()))
    assert len(named) > 20
    assert {name for name in named if not (ROOT / name).exists()} == set()


def test_the_house_is_drawn_as_the_layers_contract_has_it() -> None:
    contracts = ConfigParser()
    contracts.read(ROOT / "setup.cfg")
    layers = contracts["importlinter:contract:layers"]["layers"].split("\n")[1:]
    drawing = [line[4:] for line in (audit.__doc__ or "").splitlines() if line.startswith("    ")]
    way, *rooms = drawing
    assert [line.partition("  ")[0] for line in rooms] == layers
    assert f"{way}\n```" in (design := (ROOT / "docs/design.md").read_text())
    assert "\n".join(rooms) in design


def test_the_page_about_tables_has_every_column_that_is_read() -> None:
    page = (ROOT / "docs/how-to/tables.md").read_text()
    rows = re.findall(r"^\| (?:`(\w+)`)? *\| (.+) \| (required|one of them|read where).* \|$", page, re.MULTILINE)
    needed: dict[str, dict[str, bool]] = {}
    table = ""
    for name, columns, how in rows:
        table = name or table
        needed.setdefault(table, {}).update(dict.fromkeys(re.findall(r"`(\w+)`", columns), how == "required"))
    assert needed == {
        name: {column: column in REQUIRED[name] for column in columns} for name, columns in COLUMNS.items()
    }


def shapes_of_the_page() -> list[tuple[str, str]]:
    """The tables of each worked shape, and its config file."""
    listed = list(blocks(Path("docs/how-to/tables.md")))
    return [
        (tables.text, file.text)
        for tables, file in pairwise(listed)
        if (tables.language, file.language) == ("sql", "toml")
    ]


@pytest.mark.parametrize("shape", range(6))
def test_the_file_of_each_worked_shape_fits_its_tables(shape: int, postgres_server: str, shell: Shell) -> None:
    assert len(shapes_of_the_page()) == 6
    tables, file = shapes_of_the_page()[shape]
    dsn = asyncio.run(new_database(postgres_server, f"page_{shape}"))
    asyncio.run(execute(dsn, tables))
    (shell.folder / "sync-audit.toml").write_text(file)
    ended = shell("doctor", "--json", DATABASE_URL=dsn)
    states = {check["name"]: check for check in json.loads(ended.out)["checks"]}
    assert states["tables"]["state"] == "ok", states["tables"]
    assert "empty" in states["population"]["figure"]


def test_every_page_is_in_the_table_of_contents_and_on_the_first_page() -> None:
    pages = {str(path.relative_to(ROOT / "docs")) for path in (ROOT / "docs").rglob("*.md")}
    assert set(re.findall(r'"([\w/-]+\.md)"', (ROOT / "zensical.toml").read_text())) == pages
    assert {link.partition("#")[0] for link in links(Path("docs/index.md")) if ".md" in link} == pages - {"index.md"}
