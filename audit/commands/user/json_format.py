"""`sync-audit user --json`: one user, or those among whom one has to be chosen."""

import json

import msgspec

from audit import __version__
from audit.commands.user.case import UserCase, UserLines, explained, links, next_steps
from audit.commands.user.checklist import checklist
from audit.commands.user.last_training import last_training
from audit.findings.rows import ClassifiedRow, RowClass
from audit.hints.trainings import shown_trainings
from audit.model.exit_status import USAGE
from audit.model.text import escape_in_json
from audit.postgres.user import Candidates
from audit.report.json_report import also_block


def dumped(case: UserCase | UserLines | Candidates) -> str:
    """Of several lines, the keys of the gravest one, and all of them in `lines`.

    ASCII alone: what acts on a terminal or is missing from a code page stands there as an escape.
    """
    head = {"schema_version": 1, "tool": {"name": "sync-audit", "version": __version__}}
    if isinstance(case, UserCase):
        rest = {"exit_code": case.exit_status.code, **document(case), **_per(case), "lines": None, "more_lines": 0}
    elif isinstance(case, UserLines):
        first, rows = case.cases[0], case.rows
        whole = {"rows": None if rows is None else [_row(each) for each in rows]}
        lines = [document(each) for each in case.cases]
        told = {"lines": lines, "more_lines": case.left_out}
        rest = {"exit_code": case.exit_status.code, **document(first), **whole, **_per(first), **told}
    else:
        rest = {"exit_code": USAGE, "matches": case.persons, "more_matches": case.more}
    return escape_in_json(json.dumps(msgspec.to_builtins(head | rest), indent=1))


def _per(case: UserCase) -> dict[str, object]:
    return {"latest_per": case.tables.latest_per}


def document(case: UserCase) -> dict[str, object]:
    """The keys of one user, in their order: they are only ever added to."""
    user = case.user
    record, finding = (user.record, user.finding) if user else (None, None)
    latest = finding and finding.latest_version
    current_training, latest_training, later_training = shown_trainings(user) if user else (None, None, None)
    return {
        "source": case.source,
        "account": case.account and case.account.username,
        "order_by": case.order_by,
        **msgspec.structs.asdict(case.person),
        "status": finding and finding.status,
        "reason": finding and finding.reason,
        "detail": finding and finding.detail,
        "model_row_id": record and record.model_row_id,
        "replicate_model_id": record and record.replicate_model_id,
        "current_version": record and record.replicate_version_id,
        "current_version_created_at": finding and finding.current_version_created_at,
        "latest_version": latest,
        "latest_version_created_at": finding and finding.latest_version_created_at,
        "versions_behind": finding and finding.versions_behind,
        "total_versions_on_replicate": finding and finding.total_versions,
        "last_training": last_training(case),
        "rows": None if case.rows is None else [_row(each) for each in case.rows],
        "versions": [
            {**msgspec.structs.asdict(each), "recorded": each.id == case.recorded, "latest": each.id == latest}
            for each in case.versions
        ],
        "next_steps": next_steps(case),
        "notes": finding.notes if finding else (),
        "explained": [{"code": code, **msgspec.structs.asdict(hint)} for code, hint in explained(case).items()],
        "checklist": checklist(case),
        "links": links(case),
        "not_known": case.not_known,
        "evidence": finding and finding.evidence,
        "current_training": current_training,
        "latest_training": latest_training,
        "later_training": later_training,
        "affected_since": finding and finding.affected_since,
        "weights_checked": finding and finding.weights_checked,
        "row_status": record and record.training_status,
        "also": also_block(user) if user else None,
        "other_models": record and record.other_models,
    }


def _row(row: ClassifiedRow) -> dict[str, object]:
    recorded = msgspec.structs.asdict(row.row)
    verdict = {"counts": row.verdict is RowClass.COUNTS, "verdict": row.verdict, "why": row.why}
    return {"model_row_id": row.row.model_row_id, **verdict, **recorded}
