"""Ports of 127.0.0.1 that lead to the PostgreSQLs of the tests, which have sockets alone."""

import socket
import socketserver
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from typing import Any

from audit.postgres.url import parse_database_url


class Tunnel(socketserver.ThreadingTCPServer):
    """A port that leads to a server, and by and by to another."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, dsn: str) -> None:
        """`dsn`: any database of the server."""
        super().__init__(("127.0.0.1", 0), _Connection)
        self.dsn = dsn
        self.port = int(self.server_address[1])

    def url(self, database: str, query: str = "") -> str:
        """As superuser, unless `query` has another user."""
        return f"postgresql://postgres@127.0.0.1:{self.port}/{database}?sslmode=disable{query}"

    def named(self, database: str) -> str:
        """HOST:PORT/DATABASE."""
        return f"127.0.0.1:{self.port}/{database}"

    @property
    def socket_file(self) -> str:
        """Where the server listens."""
        return f"{parse_database_url(self.dsn, {}).hosts[0]}/.s.PGSQL.5432"


class _Connection(socketserver.BaseRequestHandler):
    server: Tunnel
    request: socket.socket

    def handle(self) -> None:
        with closing(socket.socket(socket.AF_UNIX)) as there:
            there.connect(self.server.socket_file)
            back = threading.Thread(target=_copy, args=(there, self.request), daemon=True)
            back.start()
            _copy(self.request, there)
            back.join()


def _copy(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while some := source.recv(65_536):
            target.sendall(some)
    for end in (source, target):
        with suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)


@contextmanager
def tunnel(dsn: str) -> Iterator[Tunnel]:
    """A tunnel to the server of `dsn`."""
    with Tunnel(dsn) as made:
        thread: Any = threading.Thread(target=made.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        try:
            yield made
        finally:
            made.shutdown()
            thread.join()
