"""What Replicate said, judged for `doctor`: the token, the account, a model, the rate. Pure."""

from dataclasses import replace

import msgspec

from audit.cli import options
from audit.commands.doctor.checks import Group, Result, State, clock_result, skipped
from audit.commands.doctor.forecast import Assumed, Bound, forecast
from audit.model.codes import Reason, Status
from audit.model.findings import Finding
from audit.model.replies import Account, Failed, Missing, NoVersions, Reply
from audit.model.text import escape_controls, shortened
from audit.model.times import duration, milliseconds
from audit.model.users import ModelRecord
from audit.postgres.server import AuditableUsers, Server
from audit.replicate.transport import ResponseMetadata

LIMIT = 3000
"""Requests a minute that Replicate gives an account, unless it is low on credit."""
LOW = 0.2
"""Share of the limit below which the audit slows down, so as not to take what is left from the product."""
NOT_SHORT, LONG = 300.0, 3600.0
"""Seconds."""
_REACHABLE = ("replicate_reachable", "Replicate")
_TOKEN = ("token", "token")
_CLOCK = ("replicate_clock", "its clock")
_RATE = ("rate_left", "rate left")
_OWNERS = ("owners", "owners")
_MODEL = ("model", "one model")
_DURATION = ("duration", "an audit")
_TOKEN_STEP = "Make one at https://replicate.com/account/api-tokens and set REPLICATE_API_TOKEN, or use --token-file."  # noqa: S105


class Trial(msgspec.Struct, frozen=True):
    """One real model, asked as an audit asks it, and what came of it."""

    record: ModelRecord
    reply: Reply
    finding: Finding
    seconds: float


class Asked(msgspec.Struct, frozen=True):
    """Everything that Replicate was asked."""

    host: str
    account: Account | Failed
    signs: ResponseMetadata | None
    """Of the answer about the account; None where there was none."""
    trials: tuple[Trial, ...] = ()
    """In the order in which they were made; the last one counts."""


class Speed(msgspec.Struct, frozen=True):
    """How hard an audit would ask."""

    per_minute: int
    concurrency: int


def replicate(asked: Asked | None, people: AuditableUsers | None, server: Server | None) -> list[Result]:
    """All checks about Replicate but the duration; `asked` is None where token or base URL cannot be used."""
    group = Group.REPLICATE
    if asked is None:
        checks = (_REACHABLE, _TOKEN, _CLOCK, _RATE, _OWNERS, _MODEL)
        return skipped(group, checks, "not asked: the token or the base URL is missing or wrong")
    if asked.signs is None:
        detail = asked.account.detail if isinstance(asked.account, Failed) else "no answer"
        first = _result(_REACHABLE, State.FAIL, f"{escape_controls(asked.host)}: {detail}", _way_step())
        rest = (_TOKEN, _CLOCK, _RATE, _OWNERS, _MODEL)
        return [first, *skipped(group, rest, "not asked: Replicate is not reachable")]
    return [
        _reachable(asked, asked.signs),
        _token(asked.account),
        _clock(asked.signs, server),
        _rate(asked.signs),
        _owners(asked, people),
        _model(asked, people),
    ]


def _result(check: tuple[str, str], state: State, figure: str, step: str = "", **data: object) -> Result:
    name, title = check
    return Result(group=Group.REPLICATE, name=name, title=title, state=state, figure=figure, next_step=step, data=data)


def _way_step() -> str:
    return (
        "Check --base-url, this machine's network, and HTTPS_PROXY; https://www.replicatestatus.com says if it is down."
    )


def _reachable(asked: Asked, signs: ResponseMetadata) -> Result:
    host = escape_controls(asked.host)
    data: dict[str, object] = {"latency_ms": round(signs.latency * 1000, 3), "status": signs.status}
    if isinstance(asked.account, Failed) and asked.account.reason in {Reason.SERVER_ERROR, Reason.BAD_RESPONSE}:
        return _result(_REACHABLE, State.FAIL, f"{host}: {asked.account.detail}", _way_step(), **data)
    return _result(_REACHABLE, State.OK, f"{host} answers in {milliseconds(signs.latency)}", "", **data)


def _token(account: Account | Failed) -> Result:
    if not isinstance(account, Failed):
        kind = f" ({escape_controls(account.type)})" if account.type else ""
        who = {"username": account.username, "type": account.type}
        return _result(_TOKEN, State.OK, f"valid, and belongs to {escape_controls(account.username)}{kind}", "", **who)
    if account.reason is Reason.UNAUTHORIZED:
        return _result(_TOKEN, State.FAIL, f"Replicate refuses it ({account.detail})", _TOKEN_STEP)
    if account.reason is Reason.RATE_LIMITED:
        return _result(_TOKEN, State.WARN, "whose it is could not be asked: rate limit", "Try again, see `rate left`.")
    return _result(_TOKEN, State.FAIL, f"whose it is could not be found out: {account.detail}", "Try again.")


def _clock(signs: ResponseMetadata, server: Server | None) -> Result:
    step = "Set the clock that is wrong."
    if signs.clock_ahead is not None and server is not None:
        together = abs(signs.clock_ahead - server.clock_ahead) < 60
        step = f"Set {'this machine' if together else 'that server'}'s clock: " + (
            "PostgreSQL's and Replicate's agree with each other."
            if together
            else "PostgreSQL's agrees with this one's."
        )
        if not together and abs(server.clock_ahead) > 5:
            step = "Three clocks and three times: set this machine's first."
    return clock_result(Group.REPLICATE, _CLOCK, signs.clock_ahead, step)


def _rate(signs: ResponseMetadata) -> Result:
    left, reset = signs.remaining, signs.reset
    data = {"remaining": left, "reset_seconds": reset}
    if signs.status == 429 or left == 0:
        wait = "" if reset is None else f", for another {reset} s"
        step = "Wait, and find out what uses it up: the product and every other audit live on the same limit."
        return _result(
            _RATE,
            State.FAIL,
            f"none: Replicate answers 429 now{wait}" if signs.status == 429 else f"none{wait}",
            step,
            **data,
        )
    if left is None:
        return _result(_RATE, State.OK, "not said", "", **data)
    when = "" if reset is None else f" in the next {reset} s"
    figure = f"{left:,} requests{when}"
    if left < LIMIT * LOW:
        step = f"Below {LIMIT * LOW:,.0f} an audit slows down; run it when the product is quieter, or lower --rate."
        return _result(_RATE, State.WARN, figure, step, **data)
    return _result(_RATE, State.OK, figure, "", **data)


def _owners(asked: Asked, people: AuditableUsers | None) -> Result:
    if people is None or not people.owners:
        return skipped(Group.REPLICATE, [_OWNERS], "not compared: no model ids from the database")[0]
    listed = ", ".join(f"{escape_controls(owner.name)} {owner.users:,}" for owner in people.owners)
    more = people.owner_count - len(people.owners)
    listed += f" and {more:,} more" if more > 0 else ""
    data = {"owners": {owner.name: owner.users for owner in people.owners}, "owner_count": people.owner_count}
    if isinstance(asked.account, Failed):
        return _result(
            _OWNERS, State.WARN, f"models by owner: {listed}", "See the token: whose it is, is not known.", **data
        )
    name, own, users = escape_controls(asked.account.username), people.account_users, people.askable_users
    data |= {"account_users": own, "askable_users": users}
    if own == users:
        return _result(_OWNERS, State.OK, f"all {users:,} models belong to {name}", "", **data)
    figure = f"{own:,} of {users:,} users' models belong to {name}; by owner: {listed}"
    if own == 0:
        found = any(_was_found(trial.reply) for trial in asked.trials)
        owner = escape_controls(people.owners[0].name)
        step = f"Use a token of {owner}: to strangers private models look as if they were gone."
        return _result(_OWNERS, State.WARN if found else State.FAIL, figure, step, **data)
    step = (
        "Private models of other accounts will look as if they did not exist; see the note owner_differs_from_account."
    )
    return _result(_OWNERS, State.WARN, figure, step, **data)


def _was_found(reply: Reply) -> bool:
    return not isinstance(reply, Missing | Failed)


def _model(asked: Asked, people: AuditableUsers | None) -> Result:
    if not asked.trials:
        why = "not asked: " + (
            "the database has no model that could be asked for"
            if people is not None
            else "no model is known without the database"
        )
        if isinstance(asked.account, Failed):
            why = "not asked: see the token"
        return skipped(Group.REPLICATE, [_MODEL], why)[0]
    trial = asked.trials[-1]
    finding, record = trial.finding, trial.record
    model = escape_controls(record.replicate_model_id or "")
    before = len(asked.trials) - 1
    tried = f"; {before} tried before failed ({asked.trials[0].finding.reason})" if before else ""
    data = {"model": model, "user_id": record.user_id, "status": finding.status.value, "reason": finding.reason.value}
    if finding.status is not Status.ERROR or isinstance(trial.reply, NoVersions):
        total = finding.total_versions
        count = "" if total is None else f"{total:,} version{'s' * (total != 1)}, "
        figure = (
            f"{model}: {count}{finding.status.value} ({finding.reason.value}), {milliseconds(trial.seconds)}{tried}"
        )
        return _result(_MODEL, State.OK, figure, "", **data)
    figure = f"{model}: {finding.reason.value}: {shortened(finding.detail or '', 160)}{tried}"
    return _result(_MODEL, State.FAIL, figure, f"sync-audit explain {finding.reason.value}", **data)


def audit_time(asked: Asked | None, people: AuditableUsers | None, speed: Speed) -> Result:
    """How long an audit of everybody will take, what holds it up, and where that is long, a way that may be shorter."""
    if people is None:
        return skipped(Group.REPLICATE, [_DURATION], "not known without the database")[0]
    latency = _latency(asked)
    known = Assumed(
        models=people.models,
        per_minute=speed.per_minute,
        concurrency=speed.concurrency,
        latency=latency or 0.0,
        allowed=LIMIT,
    )
    told = forecast(known)
    figure = f"about {duration(max(told.seconds, 1))} for {people.models:,} models: {_held_up(told.bound, known)}"
    data: dict[str, object] = {"models": people.models, "requests": told.requests, "seconds": round(told.seconds, 1)}
    data |= {"per_minute": speed.per_minute, "bound": told.bound}
    if told.seconds > NOT_SHORT:
        # How many trainings the list has, only reading it would tell: one for each completed row, if not more.
        trainings = people.population.completed_models
        best = forecast(replace(known, trainings=trainings, settled=1.0, sample=options.verify_sample.initial / 100))
        figure += f"; with --mode trainings {duration(best.seconds)} at best"
        data |= {"trainings_requests": best.requests, "trainings_seconds": round(best.seconds, 1)}
    steps = []
    if speed.per_minute > LIMIT:
        steps.append(f"--rate is above the {LIMIT:,} a minute that Replicate allows: expect waits.")
    if told.seconds > LONG:
        steps.append("A run that is stopped can be finished with sync-audit run --resume.")
    state = State.WARN if speed.per_minute > LIMIT else State.OK
    return _result(_DURATION, state, figure, " ".join(steps), **data)


def _held_up(bound: Bound, by: Assumed) -> str:
    if bound == "concurrency":
        return f"no more than {by.concurrency} at once (--concurrency), {milliseconds(by.latency)} each"
    if bound == "limit":
        return f"Replicate allows {LIMIT:,} requests a minute"
    return f"no more than {by.per_minute:,.0f} requests a minute (--rate)"


def _latency(asked: Asked | None) -> float | None:
    """Seconds for one request, as an audit sees them: of a trial that was answered, where there is one."""
    if asked is None:
        return None
    for trial in reversed(asked.trials):
        if _was_found(trial.reply):
            return trial.seconds
    return asked.signs.latency if asked.signs else None
