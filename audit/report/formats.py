"""The formats, by name. A format's module is imported when it is first used: only HTML pays for jinja2."""

from collections.abc import Callable
from typing import BinaryIO

from audit.report.view import RunView

Renderer = Callable[[RunView, BinaryIO], None]


def _html() -> Renderer:
    from audit.report.html_report import render  # noqa: PLC0415 - jinja2 costs 40 ms that CSV and JSON need not pay

    return render


def _csv() -> Renderer:
    from audit.report.csv_report import render  # noqa: PLC0415 - see the module

    return render


def _json() -> Renderer:
    from audit.report.json_report import render  # noqa: PLC0415 - see the module

    return render


def _md() -> Renderer:
    from audit.report.md_report import render  # noqa: PLC0415 - see the module

    return render


def _junit() -> Renderer:
    from audit.report.junit_report import render  # noqa: PLC0415 - see the module

    return render


FORMATS: dict[str, Callable[[], Renderer]] = {"html": _html, "csv": _csv, "json": _json, "md": _md, "junit": _junit}
"""Name -> what imports the renderer."""


def renderer(name: str) -> Renderer:
    """The renderer of the format `name`, one of `FORMATS`."""
    return FORMATS[name]()
