"""Firefox, driven by its own protocol (Marionette): JSON in frames of "LENGTH:", over TCP.

https://firefox-source-docs.mozilla.org/testing/marionette/Protocol.html
"""

import json
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path
from typing import Any

_QUIET = {
    "app.update.disabledForTesting": True,
    "browser.aboutwelcome.enabled": False,
    "datareporting.policy.dataSubmissionEnabled": False,
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
    "toolkit.telemetry.enabled": False,
}
"""Preferences that keep it offline."""
_ELEMENT = "element-6066-11e4-a52e-4f735466cecf"
"""The key of an element's id, by the WebDriver standard."""
ESCAPE, DELETE, SELECT_ALL = "\ue00c", "\ue017", "\ue009a\ue000"


class Firefox:
    """One window."""

    def __init__(self, connection: socket.socket) -> None:
        self._stream = connection.makefile("rwb")
        self._ids = count(1)
        self._receive()
        self.send("WebDriver:NewSession")

    def send(self, command: str, **parameters: object) -> Any:
        """What the browser answers; an assertion fails with its error."""
        message = json.dumps([0, next(self._ids), command, parameters]).encode()
        self._stream.write(b"%d:%s" % (len(message), message))
        self._stream.flush()
        _, _, error, result = self._receive()
        assert error is None, (command, error)
        return result

    def _receive(self) -> Any:
        length = b""
        while (char := self._stream.read(1)) != b":":
            assert char, "Firefox has gone"
            length += char
        return json.loads(self._stream.read(int(length)))

    def script(self, body: str) -> Any:
        """What the function of `body` returns in the page."""
        return self.send("WebDriver:ExecuteScript", script=body, args=[])["value"]

    def element(self, selector: str) -> str:
        """The id of the first one."""
        found = self.send("WebDriver:FindElement", using="css selector", value=selector)
        return str(found["value"][_ELEMENT])

    def click(self, selector: str) -> None:
        """As a person does, with the pointer."""
        self.send("WebDriver:ElementClick", id=self.element(selector))

    def type(self, selector: str, text: str) -> None:
        """Keys, into the element."""
        self.send("WebDriver:ElementSendKeys", id=self.element(selector), text=text)

    def until(self, holds: Callable[[], bool]) -> None:
        """Waits for it."""
        end = time.monotonic() + 30
        while not holds():
            assert time.monotonic() < end, "it did not come to hold"
            time.sleep(0.05)


def _connected(port: int, process: "subprocess.Popen[bytes]") -> socket.socket:
    end = time.monotonic() + 60
    while time.monotonic() < end and process.poll() is None:
        with suppress(ConnectionRefusedError):
            connection = socket.create_connection(("127.0.0.1", port), timeout=60)
            connection.settimeout(60)
            return connection
        time.sleep(0.1)
    raise AssertionError("Firefox does not answer")


@contextmanager
def firefox(profile: Path) -> Iterator[Firefox]:
    """A browser of its own, ended with the block; `profile` is a new folder."""
    program = shutil.which("firefox-esr") or shutil.which("firefox")
    assert program, "Firefox is not installed; make test SLOW=1 installs it"
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    preferences = _QUIET | {"marionette.port": port}
    lines = (f'user_pref("{name}", {json.dumps(value)});\n' for name, value in preferences.items())
    (profile / "user.js").write_text("".join(lines))
    with subprocess.Popen(
        [program, "--headless", "--marionette", "--no-remote", "--profile", str(profile)],
        env={"HOME": str(profile), "PATH": "/usr/bin:/bin"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        try:
            with _connected(port, process) as connection:
                yield Firefox(connection)
        finally:
            process.terminate()
