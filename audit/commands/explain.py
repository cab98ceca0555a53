"""`sync-audit explain`: what a reason, a note or an exit code means, and what to do."""

from typing import TYPE_CHECKING

import click

from audit.model.codes import Note, Reason, Status
from audit.model.exit_status import RUN

if TYPE_CHECKING:
    from collections.abc import Sequence

    from audit.cli.terminal import Page
    from audit.hints.explain import Explanation


def _codes(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[str]:
    """For Tab: what there is to explain."""
    return [code for code in (*Status, *Reason, *Note, *map(str, RUN)) if code.startswith(incomplete)]


@click.command("explain")
@click.argument("code", metavar="[REASON|NOTE|EXIT CODE]", required=False, shell_complete=_codes)
def command(code: str | None) -> None:
    """Explain a reason, a note or an exit code, and what to do.

    Without one, list them all.
    """
    from audit.cli.terminal import Page, screen
    from audit.errors import SettingsError
    from audit.hints.explain import EXPLANATIONS, explanation, nearest, of_status

    page = Page(screen())
    if code is None:
        _list(EXPLANATIONS, page)
    elif found := explanation(code):
        _show(found, page)
    elif several := of_status(code):
        _list(several, page)
    else:
        near = nearest(code)
        suggestion = f"Did you mean {', '.join(near[:-1])}{' or ' * (len(near) > 1)}{near[-1]}? " if near else ""
        raise SettingsError(f"{code!r} is no reason, note or exit code", f"{suggestion}All of them: sync-audit explain")


def _list(explanations: "Sequence[Explanation]", page: "Page") -> None:
    from audit.cli.terminal import BOLD

    width = max(len(each.code) for each in explanations)
    group = ""
    for each in explanations:
        if each.group != group:
            if group:
                page.line()
            group = each.group
            page.line((group, BOLD))
        page.paragraph(each.title, first=f"{each.code:<{width}}  ", indent=2)
    page.line()
    page.paragraph("For the meaning and the steps of one of them: sync-audit explain CODE")


def _show(found: "Explanation", page: "Page") -> None:
    from audit.cli.terminal import BOLD, DIM

    page.line((found.title, BOLD), f"  {found.code}", (f"  {found.group}", DIM))
    page.line()
    page.paragraph(found.meaning)
    if found.steps:
        page.line()
        page.steps(found.steps)
