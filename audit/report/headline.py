"""The answer of a run in one sentence, and what it means to somebody who has to decide."""

from audit.models import Status
from audit.report.view import RunView
from audit.report.words import counted


def headline(view: RunView) -> tuple[str, str]:
    """The verdict (`ok`, `needs_sync`, `error`, `empty`) and the sentence that says it."""
    summary = view.summary
    total, need, accepted = summary.total, view.open[Status.NEEDS_SYNC], view.accepted.total
    failed, missed = view.open[Status.ERROR], view.open[Status.NOT_CHECKED]
    if total == 0:
        if view.population is None:
            return "error", "The run ended before any user was read"
        nobody = view.population.users_with_completed_model == 0
        return "empty", "Nobody has a completed model" if nobody else "No user matches what the run was narrowed to"
    if not need and not failed and not missed:
        if accepted:
            needs = "needs attention, and is" if accepted == 1 else "need attention, and all are"
            return "ok", f"{accepted:,} of {counted(total, 'user')} {needs} accepted"
        return "ok", "The only user is up to date" if total == 1 else f"All {total:,} users are up to date"
    verb = "needs" if 1 in {need, total} else "need"
    parts = [f"{need:,} of {counted(total, 'user')} {verb} a sync"]
    if failed:
        parts.append(f"{failed:,} could not be checked")
    if missed:
        parts.append(f"{missed:,} {'was' if missed == 1 else 'were'} not reached")
    if accepted:
        parts.append(f"{accepted:,} accepted")
    return "error" if failed or missed else "needs_sync", "; ".join(parts)


def exit_meaning(view: RunView) -> str:
    """What the verdict means to somebody who has to decide."""
    verdict, _ = headline(view)
    if view.accepted.total and verdict != "error":
        return {
            "ok": "Nothing has to be done for now: what is accepted counts again when that expires.",
            "needs_sync": "Those in need run an old version until their record is corrected.",
        }[verdict]
    return {
        "ok": "Every user was checked. Nothing has to be done.",
        "needs_sync": "Every user was checked. Those in need run an old version until their record is corrected.",
        "error": "The picture is incomplete: what could not be checked is neither good nor bad.",
        "empty": "There was nothing to check.",
    }[verdict]
