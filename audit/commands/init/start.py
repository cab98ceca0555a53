"""`init` from settings to a file: looks, asks, decides, tries what it has decided, writes, and says all of it."""

import asyncio
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import click

from audit.cli import config_file, logs, options
from audit.cli.edited_file import edit
from audit.cli.terminal import Page, busy, screen
from audit.commands.init import report
from audit.commands.init.asking import Whose, are_there, init_target, whose
from audit.commands.init.check import Coverage, coverage
from audit.commands.init.draft import Draft, Entry, draft
from audit.commands.init.places import Survey
from audit.commands.init.recognise import Reading, Recognised, recognise
from audit.commands.init.survey import survey
from audit.commands.init.text import config_text
from audit.errors import AuditError, SettingsError
from audit.model.exit_status import INIT, NEEDS_SYNC, OK, ExitStatus
from audit.model.tables import PLAIN, Tables
from audit.model.text import escape_controls, os_cause
from audit.postgres.url import Database
from audit.replicate import Target
from audit.replicate.url import proxy_for

Choose = Callable[[str, Sequence[str]], int]
"""Asks a person; the number of the answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InitSettings:
    """Where to look, and what is known already."""

    database: Database
    target: Target | None = field(repr=False)
    """How Replicate is asked; null without a token."""
    path: Path
    owner: str | None
    latest_per: str | None
    to_stdout: bool
    force: bool


def settings_of(ctx: click.Context, given: dict[str, object]) -> InitSettings:
    """Raises SettingsError, also for a file that is there already."""
    database: Database = options.database.needed(ctx)
    token, base_url = given["token"], str(given["base_url"])
    target = init_target(base_url, str(token), proxy_for(base_url, os.environ)) if token else None
    secrets = tuple(each for each in (str(token or ""), database.password) if each)
    logs.set_up(
        logs.Formatter(secrets, tokens=(str(token or ""),), as_json=False), 0, lambda line: click.echo(line, err=True)
    )
    path = Path(str(given["file"]))
    if path.name == config_file.PYPROJECT:
        raise SettingsError(
            f"{path}: a file of its own is written, not a part of {config_file.PYPROJECT}",
            "Use --print, and copy what is printed below [tool.sync-audit].",
        )
    to_stdout, force = bool(given["to_stdout"]), bool(given["force"])
    if not (to_stdout or force) and os.path.lexists(path):
        raise SettingsError(
            f"{path} is there already",
            "--force replaces what it says of the database; --print only shows what would be.",
        )
    return InitSettings(
        database=database,
        target=target,
        path=path,
        owner=_owner(given["owner"]),
        latest_per=None if given["latest_per"] is None else str(given["latest_per"]),
        to_stdout=to_stdout,
        force=force,
    )


def _owner(value: object) -> str | None:
    if value is None:
        return None
    try:
        return config_file.mapping({"owner": value}).owner
    except SettingsError as error:
        raise SettingsError(str(error).replace("database.owner", "--owner"), error.next_step) from error


class _Found(NamedTuple):
    survey: Survey
    whose: Whose
    owner: str | None
    recognised: Recognised


def initialise(settings: InitSettings) -> ExitStatus:
    """Do it. Raises DatabaseError where the database can't be read, and AuditError where the file can't be written."""
    with busy("looking into the database"):
        found = asyncio.run(_look(settings))
    choose = _on_terminal()
    if choose is not None:
        found = _decided(found, choose)
    page = Page(screen(stderr=settings.to_stdout))
    reading = found.recognised.reading
    if reading is None:
        return _nothing(found, page)
    owner = found.owner
    if owner is None and choose is not None and reading.model.how == "name":
        owner = _ask_owner()
    written = draft(reading, owner, settings.latest_per)
    text = config_text(written.entries, _before(settings))
    tables = _tables(text, settings.path)
    with busy("trying the file"):
        covered = asyncio.run(coverage(settings.database, tables, reading))
    _write(written.entries, text, settings)
    _show(page, settings, found._replace(owner=owner), written, covered)
    if _is_done(reading, covered, owner):
        return INIT[OK]
    return ExitStatus(NEEDS_SYNC, _cause(written, covered))


async def _look(settings: InitSettings) -> _Found:
    seen, account = await asyncio.gather(survey(settings.database), whose(settings.target))
    owner = settings.owner or account.account
    seen = Survey(seen.catalog, seen.views, seen.failed, seen.unseen, account.account)
    recognised = recognise(seen, owner)
    wanted = _to_ask(recognised.reading)
    if wanted and account.account:
        there = await are_there(settings.target, wanted)
        seen = Survey(seen.catalog, seen.views, seen.failed, seen.unseen, account.account, there)
        recognised = recognise(seen, owner)
    return _Found(seen, account, owner, recognised)


def _to_ask(reading: Reading | None) -> list[str]:
    """One model of each way in which it may be known, the likeliest first."""
    if reading is None:
        return []
    sources = (reading.model, *reading.other_models)
    return [source.sample[0] for source in sources if source.sample and "/" in source.sample[0]]


def _on_terminal() -> Choose | None:
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        return None

    def choose(question: str, answers: Sequence[str]) -> int:
        click.echo(question, err=True)
        for number, answer in enumerate(answers, 1):
            click.echo(f"  {number}. {escape_controls(answer)}", err=True)
        return int(click.prompt("Which one", type=click.IntRange(1, len(answers)), default=1, err=True)) - 1

    return choose


def _decided(found: _Found, choose: Choose) -> _Found:
    """Ask where two are equally good."""
    reading, rivals = found.recognised.reading, found.recognised.rivals
    if reading is None:
        return found
    if rivals:
        listed = (reading, *rivals)
        answers = [f"{each.view.table.sql}.{each.version.name}" for each in listed]
        chosen = listed[choose("Where are the versions that the product runs?", answers)]
        found = found._replace(recognised=Recognised(chosen, (), None))
        reading = chosen
    close = [each for each in reading.other_persons if reading.person and reading.person.score - each.score < 0.5]
    if reading.person is None:
        close = [each for each in reading.other_persons if each.guessed]
    if close:
        persons = [*([reading.person] if reading.person else []), *close]
        names = [
            f"{each.place.name}" + (f", a key of {each.users.table.sql}" if each.users else "") for each in persons
        ]
        person = persons[choose("Whose is a row?", names)]
        if person is not reading.person and person.steps == (reading.person.steps if reading.person else ()):
            from audit.commands.init.persons import users_table

            reading = reading._replace(person=person, users=users_table(reading.view, person, found.survey))
            found = found._replace(recognised=Recognised(reading, (), None))
    return found


def _ask_owner() -> str | None:
    """The account of bare names; None where nobody knows."""
    while True:
        said = click.prompt(
            "Models are recorded by their names alone. Whose are they on Replicate (empty: not known)",
            default="",
            show_default=False,
            err=True,
        )
        if not said.strip():
            return None
        try:
            return _owner(said)
        except SettingsError as error:
            click.echo(str(error), err=True)


def _before(settings: InitSettings) -> str:
    """What the file says now, where it is to be replaced."""
    if settings.to_stdout or not settings.path.is_file():
        return ""
    return config_file.content(settings.path, config_file.KIND)


def _tables(text: str, path: Path) -> Tables:
    """What the text says, read as any command would read it."""
    document = config_file.parsed_text(text, path, config_file.KIND)
    return config_file.mapping(config_file.table(document, "database")) if "database" in document else PLAIN


def _write(entries: Sequence[Entry], text: str, settings: InitSettings) -> None:
    if settings.to_stdout:
        click.echo(text, nl=False)
        return
    path = settings.path

    def change(before: str | None) -> str:
        if before is not None and not settings.force:  # since the database was looked into
            raise SettingsError(f"{path} is there already", "Another process has just written it: look at it first.")
        return config_text(entries, before or "")

    try:
        edit(path, lambda target: config_file.content(target, config_file.KIND) if target.exists() else None, change)
    except OSError as error:
        raise AuditError(
            f"{path} cannot be written: {os_cause(error).lower()}", "Name another one, or use --print."
        ) from error


def _is_done(reading: Reading, covered: Coverage, owner: str | None) -> bool:
    nameless = reading.model.how == "name" and owner is None
    return covered.problem is None and covered.users > 0 and not reading.open and not nameless and reading.by_value


def _nothing(found: _Found, page: Page) -> ExitStatus:
    why, step = report.nothing(found.recognised, found.survey)
    if not found.survey.catalog.tables:
        from audit.errors import DatabaseError

        raise DatabaseError(why, step)
    page.paragraph(why)
    page.paragraph(step)
    for remark in report.unseen(found.survey):
        page.paragraph(remark)
    return ExitStatus(NEEDS_SYNC, "no table to audit was found")


def _show(page: Page, settings: InitSettings, found: _Found, written: Draft, covered: Coverage) -> None:
    reading = found.recognised.reading
    assert reading is not None  # noqa: S101 - else nothing is written
    page.line((f"Found in {escape_controls(settings.database.label)}", "bold"))
    listed = list(report.matches(written, reading, found.owner))
    width = max(len(each.ours) for each in listed) + 2
    for each in listed:
        page.paragraph(f"{each.theirs}: {each.why}", first=each.ours.ljust(width), indent=2)
    lost = list(report.lost(written))
    if lost:
        page.heading("Not there")
        for what in lost:
            page.paragraph(what, indent=2)
    remarks = list(report.remarks(written, found.recognised, found.survey, found.whose, covered))
    if remarks:
        page.heading("To know")
        for remark in remarks:
            page.paragraph(remark, first="- ", indent=2)
    page.line()
    page.paragraph(_outcome(written, reading, covered))
    where = "" if settings.to_stdout else f"Wrote {escape_controls(str(settings.path))}. "
    if _is_done(reading, covered, found.owner):
        config = "" if settings.to_stdout or settings.path == Path(config_file.NAME) else f" --config {settings.path}"
        token = "" if settings.target else " (set REPLICATE_API_TOKEN before)"
        page.paragraph(f"{where}Next: sync-audit run{config}{token}")
    else:
        first = "After that" if covered.problem else "Complete the file, then"
        page.paragraph(f"{where}{first}: sync-audit doctor")


def _cause(written: Draft, covered: Coverage) -> str:
    """Why an audit would not work yet, in one clause."""
    if covered.problem is not None:
        return "an audit would not work with this file yet"
    left = _left(written)
    if left:
        return f"{len(left)} {'entries' if len(left) > 1 else 'entry'} left to decide: {', '.join(left)}"
    return "an audit would cover nobody yet"


def _left(written: Draft) -> list[str]:
    return [entry.key for entry in written.entries if entry.left_open and entry.key != "in_progress"]


def _outcome(written: Draft, reading: Reading, covered: Coverage) -> str:
    """What would come of it."""
    if covered.problem is not None:
        step = f" {covered.problem.next_step}" if covered.problem.next_step else ""
        return f"An audit would not work yet: {escape_controls(str(covered.problem) + '.' + step)}"
    left = _left(written)
    about = f"about {_rounded(covered.users):,}" if covered.source else f"{covered.users:,}"
    users = f"{about} {'user' if covered.users == 1 else 'users'}"
    source = f" (from {covered.source}: nothing was counted)" if covered.source else ""
    if left:
        return f"Left to decide, in comments of the file: {', '.join(left)}. An audit would cover {users}{source}."
    if not covered.users or not reading.by_value:
        return (
            "An audit would cover nobody yet: no row with a version is there. The file rests on names; look again "
            "once a training has completed."
        )
    return f"An audit would cover {users}{source}."


def _rounded(number: int) -> int:
    """To two digits, as an estimate has no more."""
    digits = max(0, len(str(number)) - 2)
    return round(number, -digits)
