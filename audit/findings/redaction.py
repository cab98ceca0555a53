"""Masking of e-mail and name, wherever their text comes out, so that a report may leave the team.

What identifies a row stays: `user_id`, `model_row_id`, versions. An identifier that holds an e-mail address is
masked in that part all the same: a report that gives addresses away is worse than one that needs a second look.
"""

from collections.abc import Callable, Iterable, Iterator

from msgspec.structs import replace

from audit.findings.acceptance import Accepted
from audit.findings.comparison import UserSnapshot
from audit.model.findings import Acceptance, AuditedUser, Finding
from audit.model.personal import Personal, masked_address, without_addresses
from audit.model.repair import LeftOut, RowChange, RowUpdate
from audit.model.replies import Lineage, Training
from audit.model.run import RunInfo
from audit.model.users import ROW_TEXTS, ModelRecord

MASKED_NAME = "***"
_IDENTIFIERS = (
    *("user_id", "model_row_id", "created_at", "updated_at", "completed_at", "started_at", "began_at"),
    "training_status",
)
"""Of these only addresses are masked: a display name "42" must not blot out every id that is 42."""
_RECORD_TEXTS = (*(name for name in ROW_TEXTS if name not in _IDENTIFIERS), "later_failure_reason")
_TRAINING_TEXTS = ("id", "model", "weights", "trigger_word", "error")
"""What a person or a trainer may have put a name into; of a status only addresses are masked."""


def redacted_user(user: AuditedUser) -> AuditedUser:
    """The user with e-mail and name masked, and every other text cleared of both."""
    personal = _personal(user.record)
    clean = _cleaner(personal)
    return AuditedUser(
        _redacted_record(user.record, clean),
        _redacted_finding(user.finding, clean),
        user.baseline,
        user.accepted and _redacted_acceptance(user.accepted, personal),
        user.counting and _redacted_record(user.counting, clean),
    )


def _redacted_record(record: ModelRecord, clean: Callable[[str], str]) -> ModelRecord:
    changes: dict[str, object] = {
        "email": record.email and masked_address(record.email),
        "display_name": record.display_name and MASKED_NAME,
        "shared_with": tuple(without_addresses(other) for other in record.shared_with),
        "newer": record.newer and _redacted_record(record.newer, clean),
    }
    _clean_fields(record, _RECORD_TEXTS, clean, changes)
    _clean_fields(record, _IDENTIFIERS, without_addresses, changes)
    return replace(record, **changes)


def redacted_entry(entry: Acceptance) -> Acceptance:
    """An acceptance on its own. Whom its text names, nothing tells: all of it is masked, and the model's name."""
    return replace(
        entry,
        user=entry.user and without_addresses(entry.user),
        model=entry.model and f"{without_addresses(entry.model.partition('/')[0])}/{MASKED_NAME}",
        version=entry.version and without_addresses(entry.version),
        training=entry.training and without_addresses(entry.training),
        because=MASKED_NAME,
        author=entry.author and MASKED_NAME,
    )


def _redacted_acceptance(entry: Acceptance, personal: list[str]) -> Acceptance:
    """That of a user with `personal` texts: the author's name is one more of them."""
    clean = _cleaner([*personal, entry.author] if entry.author else personal)
    return replace(
        entry,
        user=entry.user and clean(entry.user),
        model=entry.model and clean(entry.model),
        version=entry.version and clean(entry.version),
        training=entry.training and clean(entry.training),
        because=clean(entry.because),
        author=entry.author and MASKED_NAME,
    )


def redacted_snapshot(user: UserSnapshot) -> UserSnapshot:
    """The same for a user of an earlier run; masking twice changes nothing."""
    clean = _cleaner(filter(None, (user.email, user.display_name)))
    return replace(
        user,
        user_id=without_addresses(user.user_id),
        model_row_id=user.model_row_id and without_addresses(user.model_row_id),
        email=user.email and masked_address(user.email),
        display_name=user.display_name and MASKED_NAME,
        replicate_model_id=user.replicate_model_id and clean(user.replicate_model_id),
        detail=user.detail and clean(user.detail),
        current_version=user.current_version and clean(user.current_version),
    )


def redacted_training(training: Training, record: ModelRecord) -> Training:
    """The training of a user with this `record`, cleared of e-mail and name: trigger words and errors may hold both."""
    return _redacted_training(training, _cleaner(_personal(record)))


def redacted_change(change: RowChange, user: AuditedUser) -> RowChange:
    """The change of `user`, masked as the user is; good to be looked at, and not to be made."""
    record, clean = redacted_user(user).record, _cleaner(_personal(user.record))
    keeps_version = change.new_version == change.old_version
    replaced = change.weights == "replaced"
    return replace(
        change,
        user_id=record.user_id,
        email=record.email,
        model_row_id=record.model_row_id,
        replicate_model_id=clean(change.replicate_model_id),
        old_version=record.replicate_version_id,
        new_version=(record.replicate_version_id or "") if keeps_version else clean(change.new_version),
        old_weights=record.lora_weights_url,
        new_weights=clean(change.new_weights or "") if replaced else record.lora_weights_url,
        old_others={column: value and clean(value) for column, value in change.old_others.items()},
        new_others={column: value and clean(value) for column, value in change.new_others.items()},
    )


def names_somebody(texts: Iterable[str | None], email: str | None, name: str | None = None) -> bool:
    """Whether one of `texts`, of which nothing can be masked, holds an address, or the e-mail or name of its user."""
    clean = _cleaner(filter(None, (email, name)))
    return any(clean(text) != text for text in texts if text)


def names_user(user: AuditedUser, update: RowUpdate) -> bool:
    """Whether `update`, of which nothing can be masked, names `user` or somebody else."""
    texts = (update.model_row_id, *update.guards.values(), *update.sets.values(), *(update.over or {}).values())
    return names_somebody(texts, user.record.email, user.record.display_name)


def redacted_left_out(left_out: LeftOut, user: AuditedUser) -> LeftOut:
    """The same for a `user` who is left out."""
    record = redacted_user(user).record
    return replace(left_out, user_id=record.user_id, email=record.email, model_row_id=record.model_row_id)


def redacted_run(info: RunInfo, users: Callable[[], Iterator[AuditedUser]]) -> RunInfo:
    """The run with addresses masked in its texts, and where somebody has typed e-mails and names of its `users`."""
    trainings, acceptances, baseline = info.trainings, info.acceptances, info.baseline
    paths = (baseline.path if baseline else "", acceptances.file if acceptances else "")
    owners = [owner for owner, _ in info.none_found.owners] if info.none_found else []
    shown = _redacted_words({*info.filters.users, *filter(None, paths), *owners}, users)
    none_found, stop_reason = info.none_found, info.stop_reason
    if none_found and info.account:
        none_found = replace(none_found, owners=tuple((shown[owner], count) for owner, count in none_found.owners))
        stop_reason = stop_reason and none_found.told(info.account)
    return replace(
        info,
        redacted=True,
        stop_reason=stop_reason and without_addresses(stop_reason),
        none_found=none_found,
        baseline=baseline and replace(baseline, path=shown[baseline.path]),
        filters=replace(info.filters, users=tuple(shown[who] for who in info.filters.users)),
        trainings=trainings and replace(trainings, problem=trainings.problem and without_addresses(trainings.problem)),
        acceptances=acceptances
        and replace(
            acceptances,
            file=shown.get(acceptances.file, ""),
            entries=tuple(map(redacted_entry, acceptances.entries)),
        ),
    )


def redacted_accepted(accepted: Accepted) -> Accepted:
    """The counts, with the entries that are listed beside them masked."""
    expired, unmatched = (tuple(map(redacted_entry, each)) for each in (accepted.expired, accepted.unmatched))
    return replace(accepted, expired=expired, unmatched=unmatched)


def _redacted_words(words: set[str], users: Callable[[], Iterator[AuditedUser]]) -> dict[str, str]:
    """What somebody has typed, masked where it is an address, or has the e-mail or name of a user of the run in it."""
    people, shown, folded = set[str](), {each: each for each in words}, set(map(_folded, words))
    for user in users() if words else ():
        personal = _personal(user.record)
        people |= folded.intersection(map(_folded, personal))
        clean = _cleaner(personal)
        shown = {each: clean(text) for each, text in shown.items()}
    return {
        each: without_addresses(masked_address(each.strip()) if _folded(each) in people else text)
        for each, text in shown.items()
    }


def _folded(text: str) -> str:
    return text.strip().casefold()


def _personal(record: ModelRecord) -> list[str]:
    return [text for text in (record.email, record.display_name) if text and text.strip()]


def _cleaner(personal: Iterable[str]) -> Callable[[str], str]:
    """Masks `personal` texts, however they are spelled, and every address."""
    person = Personal(personal)
    return lambda text: without_addresses(person.masked(text, MASKED_NAME))


def _redacted_finding(finding: Finding, clean: Callable[[str], str]) -> Finding:
    changes: dict[str, object] = {"detail": clean(finding.detail)} if finding.detail else {}
    if finding.lineage:
        changes["lineage"] = _redacted_lineage(finding.lineage, clean)
    if finding.also:
        changes["also"] = _redacted_finding(finding.also, clean)
    return replace(finding, **changes)


def _redacted_lineage(lineage: Lineage, clean: Callable[[str], str]) -> Lineage:
    found = {name: getattr(lineage, name) for name in Lineage.__struct_fields__}
    return Lineage(**{name: training and _redacted_training(training, clean) for name, training in found.items()})


def _redacted_training(training: Training, clean: Callable[[str], str]) -> Training:
    changes: dict[str, object] = {}
    _clean_fields(training, _TRAINING_TEXTS, clean, changes)
    _clean_fields(training, ("status",), without_addresses, changes)
    return replace(training, **changes)


def _clean_fields(
    told: ModelRecord | Training, names: tuple[str, ...], clean: Callable[[str], str], changes: dict[str, object]
) -> None:
    for name in names:
        text = getattr(told, name)
        if text is not None and (cleaned := clean(text)) != text:
            changes[name] = cleaned
