"""Log lines on stderr: as text for people or as JSON for collectors, without secrets and without control characters."""

import json
import logging
import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from audit.model.secrecy import Secrecy
from audit.model.text import escape_controls, escape_in_json

_REQUESTED = re.compile(r"((?:^GET |^)(?:https?://[^/\s]+)?/)\S+")
"""What was asked for: the path of a URL, or of a request."""
KEYS = ("user_id", "model", "status", "reason", "path", "attempt", "duration_ms")
"""What a line may carry beside time, level and event, under the same names in every release."""


class Formatter(logging.Formatter):
    """One line a record, as text with the traceback below it.

    `secrets`, and pieces of `tokens`, are cut out of whatever anybody says.
    """

    def __init__(
        self, secrets: Sequence[str], *, tokens: Sequence[str] = (), as_json: bool, redact: bool = False
    ) -> None:
        """`redact`: paths of requests, which have ids of models in them, are left out."""
        super().__init__()
        self._redact = redact
        self._secrecy = Secrecy(secrets, tokens)
        self._as_json = as_json

    def format(self, record: logging.LogRecord) -> str:
        """The line, without its end."""
        event = self._clean(record.getMessage())
        trace = self._secrecy.clean(self.formatException(record.exc_info)) if record.exc_info else ""
        if not self._as_json:
            lines = [f"{record.levelname.lower()}: {event}", *(f"  {line}" for line in trace.splitlines())]
            return "\n".join(map(escape_controls, lines))
        time = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        line: dict[str, object] = {"time": time, "level": record.levelname.lower(), "event": event}
        for key in KEYS:
            value = getattr(record, key, None)
            if value is not None:
                line[key] = self._clean(value) if isinstance(value, str) else value
        return escape_in_json(json.dumps(line | ({"exception": trace} if trace else {})))

    def _clean(self, text: str) -> str:
        text = self._secrecy.clean(text)
        return _REQUESTED.sub(r"\1***", text) if self._redact else text

    def worded(self, text: str) -> str:
        """`text`, which is no log record but stands among them: without secrets, or as the event of a JSON line."""
        if not self._as_json:
            return self._secrecy.clean(text)
        return self.format(logging.LogRecord("audit.commands", logging.INFO, "", 0, text, None, None))


class _Handler(logging.Handler):
    def __init__(self, write: Callable[[str], None]) -> None:
        super().__init__()
        self._write = write

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self._write(self.format(record))
        except Exception:
            self.handleError(record)


def set_up(formatter: Formatter, verbosity: int, write: Callable[[str], None]) -> None:
    """Send all logs, and Python's warnings, through `write`, line by line.

    `verbosity`: -1 nothing but errors, 0 warnings, 1 what was found, 2 each request too.
    """
    handler = _Handler(write)
    handler.setFormatter(formatter)
    logging.captureWarnings(capture=True)
    root = logging.getLogger()
    for old in [each for each in root.handlers if isinstance(each, _Handler)]:
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(logging.ERROR if verbosity < 0 else logging.WARNING)
    level = {-1: logging.ERROR, 0: logging.WARNING, 1: logging.INFO}.get(verbosity, logging.DEBUG)
    logging.getLogger("audit").setLevel(level)
