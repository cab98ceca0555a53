"""The last part of a run with `--check-weights`: are the recorded weights of those who are up to date still there?

Each URL is asked for once, however many users have it, and what that told is kept in the run file as it comes; findings
follow when all are asked. So a run that is stopped or killed goes on with what is missing.
"""

import logging
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Protocol

from audit.cli.signals import Stop
from audit.commands.replicate import end_on_stop, together
from audit.commands.run.auditor import GRACE, log_finding
from audit.findings.weights import asked_for
from audit.model.codes import Reason
from audit.model.findings import AuditedUser
from audit.model.replies import WeightsAnswer
from audit.replicate import Replicate
from audit.replicate.weights import AT_ONCE, askable_weights
from audit.runfile import RunFile

log = logging.getLogger(__name__)
GIVE_UP_AFTER = 50
"""Answers in a row that tell nothing: the others are then not waited for."""
_AT_ONCE = 500
OnProgress = Callable[[int, int], None]


class WeightsClient(Protocol):
    """The hosts where weights lie."""

    async def ask(self, url: str) -> WeightsAnswer:
        """Whether there is a file at `url`; never raises for what a server or the network did."""


async def check_weights(replicate: Replicate, run_file: RunFile, on_progress: OnProgress, stop: Stop) -> bool:
    """Ask for what has not been asked for, and judge by it. Returns False where a stop came before the end.

    `on_progress` is called with how many have been asked for, and how many there are.
    """
    want(run_file)
    if not stop.requested and run_file.weights.count_pending():
        async with replicate.delivery_hosts() as hosts:
            await WeightsAsker(hosts, run_file, on_progress).run(stop)
    judge(run_file)
    return not stop.requested or not run_file.weights.count_pending()


def ask_again(run_file: RunFile, *, failed: bool, gone: bool) -> None:
    """Have those asked for again, by the next `check_weights`, that told nothing, or that were gone."""
    with run_file.transaction():
        if failed:
            run_file.weights.forget("nothing")
        if gone:
            run_file.weights.forget("gone")


def want(run_file: RunFile) -> None:
    """Note down each URL of those who are up to date."""
    base_url = run_file.info.base_url
    with run_file.transaction():
        run_file.weights.create()
    recorded = (record.lora_weights_url for _, record, _ in run_file.with_latest_version())
    urls = filter(None, (askable_weights(each, base_url) for each in recorded))
    while some := list(islice(urls, _AT_ONCE)):
        with run_file.transaction():
            run_file.weights.want(some)


def judge(run_file: RunFile) -> None:
    """Add what was told to the findings of those who are up to date."""
    changed = _changed(run_file)
    while some := list(islice(changed, _AT_ONCE)):
        run_file.replace_findings((row_id, user.finding) for row_id, user in some)
        for _, user in some:
            if user.finding.reason is Reason.WEIGHTS_GONE:
                log_finding(user, redacted=run_file.info.redacted)


def _changed(run_file: RunFile) -> Iterator[tuple[int, AuditedUser]]:
    base_url = run_file.info.base_url
    for row_id, record, finding in run_file.with_latest_version():
        url = askable_weights(record.lora_weights_url, base_url)
        answer = run_file.weights.answer(url) if url else None
        if answer and (judged := asked_for(finding, answer)) != finding:
            yield row_id, AuditedUser(record, judged)


class WeightsAsker:
    """Asks for all URLs that are pending, a few at once."""

    def __init__(self, client: WeightsClient, run_file: RunFile, on_progress: OnProgress) -> None:
        self._client = client
        self._run_file = run_file
        self._on_progress = on_progress
        self._left = run_file.weights.count_pending()
        self._total = self._left + (counts.asked if (counts := run_file.count_weights()) else 0)
        self._in_vain = 0

    async def run(self, stop: Stop, grace: float = GRACE) -> None:
        """Return when all are asked for, or at most `grace` seconds after `stop` was requested.

        Where one after the other tells nothing, the rest is given up. Raises what the run file raises.
        """
        self._on_progress(self._total - self._left, self._total)
        urls = self._run_file.weights.pending()
        await end_on_stop(stop, together(lambda: self._worker(urls, stop), AT_ONCE), grace)
        if self._hopeless and not stop.requested:
            with self._run_file.transaction():
                self._run_file.weights.give_up(f"not checked: {GIVE_UP_AFTER} in a row gave no result")

    @property
    def _hopeless(self) -> bool:
        return self._in_vain >= GIVE_UP_AFTER

    async def _worker(self, urls: Iterator[str], stop: Stop) -> None:
        while not (stop.requested or self._hopeless) and (url := next(urls, None)) is not None:
            answer = await self._client.ask(url)
            with self._run_file.transaction():
                self._run_file.weights.record([(url, answer)])
            self._left -= 1
            self._on_progress(self._total - self._left, self._total)
            self._in_vain = self._in_vain + 1 if answer.told == "nothing" else 0
            if self._in_vain == GIVE_UP_AFTER:
                log.warning(
                    "no more weights are checked: %d in a row gave no result (%s)", self._in_vain, answer.detail
                )
