"""Real runs at a real server that enforces a minute's allowance, with a product that lives on it too."""

import signal
import time

import pytest

from audit.demo.fake_replicate.server import in_thread
from audit.model import exit_status
from tests.support.audits import Servers, Shell
from tests.support.faults import Slow
from tests.support.instrumented_replicate import Behaviour, InstrumentedReplicate, Rate, RequestLog, Window
from tests.support.synthetic_users import SyntheticUsers

SLOW = (Slow(low=0.1, on=()),)
RUN = ("run", "--run-file", "run.sqlite", "-o", "report.csv", "--rate", "2400", "--concurrency", "64")


def run(shell: Shell, servers: Servers, users: SyntheticUsers, behaviour: Behaviour, *options: str) -> RequestLog:
    with in_thread(InstrumentedReplicate(users, behaviour)) as fake:
        shell.environ = Servers(servers.dsn, fake).environ
        done = shell(*RUN, *options)
        assert done.code == exit_status.INCOMPLETE, done.err
        return fake.request_log


@pytest.mark.parametrize(
    ("behaviour", "limit", "at_once"),
    [
        pytest.param(Behaviour(rate=Window(3000), faults=SLOW), 900, True, id="window"),
        pytest.param(Behaviour(rate=Window(3000, gone=58), faults=SLOW), 900, True, id="window that ends"),
        pytest.param(Behaviour(rate=Window(3000, gone=30), neighbour=1500, faults=SLOW), 900, True, id="neighbour"),
        pytest.param(Behaviour(rate=Window(1200, gone=30), neighbour=200, faults=SLOW), 200, True, id="small window"),
        pytest.param(Behaviour(rate=Window(300), faults=SLOW), 20, False, id="less than the product's share"),
        pytest.param(Behaviour(rate=Rate(3000, burst=60), faults=SLOW), 200, False, id="bucket"),
    ],
)
def test_what_fits_goes_at_once_and_nobody_is_ever_refused(
    shell: Shell,
    synthetic_servers: Servers,
    synthetic_users: SyntheticUsers,
    *,
    behaviour: Behaviour,
    limit: int,
    at_once: bool,
) -> None:
    log = run(shell, synthetic_servers, synthetic_users, behaviour, "--limit", str(limit))
    assert (log.refused, log.neighbour_refused) == (0, 0)
    assert max(log.models.values()) <= 2  # its versions, and itself where these answered 404
    assert 40 < log.peak_in_flight <= 64 if at_once else log.peak_in_flight < 30
    assert log.peak_sockets <= 64


def test_a_run_that_is_killed_in_the_middle_of_a_burst_is_resumed_within_the_same_allowance(
    shell: Shell, synthetic_servers: Servers, synthetic_users: SyntheticUsers
) -> None:
    behaviour = Behaviour(rate=Window(3000, gone=10), neighbour=600, faults=SLOW)
    with in_thread(InstrumentedReplicate(synthetic_users, behaviour)) as fake:
        shell.environ = Servers(synthetic_servers.dsn, fake).environ
        process = shell.start(*RUN)
        deadline = time.monotonic() + 20
        while fake.request_log.requests < synthetic_users.n // 2 and time.monotonic() < deadline:
            time.sleep(0.001)
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=20)
        before = fake.request_log.requests
        done = shell("run", "--resume", "run.sqlite")
        assert done.code == exit_status.INCOMPLETE, done.err
        assert synthetic_users.n // 2 <= before < synthetic_users.n
        log = fake.request_log
        assert (log.refused, log.neighbour_refused) == (0, 0)
        assert log.requests < synthetic_users.n + 2 * 64 + 32 + 50  # in flight, not yet written, and second questions
