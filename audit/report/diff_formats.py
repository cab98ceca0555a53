"""The formats of a comparison, by name. A format's module is imported when it is first used."""

from collections.abc import Callable
from importlib import import_module
from typing import BinaryIO, cast

from audit.report.diff_view import DiffView

FORMATS = ("text", "json", "md", "html", "csv")


def renderer(name: str) -> Callable[[DiffView, BinaryIO], None]:
    """The renderer of the format `name`, one of `FORMATS`."""
    module = import_module(f"audit.report.diff_{name}")
    return cast("Callable[[DiffView, BinaryIO], None]", module.render)
