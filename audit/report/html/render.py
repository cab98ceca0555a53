"""Render the HTML report: one file that asks nobody for anything, streamed from `templates/`."""

import base64
import hashlib
import re
import sys
from contextlib import suppress
from functools import cache
from importlib.util import cache_from_source
from pathlib import Path
from typing import BinaryIO

import jinja2
from jinja2.bccache import Bucket
from markupsafe import Markup, escape

from audit.model.text import escape_controls, runner_safe_markup, shortened
from audit.model.times import to_second
from audit.report.html.data import MOST, listed
from audit.report.html.page import FILTERS, FUNCTIONS, survey
from audit.report.view import RunView

_ISO = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", re.ASCII)
_TICKED = re.compile("`([^`]+)`")
TEXT_LIMIT = 2_000
"""Characters of one value on the page; JSON has the whole text."""


def render(view: RunView, out: BinaryIO, most: int = MOST) -> None:
    """Write the whole page to `out`; memory does not grow with the number of users.

    Of more than `most` users those who are up to date are not in the page's table.
    """
    style, script = own("style.css"), own("report.js")
    pieces = (
        environment()
        .get_template("report.html")
        .generate(
            view=view,
            listed=listed(view, most),
            survey=survey(view),
            style=Markup(style),  # noqa: S704 - our own file, not data
            script=Markup(script),  # noqa: S704 - our own file, not data
            csp=policy(style, script),
        )
    )
    out.writelines(piece.encode() for piece in pieces)


def prepare() -> None:
    """Compile the report's templates, which takes longer than to render a page of few users."""
    for name in environment().list_templates(filter_func=lambda name: name.endswith(".html") and name != "diff.html"):
        environment().get_template(name)


def policy(style: str, script: str = "") -> str:
    """A page's own Content-Security-Policy: nothing but this style, this script, if any, and images within."""
    scripts = f"script-src '{_digest(script)}'; " if script else ""
    return (
        f"default-src 'none'; style-src '{_digest(style)}'; {scripts}img-src data:; base-uri 'none'; form-action 'none'"
    )


def _digest(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def template_directory() -> Path:
    """Where the templates are: in the installed package, or at the top of a checkout."""
    package = Path(__file__).resolve().parents[2]
    return next(path for path in (package / "templates", package.parent / "templates") if path.is_dir())


def printable(value: object) -> object:
    """What every `{{ value }}` passes through before it is escaped: nothing that acts on a reader, not too long."""
    if type(value) is str:
        if len(value) > TEXT_LIMIT:
            value = shortened(value, TEXT_LIMIT)
        shown = escape_controls(value)
        if "::" in shown or "##" in shown:
            return Markup(runner_safe_markup(escape(shown)))  # noqa: S704 - escaped before
        return shown
    return value


def time_element(iso: str | None) -> str:
    """The time as an element from which the script tells the reader's own; other texts as they are."""
    return time_as(iso, to_second(iso))


def time_as(iso: str | None, text: str) -> str:
    """`text` as an element that says the time."""
    if not iso or not _ISO.fullmatch(iso):
        return text
    return Markup('<time datetime="{}Z">{}</time>').format(iso[:19], text)


def ticked(text: str) -> Markup:
    """`text` from our own hint table, never from data, with what stands between backticks as code."""
    return Markup(_TICKED.sub(r"<code>\1</code>", str(escape(text))))  # noqa: S704 - escaped before


class _Compiled(jinja2.FileSystemBytecodeCache):
    """Compiled templates, where Python keeps this module compiled, by the same rules: else each page waits 80 ms."""

    def __init__(self) -> None:
        super().__init__(str(Path(cache_from_source(__file__)).parent), "%s.template")

    def get_source_checksum(self, source: str) -> str:
        """Also of what compiles it."""
        return super().get_source_checksum(f"{jinja2.__version__} {Path(__file__).stat().st_mtime_ns} {source}")

    def load_bytecode(self, bucket: Bucket) -> None:
        """Read it, where it is there and can be read."""
        with suppress(OSError):
            super().load_bytecode(bucket)

    def dump_bytecode(self, bucket: Bucket) -> None:
        """Write it, where that is wanted and can be done."""
        if not sys.dont_write_bytecode:
            with suppress(OSError):
                super().dump_bytecode(bucket)


@cache
def environment() -> jinja2.Environment:
    """Templates with autoescape, in which a name that is not there is an error."""
    made = jinja2.Environment(
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        loader=jinja2.FileSystemLoader(template_directory()),
        finalize=printable,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        auto_reload=False,
        bytecode_cache=_Compiled(),
    )
    made.filters |= {"number": "{:,}".format, "ticks": ticked, "time": time_element, "time_as": time_as, **FILTERS}
    made.globals |= FUNCTIONS
    return made


@cache
def own(name: str) -> str:
    """A file of ours beside the templates."""
    return (template_directory() / name).read_text(encoding="utf-8")
