"""The last lines of `sync --apply` and `sync --undo`: how it went, and how to go on."""

from audit.cli.page import BOLD, DIM, Page
from audit.models import Status
from audit.repair import State
from audit.repair_tally import Tally
from audit.visible import visible

_SKIPPED = "What was skipped is not what it was in the audit, or locked: audit again (sync-audit run), and plan anew."
_NOT_PUT_BACK = "What was skipped was changed by somebody after the repair, and is left to you."


def show_end(tally: Tally, page: Page, *, applied: bool, go_on: str) -> None:
    """Everything but the last line, which names the exit code's meaning; `go_on` is the command to go on with."""
    done, skipped = ("changed", _SKIPPED) if applied else ("put back", _NOT_PUT_BACK)
    counts = [
        f"{rows(tally.states[State.DONE])} {done}",
        f"{tally.already:,} {done} already" if tally.already else "",
        f"{tally.found_done:,} found to be {done} before a kill" if tally.found_done else "",
        f"{tally.states[State.SKIPPED]:,} skipped" if tally.states[State.SKIPPED] else "",
        f"{tally.states[State.FAILED]:,} failed" if tally.states[State.FAILED] else "",
        f"{tally.states[State.BEGUN]:,} not known" if tally.states[State.BEGUN] else "",
        f"{tally.left:,} not come to" if tally.left else "",
    ]
    page.line((", ".join(filter(None, counts)), BOLD))
    if tally.now:
        good = tally.now[Status.UP_TO_DATE]
        page.line(f"Audited again: {good:,} of {_users(tally.now.total())} up to date now")
        if tally.stopped:
            page.line(f"The others were not: {tally.stopped}", indent=2)
        for row in tally.not_now:
            page.line((f"{visible(row.user or '')}: {visible(row.why or '')}", DIM), indent=2)
        more = tally.now.total() - good - len(tally.not_now)
        if more > 0:
            page.line((f"and {more:,} more", DIM), indent=2)
    for error, what in ((tally.error, "It ended early"), (tally.unaudited, "They could not be audited again")):
        if error:
            page.paragraph(visible(f"{what}: {error}"))
            page.paragraph(visible(error.next_step), indent=2)
    if tally.stopped and tally.left:
        page.line(f"It ended early: {tally.stopped}")
    if tally.states[State.SKIPPED]:
        page.paragraph(skipped)
    if tally.error or tally.left or tally.states[State.FAILED]:
        page.line("What is done stays done. To go on:")
        page.line((visible(go_on), BOLD), indent=2)


def rows(count: int) -> str:
    """So many."""
    return f"{count:,} row{'s' * (count != 1)}"


def _users(count: int) -> str:
    return f"{count:,} {'user is' if count == 1 else 'users are'}"
