"""What `doctor` concludes from Replicate's answers: token, account, rate, a model, how long an audit takes. Pure."""

from dataclasses import replace

import msgspec

from audit.cli import options
from audit.commands.doctor.checks import CLOCK_TOLERANCE, Check, CheckResult, CheckState, Group
from audit.commands.doctor.forecast import Assumed, Bound, forecast
from audit.model.codes import Reason, Status
from audit.model.findings import Finding
from audit.model.replies import Account, Failed, Missing, NoVersions, Reply
from audit.model.text import escape_controls, shortened
from audit.model.times import duration, milliseconds
from audit.model.users import ModelRecord
from audit.postgres.server import AuditableUsers, Inspection, Server
from audit.replicate.rate_limit import LIMIT, PRODUCT
from audit.replicate.transport import ResponseMetadata

NOT_SHORT, LONG = 300.0, 3600.0
"""Seconds."""
_REACHABLE = Check(Group.REPLICATE, "replicate_reachable", "Replicate")
_TOKEN = Check(Group.REPLICATE, "token", "token")
_CLOCK = Check(Group.REPLICATE, "replicate_clock", "its clock")
_RATE = Check(Group.REPLICATE, "rate_left", "rate left")
_OWNERS = Check(Group.REPLICATE, "owners", "owners")
_MODEL = Check(Group.REPLICATE, "model", "one model")
_DURATION = Check(Group.REPLICATE, "duration", "an audit")
_UNREACHABLE_STEP = (
    "Check --base-url, this machine's network, and HTTPS_PROXY or https_proxy; "
    "https://www.replicatestatus.com shows whether it is down."
)
_TOKEN_STEP = "Make one at https://replicate.com/account/api-tokens and set REPLICATE_API_TOKEN, or use --token-file."  # noqa: S105


class Trial(msgspec.Struct, frozen=True):
    """One real model, asked for as an audit does, with what an audit would find."""

    record: ModelRecord
    reply: Reply
    finding: Finding
    seconds: float


class ReplicateAnswers(msgspec.Struct, frozen=True):
    """What Replicate answered about account and models."""

    host: str
    account: Account | Failed
    metadata: ResponseMetadata | None
    """Of the answer about the account; None where there was none."""
    trials: tuple[Trial, ...] = ()
    """In the order in which they were made; the last one counts."""


class Speed(msgspec.Struct, frozen=True):
    """How fast an audit may ask."""

    per_minute: int
    concurrency: int


def replicate_checks(answers: ReplicateAnswers | None, inspection: Inspection) -> list[CheckResult]:
    """All checks of Replicate but the duration; `answers` is None where token or base URL cannot be used."""
    checks = (_REACHABLE, _TOKEN, _CLOCK, _RATE, _OWNERS, _MODEL)
    if answers is None:
        return [check.skip("not checked: the token, the base URL or the proxy is missing or wrong") for check in checks]
    metadata = answers.metadata
    if metadata is None:
        detail = answers.account.detail if isinstance(answers.account, Failed) else "no answer"
        first = _REACHABLE.fail(f"{escape_controls(answers.host)}: {detail}", _UNREACHABLE_STEP)
        return [first, *(check.skip("not checked: Replicate is not reachable") for check in checks[1:])]
    return [
        _reachable(answers, metadata),
        _token(answers.account),
        _clock(metadata, inspection.server),
        _rate(metadata),
        _owners(answers, inspection.users),
        _model(answers, inspection.users),
    ]


def _reachable(answers: ReplicateAnswers, metadata: ResponseMetadata) -> CheckResult:
    host = escape_controls(answers.host)
    data: dict[str, object] = {"latency_ms": round(metadata.latency * 1000, 3), "status": metadata.status}
    if isinstance(answers.account, Failed) and answers.account.reason in {Reason.SERVER_ERROR, Reason.BAD_RESPONSE}:
        return _REACHABLE.fail(f"{host}: {answers.account.detail}", _UNREACHABLE_STEP, **data)
    return _REACHABLE.ok(f"{host} answers in {milliseconds(metadata.latency)}", **data)


def _token(account: Account | Failed) -> CheckResult:
    if not isinstance(account, Failed):
        kind = f" ({escape_controls(account.type)})" if account.type else ""
        figure = f"valid, and belongs to {escape_controls(account.username)}{kind}"
        return _TOKEN.ok(figure, username=account.username, type=account.type)
    if account.reason is Reason.UNAUTHORIZED:
        return _TOKEN.fail(f"Replicate refuses it ({account.detail})", _TOKEN_STEP)
    if account.reason is Reason.RATE_LIMITED:
        return _TOKEN.warn("could not identify the token's account: rate limit", "Try again; see `rate left`.")
    return _TOKEN.fail(f"could not identify the token's account: {account.detail}", "Try again.")


def _clock(metadata: ResponseMetadata, server: Server | None) -> CheckResult:
    step = "Set the wrong clock."
    if metadata.clock_ahead is not None and server is not None:
        together = abs(metadata.clock_ahead - server.clock_ahead) < 60
        if together:
            step = "Set this machine's clock: PostgreSQL's and Replicate's agree."
        elif abs(server.clock_ahead) > CLOCK_TOLERANCE:
            step = "All three clocks differ: set this machine's first."
        else:
            step = "Set that server's clock: PostgreSQL's agrees with this machine's."
    return _CLOCK.clock(metadata.clock_ahead, step)


def _rate(metadata: ResponseMetadata) -> CheckResult:
    left, reset = metadata.remaining, metadata.reset
    data = {"remaining": left, "reset_seconds": reset}
    if metadata.status == 429 or left == 0:
        wait = "" if reset is None else f", for another {reset} s"
        figure = f"none: Replicate answers 429{wait}" if metadata.status == 429 else f"none{wait}"
        step = "Wait, and find out what uses it up: the product and other audits share this limit."
        return _RATE.fail(figure, step, **data)
    if left is None:
        return _RATE.ok("not known", **data)
    when = "" if reset is None else f" in the next {reset} s"
    step = (
        f"Below {LIMIT * PRODUCT:,.0f} an audit slows down. Run it when the product is quieter, or with a lower --rate."
    )
    return _RATE.warn_if(step if left < LIMIT * PRODUCT else "", f"{left:,} requests{when}", **data)


def _owners(answers: ReplicateAnswers, users: AuditableUsers | None) -> CheckResult:
    if users is None or not users.owners:
        return _OWNERS.skip("not compared: no model ids from the database")
    listed = ", ".join(f"{escape_controls(owner.name)} {owner.users:,}" for owner in users.owners)
    more = users.owner_count - len(users.owners)
    listed += f" and {more:,} more" if more > 0 else ""
    data: dict[str, object] = {
        "owners": {owner.name: owner.users for owner in users.owners},
        "owner_count": users.owner_count,
    }
    if isinstance(answers.account, Failed):
        return _OWNERS.warn(f"models by owner: {listed}", "See `token`: its account is not known.", **data)
    name, own, askable = escape_controls(answers.account.username), users.account_users, users.askable_users
    data |= {"account_users": own, "askable_users": askable}
    if own == askable:
        return _OWNERS.ok(f"all {askable:,} models belong to {name}", **data)
    figure = f"{own:,} of {askable:,} users' models belong to {name}; by owner: {listed}"
    if own == 0:
        found = any(_was_found(trial.reply) for trial in answers.trials)
        owner = escape_controls(users.owners[0].name)
        step = f"Use a token of {owner}: with another token, private models look as if they did not exist."
        return _OWNERS.result(CheckState.WARN if found else CheckState.FAIL, figure, step, **data)
    step = "Private models of other accounts look as if they did not exist; see the note owner_differs_from_account."
    return _OWNERS.warn(figure, step, **data)


def _was_found(reply: Reply) -> bool:
    return not isinstance(reply, Missing | Failed)


def _model(answers: ReplicateAnswers, users: AuditableUsers | None) -> CheckResult:
    if not answers.trials:
        if isinstance(answers.account, Failed):
            return _MODEL.skip("not checked: see the token")
        if users is None:
            return _MODEL.skip("not checked: needs the database")
        return _MODEL.skip("not checked: the database has no model to check")
    trial = answers.trials[-1]
    finding, record = trial.finding, trial.record
    model = escape_controls(record.replicate_model_id or "")
    before = len(answers.trials) - 1
    tried = f"; {before} tried before that failed ({answers.trials[0].finding.reason})" if before else ""
    data = {"model": model, "user_id": record.user_id, "status": finding.status.value, "reason": finding.reason.value}
    if finding.status is not Status.ERROR or isinstance(trial.reply, NoVersions):
        total = finding.total_versions
        count = "" if total is None else f"{total:,} version{'s' * (total != 1)}, "
        found = f"{count}{finding.status.value} ({finding.reason.value}), {milliseconds(trial.seconds)}"
        return _MODEL.ok(f"{model}: {found}{tried}", **data)
    figure = f"{model}: {finding.reason.value}: {shortened(finding.detail or '', 160)}{tried}"
    return _MODEL.fail(figure, f"sync-audit explain {finding.reason.value}", **data)


def duration_check(answers: ReplicateAnswers | None, users: AuditableUsers | None, speed: Speed) -> CheckResult:
    """How long an audit of everybody will take, what holds it up, and where that is long, a way that may be shorter."""
    if users is None:
        return _DURATION.skip("not known: needs the database")
    known = Assumed(
        models=users.models + users.population.users_with_unfinished_training,
        per_minute=speed.per_minute,
        concurrency=speed.concurrency,
        latency=_latency(answers) or 0.0,
        allowed=LIMIT,
        at_once=_at_once(answers),
    )
    expected = forecast(known)
    figure = (
        f"about {duration(max(expected.seconds, 1))} for {users.models:,} models: {_held_up(expected.bound, known)}"
    )
    data: dict[str, object] = {
        "models": users.models,
        "requests": expected.requests,
        "seconds": round(expected.seconds, 1),
        "per_minute": speed.per_minute,
        "bound": expected.bound,
    }
    if expected.seconds > NOT_SHORT:
        # How many trainings the list has, only reading it would tell: one for each completed row, if not more.
        trainings = users.population.completed_models
        best = forecast(replace(known, trainings=trainings, settled=1.0, sample=options.verify_sample.initial / 100))
        figure += f"; with --mode trainings at least {duration(best.seconds)}"
        data |= {"trainings_requests": best.requests, "trainings_seconds": round(best.seconds, 1)}
    steps = []
    if speed.per_minute > LIMIT:
        steps.append(f"--rate is above the {LIMIT:,} a minute that Replicate allows: expect waits.")
    if expected.seconds > LONG:
        steps.append("A stopped run can be finished: sync-audit run --resume RUN")
    state = CheckState.WARN if speed.per_minute > LIMIT else CheckState.OK
    return _DURATION.result(state, figure, " ".join(steps), **data)


def _held_up(bound: Bound, by: Assumed) -> str:
    if bound == "concurrency":
        return f"at most {by.concurrency} at once (--concurrency), {milliseconds(by.latency)} each"
    if bound == "limit":
        return f"Replicate allows {LIMIT:,} requests a minute"
    return f"at most {by.per_minute:,.0f} requests a minute (--rate)"


def _at_once(answers: ReplicateAnswers | None) -> float:
    """Requests that fit into what is left of this minute, with the share of the account's product kept for it."""
    left = answers.metadata.remaining if answers and answers.metadata else None
    return max(0.0, (left or 0) - LIMIT * PRODUCT)


def _latency(answers: ReplicateAnswers | None) -> float | None:
    """Seconds for one request, as an audit sees them: of a trial that was answered, where there is one."""
    if answers is None:
        return None
    for trial in reversed(answers.trials):
        if _was_found(trial.reply):
            return trial.seconds
    return answers.metadata.latency if answers.metadata else None
