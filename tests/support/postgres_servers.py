"""Real PgBouncers before the embedded PostgreSQL: transaction pooling, passwords, TLS."""

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlsplit

import pytest
import trustme

PASSWORD = "s3cr3t/pa:ss@wörd"


@dataclass(frozen=True)
class Bouncer:
    """A PgBouncer on 127.0.0.1. Its certificate is for `localhost` alone."""

    port: int
    ca: Path
    """Certificate of the authority that signed the server's."""
    other_ca: Path
    """Of one that did not."""

    def url(self, database: str, query: str = "", *, host: str = "localhost", password: str = PASSWORD) -> str:
        return f"postgresql://postgres:{quote(password, safe='')}@{host}:{self.port}/{database}?{query}"


@contextmanager
def pgbouncer(server: str, *, tls: str) -> Iterator[Bouncer]:
    """In transaction mode before `server`, with two connections to it; `tls` is `client_tls_sslmode`."""
    program = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
    if not program:
        pytest.fail("these tests need the real PgBouncer: install the package `pgbouncer`", pytrace=False)
    directory = Path(tempfile.mkdtemp(prefix="pgbouncer-"))
    try:
        port = _free_port()
        bouncer = _configure(directory, server, port, tls)
        with (directory / "log").open("wb") as log:
            process = subprocess.Popen(
                [program, directory / "pgbouncer.ini"], stdout=log, stderr=log, **_user(directory)
            )
        with process:
            try:
                _wait(port, process, directory / "log")
                yield bouncer
            finally:
                process.terminate()
    finally:
        shutil.rmtree(directory)


def _configure(directory: Path, server: str, port: int, tls: str) -> Bouncer:
    authority, other = trustme.CA(), trustme.CA()
    certificate = authority.issue_cert("localhost")
    authority.cert_pem.write_to_path(directory / "ca.pem")
    other.cert_pem.write_to_path(directory / "other.pem")
    certificate.private_key_pem.write_to_path(directory / "key.pem")
    (directory / "cert.pem").write_bytes(b"".join(blob.bytes() for blob in certificate.cert_chain_pems))
    (directory / "users.txt").write_text(f'"postgres" "{PASSWORD}"\n')
    sockets = unquote(urlsplit(server).query.removeprefix("host="))
    (directory / "pgbouncer.ini").write_text(f"""
[databases]
* = host='{sockets}' user=postgres
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
pool_mode = transaction
default_pool_size = 2
auth_type = scram-sha-256
auth_file = {directory}/users.txt
client_tls_sslmode = {tls}
client_tls_key_file = {directory}/key.pem
client_tls_cert_file = {directory}/cert.pem
""")
    return Bouncer(port, directory / "ca.pem", directory / "other.pem")


def _user(directory: Path) -> dict[str, Any]:
    """PgBouncer refuses root."""
    if os.geteuid() != 0:
        return {}
    nobody = pwd.getpwnam("nobody")
    for path in (directory, *directory.iterdir()):
        os.chown(path, nobody.pw_uid, nobody.pw_gid)
    return {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.01)
        else:
            return
    pytest.fail(f"PgBouncer does not start:\n{log.read_text()}", pytrace=False)
