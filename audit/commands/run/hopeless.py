"""A run whose token is of another account than the models: ended early, with nobody blamed, and begun anew.

When all of the first answers were 404 no question is begun, and those in flight get `GRACE` seconds: one that finds
something takes the end back.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Generic, TypeVar

import msgspec

from audit.cli.signals import Stop
from audit.commands.replicate import end_on_stop
from audit.commands.run.auditor import GRACE, Auditor, Questions
from audit.commands.run.questions import Shown
from audit.findings.classify import context_of
from audit.findings.hopeless import Hopeless
from audit.findings.unfinished import unasked
from audit.model.findings import AuditedUser
from audit.model.replies import Account, Failed, TrainingsRead
from audit.model.run import RunInfo
from audit.runfile import RunFile
from audit.runfile.accounts import Accounts, put_back

_Q = TypeVar("_Q")
_A = TypeVar("_A")


class Asking:
    """Asks the questions of one run, kind by kind, unless that is hopeless."""

    def __init__(self, run_file: RunFile, stop: Stop, grace: float = GRACE) -> None:
        info = run_file.info
        self._run_file = run_file
        self._stop = stop
        self._grace = grace
        self._accounts = Accounts(run_file)
        # Files of older versions tell models apart by their case: nobody knows then which are the account's own.
        self._rule = Hopeless(info.account if info.by_model_key else None, self._accounts)

    async def run(
        self, questions: Questions[_Q, _A], auditor: Callable[[Questions[_Q, _A]], Auditor[_Q, _A]], concurrency: int
    ) -> bool:
        """As `Auditor.run` does; whether the token was refused. Requests the stop where the run is hopeless."""
        while True:
            watched = _Watched(questions, self._rule)
            asked = auditor(watched)
            await end_on_stop(watched.pause, asked.run(concurrency, self._stop), self._grace)
            if self._stop.requested or not watched.pause.requested:
                return asked.token_refused
            if self._rule.hopeless:
                self._end()

    def _end(self) -> None:
        """Put everybody back who was answered, and stop the run."""
        info = self._run_file.info
        assert info.account is not None  # noqa: S101 - else no run is hopeless
        none_found = self._accounts.none_found(self._rule.not_found)
        context = context_of(info, self._run_file.population)
        with self._run_file.transaction():
            put_back(self._run_file, lambda record: unasked(record, context))
            self._run_file.save_info(msgspec.structs.replace(info, none_found=none_found))
        self._stop.request("stopped", none_found.told(info.account))


class _Watched(Generic[_Q, _A]):
    """`questions`, until the rule has seen enough: then `pause` is requested."""

    def __init__(self, questions: Questions[_Q, _A], rule: Hopeless) -> None:
        self._questions = questions
        self._rule = rule
        self.pause = Stop()

    def pending(self) -> Iterator[_Q]:
        """See `Questions`."""
        for question in self._questions.pending():
            if self.pause.requested:
                return
            yield question

    async def ask(self, question: _Q, *, once: bool = False) -> _A:
        """See `Questions`."""
        return await self._questions.ask(question, once=once)

    def failure(self, answer: _A) -> Failed | None:
        """See `Questions`."""
        return self._questions.failure(answer)

    def shown(self, question: _Q, answer: _A) -> Shown:
        """See `Questions`."""
        return self._questions.shown(question, answer)

    def record(self, question: _Q, answer: _A) -> Iterator[Sequence[AuditedUser]]:
        """See `Questions`."""
        yield from self._questions.record(question, answer)
        if self._rule.found:
            return
        shown = self._questions.shown(question, answer)
        self._rule.record(shown.question, shown.model, shown=shown.shown)
        if self._rule.hopeless:
            self.pause.request("stopped", "")


def begin_anew(run_file: RunFile, account: Account) -> RunInfo:
    """Make the run that of another account, of which nothing was asked yet; returns what is known of it then."""
    info = run_file.info
    trainings = info.trainings
    if trainings:  # the list was the other account's
        wanted = {name: getattr(trainings, name) for name in ("mode", "since", "sample")}
        trainings = TrainingsRead(**wanted)
    info = msgspec.structs.replace(info, account=account, trainings=trainings)
    context = context_of(info, run_file.population)
    with run_file.transaction():
        put_back(run_file, lambda record: unasked(record, context), all_of_them=True)
        run_file.trainings.clear()
        run_file.save_info(info)
    return info
