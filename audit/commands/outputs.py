"""From a finished run file to its reports and its exit code; what `run` and `render` share."""

import webbrowser
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import click

from audit.commands.latest import part_from_latest
from audit.errors import ReportError, RunFileError, SettingsError
from audit.files import real
from audit.findings.exit_codes import run_exit_status
from audit.model.codes import Format
from audit.model.exit_status import ExitStatus
from audit.model.text import escape_controls, is_text
from audit.report import writer
from audit.report.cause import cause
from audit.report.view import RunView
from audit.runfile import RunFile

if TYPE_CHECKING:
    from audit.report.summary_message import Flavour

WRITING = "writing the reports"


class ReportedRun(NamedTuple):
    """A run whose reports are written."""

    view: RunView
    exit_status: ExitStatus
    """As the findings and the options say, with the cause in this run; signals are the caller's to add."""
    outputs: tuple[writer.Output, ...]


def report(  # noqa: PLR0913 - what is written, and how
    run_file: RunFile,
    outputs: Sequence[writer.Output],
    *,
    redact: bool = False,
    exit_zero: bool = False,
    allow_empty: bool = False,
    csv_for_excel: bool = False,
) -> ReportedRun:
    """Write all `outputs` from a run file. Raises ReportError.

    `allow_empty` and `csv_for_excel` are what is said now; what the run was told counts as well.
    """
    check_read(run_file)
    view = RunView(run_file, redact=redact, csv_for_excel=csv_for_excel)
    part_from_latest(outputs)
    try:
        writer.write(outputs, view)
    except ReportError as error:
        here = run_file.path.is_file()
        error.next_step = (
            error.next_step.replace("RUN", str(run_file.path)) if here else f"{run_file.path} is gone, too."
        )
        raise
    allow_empty = allow_empty or view.allow_empty
    code = run_exit_status(view.result, view.fail_on, exit_zero=exit_zero, allow_empty=allow_empty).code
    ended = ExitStatus(code, cause(view, code, view.fail_on, exit_zero=exit_zero))
    return ReportedRun(view, ended, tuple(outputs))


def print_message(reported: ReportedRun, run_file: RunFile, flavour: "Flavour | None") -> None:
    """Print what is to be pasted into a chat, if that is wanted, where no report is disturbed."""
    if flavour:
        from audit.report.summary_message import summary_message

        text = summary_message(reported.view, flavour, str(run_file.path))
        click.echo(text, nl=False, err=any(output.path == writer.STDOUT for output in reported.outputs))


def writing(outputs: Sequence[writer.Output]) -> AbstractContextManager[object]:
    """Show on stderr that reports are written, for as long as the block lasts; not where one of them is printed."""
    from audit.cli.terminal import busy

    return nullcontext() if prints(outputs) else busy(WRITING)


def prints(outputs: Sequence[writer.Output]) -> bool:
    """Whether a report goes to a place where a line of progress would stand in the middle of it."""
    return any(output.printed for output in outputs)


def page_to_open(outputs: Sequence[writer.Output]) -> Path:
    """The first HTML report that becomes a file. Raises SettingsError where there is none, for --open."""
    for output in outputs:
        if output.format == "html" and not output.printed:
            return Path(output.path)
    raise SettingsError("--open: no HTML report is written to a file", "Add -o html=PATH, or leave --open out.")


def open_page(outputs: Sequence[writer.Output]) -> None:
    """Open the HTML report with the browser of the platform; where there is none that is said, and no failure."""
    page = page_to_open(outputs).absolute()
    try:
        opened = webbrowser.open(page.as_uri())
    except (webbrowser.Error, OSError):
        opened = False
    said = "opened" if opened else "no browser could be started here; open it yourself:"
    click.echo(f"{said} {escape_controls(str(page))}", err=True)


def to_keep(outputs: tuple[tuple[Format, str], ...]) -> tuple[tuple[Format, str], ...]:
    """`outputs` for whoever finishes the run, perhaps from another working directory.

    Raises SettingsError for a path that the run file cannot keep.
    """
    kept = tuple((kind, path if path == writer.STDOUT else str(Path(path).absolute())) for kind, path in outputs)
    for kind, path in kept:
        if not is_text(path):
            raise SettingsError(
                f"-o {kind}={escape_controls(path)} is not UTF-8 text, and the run file could not keep it",
                "Name another PATH.",
            )
    return kept


def check_outputs(outputs: Sequence[writer.Output], run_file: Path, *inputs: Path) -> None:
    """Find out before anything else whether all files can be written, and that none of `inputs` would be replaced.

    Raises SettingsError or ReportError.
    """
    writer.check(outputs)
    for output in outputs:
        if output.path != writer.STDOUT and real(output.path) == real(run_file):
            raise SettingsError(
                f"the run file and -o {output.format} have the same path, {output.path}", "Give each its own PATH."
            )
        if output.path != writer.STDOUT and real(output.path) in set(map(real, inputs)):
            raise SettingsError(f"-o {output.format}={output.path} is a run file to be read", "Name another PATH.")


def check_csv(outputs: Iterable[writer.Output], *, for_excel: bool) -> None:
    """See that there is a CSV, where `--csv-for-excel` was typed. Raises SettingsError."""
    if for_excel and not any(output.format == "csv" for output in outputs):
        raise SettingsError("--csv-for-excel is about a CSV, and none is written", "Add -o csv=PATH, or leave it out.")


def check_read(run_file: RunFile) -> None:
    """See that the database had been read: else "nobody" would be said of one that nobody has looked into."""
    if run_file.population is None:
        raise RunFileError(f"the run {run_file.path} was ended before the database had been read", "Start a new run.")
