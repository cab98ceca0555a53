"""The files of a connection with TLS, looked at before anybody is asked.

asyncpg's errors name neither file nor parameter, and look as if the server had part in them.
"""

import os
import ssl
from pathlib import Path
from typing import NamedTuple

from audit.errors import SettingsError
from audit.files import check_key_log, open_foreign
from audit.model.text import escape_controls, os_cause
from audit.postgres.home import home_directory
from audit.postgres.messages import URL_SETTING
from audit.postgres.tls import AT_LEAST_REQUIRED
from audit.postgres.url import Database

_HOLDS = {
    "sslrootcert": ("x509", "certificate"),
    "sslcert": ("x509", "certificate"),
    "sslcrl": ("crl", "revocation list"),
}
"""Parameter -> what its file has to hold, to OpenSSL and to people."""


class _File(NamedTuple):
    path: Path
    parameter: str
    is_own: bool
    """In ~/.postgresql, and nowhere named."""

    def error(self, why: str, next_step: str = "") -> SettingsError:
        path = escape_controls(str(self.path))
        if self.is_own:
            return SettingsError(
                f"cannot read {path}, which a connection with TLS uses: {why}",
                next_step or f"Fix it, or set HOME to a directory of this user's own (its id is {os.geteuid()}).",
            )
        return SettingsError(
            f"{URL_SETTING}: cannot read {self.parameter}={path}: {why}",
            next_step or f"Name another file in {self.parameter}, or remove it from URL, service or environment.",
        )


def check_files(database: Database) -> None:
    """Raises SettingsError for a file that cannot be read, or does not hold what it is there for."""
    if database.may_use_tls:
        check_key_log()
    used = _readable(database)
    tls = dict(database.tls)
    if tls.get("sslmode") == "disable":
        return
    if tls.get("sslmode") not in AT_LEAST_REQUIRED:  # the server is not verified, and these are not loaded
        used = {name: file for name, file in used.items() if name not in ("sslrootcert", "sslcrl")}
    for name, file in used.items():
        if name in _HOLDS:
            _check_content(file, *_HOLDS[name])
    if "sslcert" in used:
        _check_key(used["sslcert"], used.get("sslkey", used["sslcert"]), tls.get("sslpassword", ""))


def _readable(database: Database) -> dict[str, _File]:
    """By their parameters. As in libpq, one of the user's own that is not there is not needed."""
    home = home_directory()
    files = [_File(Path(path), name, is_own=False) for name, path in database.files]
    files += [_File(home / ".postgresql" / own, name, is_own=True) for name, own in database.own_files if home]
    found = {}
    for file in files:
        try:
            open_foreign(file.path).close()
        except OSError as error:
            if file.is_own and isinstance(error, FileNotFoundError | NotADirectoryError):
                continue
            raise file.error(os_cause(error)) from error
        found[file.parameter] = file
    return found


def _check_content(file: _File, kind: str, what: str) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        context.load_verify_locations(cafile=file.path)
    except OSError as error:
        raise file.error(f"it holds no {what} in PEM form") from error
    if not context.cert_store_stats()[kind]:
        raise file.error(f"it holds no {what} in PEM form")


def _check_key(certificate: _File, key: _File, password: str) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        # Always a password, as without one OpenSSL would ask for it at the terminal.
        context.load_cert_chain(certificate.path, key.path, password=lambda: password)
    except (OSError, ValueError) as error:  # ValueError: too long a password
        reason = getattr(error, "reason", None)
        if reason == "KEY_VALUES_MISMATCH":
            why = f"it is not the key of {escape_controls(str(certificate.path))}"
        elif reason:
            raise certificate.error(str(reason).replace("_", " ").lower()) from error
        else:
            why = "it holds no private key in PEM form, or one that sslpassword does not open"
        raise key.error(why, "Name the file of the private key in sslkey, and its password in sslpassword.") from error
