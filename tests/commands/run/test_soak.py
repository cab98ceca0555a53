"""Thousands of users against a server that fails one answer in five: no verdict may ever be wrong."""

import asyncio
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from audit.cli.signals import Stop
from audit.commands.run.auditor import Auditor
from audit.commands.run.questions import ModelQuestions
from audit.demo.fake_replicate.faults import Endpoint, Fault, ForeignNext, Hang, Odd, Refused, Reset
from audit.demo.fake_replicate.server import TOKEN
from audit.findings.classify import RunContext, classify
from audit.findings.trainings import Classifier
from audit.model.codes import Reason, Status
from audit.model.findings import Finding
from audit.model.ids import askable_model
from audit.model.replies import NotAsked, Requests
from audit.model.users import ModelRecord
from audit.replicate import Target, Timing, connect
from audit.runfile import RunFile
from tests.support.faults import Bomb, Chaos, Drip, Huge, Paging, Redirected, ResetMidway, Slow, ThrottledIn, Truncated
from tests.support.instrumented_replicate import Behaviour, InstrumentedReplicate, RequestLog
from tests.support.odd_bodies import ODD_BODIES
from tests.support.process import in_process
from tests.support.run_files import population
from tests.support.samples import record, run_info
from tests.support.synthetic_users import SyntheticUsers

BOTH: tuple[Endpoint, ...] = ("versions", "model")
TRANSIENT: tuple[Fault, ...] = (
    Refused(status=500, on=BOTH),
    Refused(status=502, body="html", on=BOTH),
    Refused(status=503, body="empty", on=BOTH),
    Refused(status=408, on=BOTH),
    Reset(on=BOTH),
    ResetMidway(on=BOTH),
    Truncated(on=BOTH),
    Hang(on=BOTH),
    Drip(pause=0.3, on=BOTH),
    Slow(low=0.01, high=0.2, on=BOTH),
    *(ThrottledIn(form=form, wait=2, on=BOTH) for form in ("seconds", "date", "body", "text", "old_text", "bare")),
)
LASTING: tuple[Fault, ...] = (
    Refused(status=401),
    Refused(status=403, on=BOTH),
    Refused(status=418, body="empty", on=BOTH),
    Redirected(on=BOTH),
    Redirected(status=308, to="", on=BOTH),
    ForeignNext(),
    Paging(form="scheme"),
    Paging(form="loop"),
    Odd(content=b'{"previous":null,"next":null,"results":[]', on=BOTH),
    *(odd for name, odd in ODD_BODIES.items() if not odd.harmless and name != "deeply nested"),
)
COSTLY: tuple[Fault, ...] = (Huge(size=20_000_000), Bomb(size=20_000_000), ODD_BODIES["deeply nested"])
FASTER = 100.0
"""Times as fast passes the time in which waits are reckoned; only time-outs of an attempt are real seconds."""


def fake(users: int, seed: int) -> InstrumentedReplicate:
    """Fails one answer in five. Each lasting fault is as frequent as each passing one; each costly one is rare."""
    faults = (*TRANSIENT * 4, *LASTING * 4, *COSTLY) if users > 1000 else (*TRANSIENT, *LASTING)
    return InstrumentedReplicate(
        SyntheticUsers(users, oddities=0.2), Behaviour(chaos=Chaos(share=0.2, faults=faults, seed=seed))
    )


def records(synthetic_users: SyntheticUsers) -> Iterator[ModelRecord]:
    """What the source makes of the rows of synthetic users."""
    newest = [row for row in synthetic_users.rows if row.id % 2]
    for row in newest:
        yield record(
            user_id=row.user_id,
            replicate_model_id=row.replicate_model_id,
            replicate_version_id=row.replicate_version_id,
        )


def fast() -> Timing:
    return Timing(monotonic=lambda: time.monotonic() * FASTER, sleep=lambda seconds: asyncio.sleep(seconds / FASTER))


async def audited(synthetic_users: SyntheticUsers, base_url: str, path: Path) -> tuple[dict[str, Finding], Requests]:
    """The findings by user id, as an audit writes them into its run file, and what it says about its requests."""
    target = Target(base_url, TOKEN, "soak", concurrency=128, per_minute=3_000_000, timeout=1.5, retries=3)
    with RunFile.create(path, run_info()) as run_file:
        with run_file.loading():
            for each in records(synthetic_users):
                first = classify(each, NotAsked(), RunContext())
                run_file.add(each, askable_model(each.replicate_model_id), first)
            run_file.save_population(population(synthetic_users.n))
        async with connect(target, fast()) as replicate:
            # The account is known, so that a single 401 is one model's.
            models = ModelQuestions(replicate, run_file, Classifier(RunContext(synthetic_users.account)))
            auditor = Auditor(models, lambda _: None, token_works=True)
            stop = Stop()
            await auditor.run(target.concurrency, stop)
            assert stop.state is None, stop.reason
        return {user.record.user_id: user.finding for user in run_file.users()}, replicate.requests


def check(synthetic_users: SyntheticUsers, findings: dict[str, Finding], log: RequestLog) -> None:
    """Every verdict is the right one, or an error that the server is to blame for."""
    assert len(findings) == synthetic_users.n
    wrong = []
    errors = 0
    for i in range(synthetic_users.n):
        finding, right = findings[synthetic_users.user_id(i)], synthetic_users.reason(i)
        model = f"{synthetic_users.account.username}/{synthetic_users.model_name(i)}"
        if finding.reason is right:
            continue
        errors += 1
        if finding.status is not Status.ERROR or finding.reason not in log.causes[model]:
            wrong.append((i, right, finding.reason, finding.detail, log.causes[model]))
    assert wrong == []
    assert synthetic_users.n * 0.03 < errors < synthetic_users.n * 0.2  # else nothing was tried, or nothing was retried
    assert Reason.STOPPED not in {finding.reason for finding in findings.values()}


def soak(users: int, seed: int, path: Path) -> None:
    synthetic_users = SyntheticUsers(users, oddities=0.2)
    with in_process(partial(fake, users, seed)) as server:
        findings, requests = asyncio.run(audited(synthetic_users, server.base_url, path))
        log = server.usage().request_log
    check(synthetic_users, findings, log)
    # One in a thousand meets a socket that the server is just closing, and never arrives; more where machines are busy.
    assert 0 <= requests.sent - log.requests <= users // 100
    assert 0 <= log.throttled - requests.throttled <= users // 100  # one that comes late is a time-out
    assert requests.throttled > 0
    assert requests.retried > 0
    assert log.tokens.keys() == {"valid"}
    assert log.peak_sockets <= 128 * 2  # a socket that the server has not yet seen closed counts twice


@pytest.mark.parametrize("seed", [pytest.param(seed, id=f"seed {seed}") for seed in (101, 102)])
def test_hundreds_of_users_get_the_right_verdict_or_an_error_that_the_server_has_caused(
    seed: int, tmp_path: Path
) -> None:
    soak(400, seed, tmp_path / "run.sqlite")


@pytest.mark.slow
@pytest.mark.parametrize("seed", [pytest.param(seed, id=f"seed {seed}") for seed in range(1, 21)])
def test_thousands_of_users_get_the_right_verdict_or_an_error_that_the_server_has_caused(
    seed: int, tmp_path: Path
) -> None:
    soak(5000, seed, tmp_path / "run.sqlite")
