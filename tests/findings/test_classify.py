"""The rule table: one case a rule."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit.findings.classify import RunContext, classify, wrong_account, wrong_base_url
from audit.findings.exit_codes import exit_code
from audit.model import exit_status
from audit.model.codes import Note, Reason, Status
from audit.model.findings import Summary
from audit.model.ids import askable_model, recorded_hash
from audit.model.replies import Account, Failed, Found, Missing, NotAsked, NoVersions, Reply, Version, newest_first
from audit.model.tables import Column
from audit.model.times import parse_utc
from tests.support.samples import NEW, OLD, digest, found, record

NOBODY = RunContext()
BOTH = found(NEW, OLD)
DOWN = Failed(Reason.SERVER_ERROR, "HTTP 502: Bad Gateway")


def case(name: str, changes: dict[str, Any], reply: Reply, reason: Reason) -> Any:
    return pytest.param(changes, reply, reason, id=name)


VERSION = "replicate_version_id"
MODEL = "replicate_model_id"


@pytest.mark.parametrize(
    ("changes", "reply", "reason"),
    [
        case("recorded is the latest", {VERSION: NEW}, BOTH, Reason.LATEST_VERSION),
        case("recorded is older", {VERSION: OLD}, BOTH, Reason.OUTDATED_VERSION),
        case("upper case is the same hash", {VERSION: NEW.upper()}, BOTH, Reason.LATEST_VERSION),
        case("blanks around are trimmed", {VERSION: f" \t{NEW}\r\n"}, BOTH, Reason.LATEST_VERSION),
        case("owner/name: in front is dropped", {VERSION: f"acme/ann:{NEW}"}, BOTH, Reason.LATEST_VERSION),
        case("another model's name in front is dropped too", {VERSION: f"x/y:{OLD}"}, BOTH, Reason.OUTDATED_VERSION),
        case("a hash that the model does not have", {VERSION: digest("gone")}, BOTH, Reason.UNKNOWN_VERSION),
        case("an abbreviated hash", {VERSION: NEW[:8]}, BOTH, Reason.MALFORMED_VERSION),
        case("63 digits", {VERSION: NEW[:63]}, BOTH, Reason.MALFORMED_VERSION),
        case("65 digits", {VERSION: NEW + "0"}, BOTH, Reason.MALFORMED_VERSION),
        case("the word latest", {VERSION: "latest"}, BOTH, Reason.MALFORMED_VERSION),
        case("a URL", {VERSION: f"https://replicate.com/acme/ann/versions/{NEW}"}, BOTH, Reason.MALFORMED_VERSION),
        case("blanks behind owner/name: are trimmed", {VERSION: f"acme/ann: {NEW}"}, BOTH, Reason.LATEST_VERSION),
        case("a name without a hash", {VERSION: "acme/ann:"}, BOTH, Reason.MALFORMED_VERSION),
        case("null", {VERSION: None}, BOTH, Reason.NO_VERSION_RECORDED),
        case("blank", {VERSION: " \n"}, BOTH, Reason.NO_VERSION_RECORDED),
        case("null, and asking failed", {VERSION: None}, DOWN, Reason.NO_VERSION_RECORDED),
        case("null, and not asked", {VERSION: None}, NotAsked(), Reason.NO_VERSION_RECORDED),
        case("null, but the model is gone", {VERSION: None}, Missing(), Reason.MODEL_NOT_FOUND),
        case("null, but the model has no version", {VERSION: None}, NoVersions(), Reason.NO_VERSIONS),
        case("model id null", {MODEL: None}, BOTH, Reason.MISSING_MODEL_ID),
        case("model id blank", {MODEL: " \t"}, BOTH, Reason.MISSING_MODEL_ID),
        case("model id null wins over no version", {MODEL: None, VERSION: None}, NotAsked(), Reason.MISSING_MODEL_ID),
        case("model id bare", {MODEL: "ann"}, NotAsked(), Reason.INVALID_MODEL_ID),
        case("invalid id wins over no version", {MODEL: "ann", VERSION: None}, NotAsked(), Reason.INVALID_MODEL_ID),
        case("model gone", {}, Missing(), Reason.MODEL_NOT_FOUND),
        case("model without versions", {}, NoVersions(), Reason.NO_VERSIONS),
        case("failure of the service", {}, DOWN, Reason.SERVER_ERROR),
        case("malformed, but asking failed", {VERSION: "latest"}, DOWN, Reason.SERVER_ERROR),
        case("not asked", {}, NotAsked(), Reason.STOPPED),
        case("official and latest", {VERSION: NEW}, Found((Version(NEW, None),), True), Reason.LATEST_VERSION),
        case("official and other", {VERSION: OLD}, Found((Version(NEW, None),), True), Reason.UNKNOWN_VERSION),
    ],
)
def test_a_record_and_a_reply_make_one_reason(changes: dict[str, Any], reply: Reply, reason: Reason) -> None:
    assert classify(record(**changes), reply, NOBODY).reason is reason


@pytest.mark.parametrize("reason", [*Reason.__members__.values()], ids=str)
def test_every_reason_has_one_status(reason: Reason) -> None:
    expected = {
        Reason.LATEST_VERSION: Status.UP_TO_DATE,
        Reason.OUTDATED_VERSION: Status.NEEDS_SYNC,
        Reason.UNKNOWN_VERSION: Status.NEEDS_SYNC,
        Reason.MALFORMED_VERSION: Status.NEEDS_SYNC,
        Reason.NO_VERSION_RECORDED: Status.NEEDS_SYNC,
        Reason.TRAINER_RECORDED: Status.NEEDS_SYNC,
        Reason.TRAINING_NOT_RECORDED: Status.NEEDS_SYNC,
        Reason.FAILURE_NOT_RECORDED: Status.NEEDS_SYNC,
        Reason.VERSION_LOST: Status.NEEDS_SYNC,
        Reason.WRONG_WEIGHTS: Status.NEEDS_SYNC,
        Reason.WEIGHTS_GONE: Status.NEEDS_SYNC,
        Reason.STOPPED: Status.NOT_CHECKED,
    }
    assert reason.status is expected.get(reason, Status.ERROR)


@pytest.mark.parametrize(
    "model_id",
    ["acme/ann", "a/b", "A-b_c.d/0.9", "_a/-b", " acme/ann\n"],
)
def test_a_model_id_of_the_right_form_is_asked_for_trimmed(model_id: str) -> None:
    assert askable_model(model_id) == model_id.strip()


@pytest.mark.parametrize(
    "model_id",
    [
        None,
        "",
        "ann",
        "a/b/c",
        "/b",
        "a/",
        ".a/b",
        "a/..",
        "a/.b",
        "a b/c",
        "a/b\nc",
        "https://replicate.com/a/b",
        "ä/b",
        "a/b?x",
        "a/b#",
        "a\u00a0/b",
        "\u00a0a/b",
        "a/b:c",
        "a/%2e%2e",
    ],
)
def test_any_other_model_id_is_never_sent(model_id: str | None) -> None:
    assert askable_model(model_id) is None


def dated(*dates: str | None) -> tuple[Version, ...]:
    return tuple(Version(str(i), date) for i, date in enumerate(dates))


@pytest.mark.parametrize(
    ("dates", "order"),
    [
        pytest.param(["2026-01-01T00:00:00Z", "2026-01-03T00:00:00Z", "2026-01-02T00:00:00Z"], "120", id="unsorted"),
        pytest.param(["2026-01-01T00:00:00Z", "2026-01-01T00:00:00Z"], "01", id="equal dates keep the API's order"),
        pytest.param([None, None, None], "012", id="no dates keep the API's order"),
        pytest.param(["2026-01-02T00:00:00Z", None, "2026-01-01T00:00:00Z"], "012", id="undated stays in its place"),
        pytest.param([None, "2026-01-02T00:00:00Z", "2026-01-03T00:00:00Z"], "021", id="undated first is the newest"),
        pytest.param(
            ["2026-01-03T00:00:00Z", "2026-01-01T00:00:00Z", None, "2026-01-02T00:00:00Z"],
            "0312",
            id="undated stays behind the one before it",
        ),
        pytest.param(["2026-01-01T00:00:00", "2026-01-01T00:00:01Z"], "10", id="without an offset it is UTC"),
        pytest.param(["2026-01-01T00:00:00Z", "2026-01-01T00:00:00.5Z"], "10", id="fractions of a second count"),
        pytest.param(["2026-01-01T23:00:00-05:00", "2026-01-02T00:00:00Z"], "01", id="offsets count"),
        pytest.param(["nonsense", "2026-01-02T00:00:00Z"], "01", id="an unreadable date is none"),
    ],
)
def test_the_latest_version_is_the_newest_by_date(dates: list[str | None], order: str) -> None:
    assert "".join(version.id for version in newest_first(dated(*dates))) == order


@given(st.lists(st.datetimes(), max_size=8))
def test_dated_versions_are_sorted_as_a_plain_sort_does(dates: list[Any]) -> None:
    texts = [date.isoformat() + "Z" for date in dates]
    expected = sorted(texts, key=parse_utc, reverse=True)  # type: ignore[arg-type]  # all are readable
    assert [version.created_at for version in newest_first(dated(*texts))] == expected


def test_versions_behind_counts_the_newer_ones_and_the_list_is_cut_to_five() -> None:
    ids = [digest(str(i)) for i in range(8)]
    result = classify(record(replicate_version_id=ids[6]), found(*ids), NOBODY)
    assert (result.versions_behind, result.total_versions, result.latest_version) == (6, 8, ids[0])
    assert [version.id for version in result.versions] == ids[:5]
    assert result.current_version_created_at == "2026-03-22T00:00:00Z"
    assert result.latest_version_created_at == "2026-03-28T00:00:00Z"


def test_without_a_recorded_version_the_latest_one_is_told_all_the_same() -> None:
    result = classify(record(replicate_version_id=None), BOTH, NOBODY)
    assert (result.latest_version, result.versions_behind, result.total_versions) == (NEW, None, 2)


def test_an_official_models_number_of_versions_is_not_known() -> None:
    result = classify(record(), Found((Version(NEW, None),), only_latest=True), NOBODY)
    assert result.total_versions is None


def test_a_failure_is_never_shown_as_a_verdict() -> None:
    result = classify(record(replicate_version_id=OLD), DOWN, NOBODY)
    assert (result.status, result.latest_version, result.detail) == (Status.ERROR, None, DOWN.detail)


ACME, OTHER = Account("organization", "ACME"), Account("user", "somebody")


@pytest.mark.parametrize(
    ("changes", "account", "note"),
    [
        ({"shared_with": ("u2",), "shared_with_count": 1}, None, Note.SHARED_MODEL),
        ({"retraining_in_progress": True}, None, Note.RETRAINING_IN_PROGRESS),
        ({"later_training_failed": True}, None, Note.LATER_TRAINING_FAILED),
        ({"older_completed": 2}, None, Note.OLDER_MODELS_HIDDEN),
        ({VERSION: f"Acme/ann:{NEW}"}, None, Note.QUALIFIED_VERSION),
        ({"trigger_word": None}, None, Note.MISSING_TRIGGER_WORD),
        ({"trigger_word": " "}, None, Note.MISSING_TRIGGER_WORD),
        ({"lora_scale": "0.49"}, None, Note.UNUSUAL_LORA_SCALE),
        ({"lora_scale": "1.51"}, None, Note.UNUSUAL_LORA_SCALE),
        ({"lora_scale": "strong"}, None, Note.UNUSUAL_LORA_SCALE),
        ({"lora_scale": "NaN"}, None, Note.UNUSUAL_LORA_SCALE),
        ({"lora_scale": "1e400"}, None, Note.UNUSUAL_LORA_SCALE),
        ({"lora_weights_url": None}, None, Note.MISSING_WEIGHTS_URL),
        ({"lora_weights_url": ""}, None, Note.MISSING_WEIGHTS_URL),
        ({"lora_weights_url": f"https://replicate.delivery/pbxt/{NEW}/l.tar"}, None, Note.GUESSED_WEIGHTS_URL),
        ({"lora_weights_url": f"https://replicate.delivery/pbxt/{OLD.upper()}/l.tar"}, None, Note.GUESSED_WEIGHTS_URL),
        ({"undated_rows": 1}, None, Note.UNDATED_ROW),
        ({}, OTHER, Note.OWNER_DIFFERS_FROM_ACCOUNT),
    ],
)
def test_each_note_is_given_for_its_fact_and_no_other_is(
    changes: dict[str, Any], account: Account | None, note: Note
) -> None:
    assert classify(record(**changes), BOTH, RunContext(account)).notes == (note,)


@pytest.mark.parametrize(
    ("changes", "account"),
    [
        pytest.param({}, None, id="a record as it should be"),
        pytest.param({}, ACME, id="the account's own model, whatever the case"),
        pytest.param({"lora_scale": "0.5"}, None, id="the lower end of what is usual"),
        pytest.param({"lora_scale": "1.5"}, None, id="the upper end of what is usual"),
        pytest.param({"lora_scale": None}, None, id="no scale: the product's default holds"),
        pytest.param({MODEL: "nonsense"}, OTHER, id="no model, so no owner"),
    ],
)
def test_nothing_is_noted_where_there_is_nothing_to_note(changes: dict[str, Any], account: Account | None) -> None:
    assert classify(record(**changes), BOTH, RunContext(account)).notes == ()


@pytest.mark.parametrize(
    ("changes", "reply", "detail"),
    [
        ({MODEL: None}, NotAsked(), "replicate_model_id is null"),
        ({MODEL: " "}, NotAsked(), "replicate_model_id is blank"),
        ({MODEL: "x" * 119 + "\x1b"}, NotAsked(), f"not owner/name: {'x' * 119}\\… (3 more characters)"),
        ({}, Missing(), "404 for the versions and for the model"),
        ({}, NoVersions(), "the model exists on Replicate and has no version"),
        ({VERSION: NEW}, BOTH, None),
        ({VERSION: OLD}, BOTH, "1 newer version on Replicate"),
        ({VERSION: OLD}, found(NEW, digest("x"), OLD), "2 newer versions on Replicate"),
        ({VERSION: OLD}, found(NEW), "not among the model's 1 version"),
        ({VERSION: OLD}, found(*(digest(str(i)) for i in range(2))), "not among the model's 2 versions"),
        (
            {VERSION: OLD},
            Found((Version(NEW, None),), only_latest=True),
            "not the latest version; an official model's older versions are not listed",
        ),
        ({VERSION: "y" * 121}, BOTH, f"no 64-digit version hash: {'y' * 120}… (1 more characters)"),
        ({VERSION: None}, BOTH, None),
        ({VERSION: None}, DOWN, "and Replicate could not be asked: HTTP 502: Bad Gateway"),
        ({}, NotAsked(), None),
    ],
    ids=lambda value: value[:40] if isinstance(value, str) else None,
)
def test_the_detail_says_what_was_found(changes: dict[str, Any], reply: Reply, detail: str | None) -> None:
    assert classify(record(**changes), reply, NOBODY).detail == detail


def test_a_model_without_versions_has_none_of_them() -> None:
    assert classify(record(), NoVersions(), NOBODY).total_versions == 0


def test_a_qualified_version_of_a_record_without_a_model_is_noted_as_such() -> None:
    notes = classify(record(replicate_model_id=None, replicate_version_id=f"acme/ann:{NEW}"), BOTH, NOBODY).notes
    assert notes == (Note.QUALIFIED_VERSION,)


def test_a_version_that_names_another_model_is_noted_beside_being_qualified() -> None:
    result = classify(record(replicate_version_id=f"acme/bob:{NEW}"), BOTH, NOBODY)
    assert result.notes == (Note.QUALIFIED_VERSION, Note.RECORDED_MODEL_DIFFERS)


def test_where_most_versions_are_qualified_that_is_no_note_but_another_model_is() -> None:
    usual = RunContext(qualified_is_usual=True)
    assert classify(record(replicate_version_id=f"acme/ann:{NEW}"), BOTH, usual).notes == ()
    assert classify(record(), BOTH, usual).notes == ()
    other = classify(record(replicate_version_id=f"acme/bob:{NEW}"), BOTH, usual)
    assert other.notes == (Note.RECORDED_MODEL_DIFFERS,)


def test_notes_are_given_to_findings_of_every_kind() -> None:
    replies: list[Reply] = [BOTH, Missing(), NoVersions(), DOWN, NotAsked()]
    for reply in replies:
        assert classify(record(trigger_word=None), reply, NOBODY).notes == (Note.MISSING_TRIGGER_WORD,)


def test_nothing_is_concluded_from_columns_that_the_database_does_not_have() -> None:
    bare = record(trigger_word=None, lora_weights_url=None)
    absent = RunContext(missing_columns=frozenset((Column.TRIGGER_WORD, Column.LORA_WEIGHTS_URL)))
    assert classify(bare, BOTH, absent).notes == ()


@pytest.mark.parametrize(
    ("recorded", "expected"),
    [(NEW, NEW), (f" a/b:{NEW.upper()} ", NEW), ("latest", None), (None, None), (NEW[:63], None)],
)
def test_the_recorded_hash_is_what_predictions_would_be_given(recorded: str | None, expected: str | None) -> None:
    assert recorded_hash(recorded) == expected


@pytest.mark.parametrize(
    ("counts", "complete", "code"),
    [
        ({}, True, exit_status.OK),
        ({Status.UP_TO_DATE: 3}, True, exit_status.OK),
        ({Status.NEEDS_SYNC: 1, Status.UP_TO_DATE: 3}, True, exit_status.NEEDS_SYNC),
        ({Status.ERROR: 1}, True, exit_status.INCOMPLETE),
        ({Status.NOT_CHECKED: 1}, True, exit_status.INCOMPLETE),
        ({Status.NEEDS_SYNC: 9, Status.ERROR: 1}, True, exit_status.INCOMPLETE),
        ({Status.UP_TO_DATE: 3}, False, exit_status.INCOMPLETE),
    ],
)
def test_the_exit_code_says_what_the_findings_say(counts: dict[Status, int], complete: bool, code: int) -> None:  # noqa: FBT001
    assert exit_code(Summary(dict.fromkeys(Status, 0) | counts, {}, {}), complete=complete) is code


@pytest.mark.parametrize(
    ("account", "reasons", "foreign", "wrong"),
    [
        pytest.param(OTHER, {Reason.MODEL_NOT_FOUND: 5}, 5, True, id="nothing found, all of another account"),
        pytest.param(OTHER, {Reason.MODEL_NOT_FOUND: 5, Reason.MISSING_MODEL_ID: 2}, 5, True, id="some without an id"),
        pytest.param(OTHER, {Reason.MODEL_NOT_FOUND: 5, Reason.TIMEOUT: 2}, 7, True, id="some that could not be asked"),
        pytest.param(OTHER, {Reason.MODEL_NOT_FOUND: 5}, 4, False, id="one is the account's own, and gone"),
        pytest.param(OTHER, {Reason.MODEL_NOT_FOUND: 5, Reason.LATEST_VERSION: 1}, 6, False, id="one was found"),
        pytest.param(OTHER, {Reason.MODEL_NOT_FOUND: 5, Reason.NO_VERSIONS: 1}, 6, False, id="one without versions"),
        pytest.param(OTHER, {Reason.MODEL_NOT_FOUND: 5, Reason.WEIGHTS_GONE: 1}, 6, False, id="one without weights"),
        pytest.param(OTHER, {Reason.MODEL_NOT_FOUND: 5, Reason.VERSION_LOST: 1}, 6, False, id="one lost its version"),
        pytest.param(OTHER, {Reason.TIMEOUT: 5}, 5, False, id="nobody answered"),
        pytest.param(None, {Reason.MODEL_NOT_FOUND: 5}, 5, False, id="account not known"),
        pytest.param(OTHER, {Reason.MODEL_NOT_FOUND: 1}, None, False, id="one is gone, which is the account's own"),
    ],
)
def test_a_token_of_another_account_is_suspected_where_no_model_is_found(
    account: Account | None,
    reasons: dict[Reason, int],
    foreign: int,
    wrong: bool,  # noqa: FBT001 - a table
) -> None:
    notes = {} if foreign is None else {Note.OWNER_DIFFERS_FROM_ACCOUNT: foreign}
    summary = Summary(dict.fromkeys(Status, 0), reasons, notes)
    assert wrong_account(account, summary) is wrong


@pytest.mark.parametrize(
    ("account", "reasons", "wrong"),
    [
        pytest.param(None, {Reason.BAD_RESPONSE: 1}, True, id="the only answer"),
        pytest.param(None, {Reason.BAD_RESPONSE: 50, Reason.STOPPED: 9, Reason.TIMEOUT: 1}, True, id="and none"),
        pytest.param(None, {Reason.BAD_RESPONSE: 5, Reason.MISSING_MODEL_ID: 2}, True, id="some were not asked for"),
        pytest.param(None, {Reason.BAD_RESPONSE: 5, Reason.NO_VERSION_RECORDED: 2}, True, id="nothing recorded"),
        pytest.param(None, {Reason.BAD_RESPONSE: 5, Reason.TRAINER_RECORDED: 2}, True, id="some record a trainer"),
        pytest.param(OTHER, {Reason.BAD_RESPONSE: 5}, False, id="the account was Replicate's answer"),
        pytest.param(None, {Reason.BAD_RESPONSE: 50, Reason.LATEST_VERSION: 1}, False, id="one was found"),
        pytest.param(None, {Reason.BAD_RESPONSE: 50, Reason.MODEL_NOT_FOUND: 1}, False, id="one is gone"),
        pytest.param(None, {Reason.BAD_RESPONSE: 50, Reason.SERVER_ERROR: 1}, False, id="a failure of its own"),
        pytest.param(None, {Reason.TIMEOUT: 5, Reason.STOPPED: 5}, False, id="nobody answered"),
        pytest.param(None, {}, False, id="nobody was audited"),
    ],
)
def test_the_base_url_is_suspected_where_no_answer_is_replicates_own(
    account: Account | None,
    reasons: dict[Reason, int],
    wrong: bool,  # noqa: FBT001 - a table
) -> None:
    assert wrong_base_url(account, Summary(dict.fromkeys(Status, 0), reasons, {})) is wrong


@given(
    st.none() | st.text(max_size=80),
    st.none() | st.text(max_size=80) | st.just(NEW),
    st.sampled_from([BOTH, Missing(), NoVersions(), DOWN, NotAsked()]),
)
def test_whatever_is_recorded_there_is_a_finding(model: str | None, version: str | None, reply: Reply) -> None:
    result = classify(record(replicate_model_id=model, replicate_version_id=version, lora_scale=version), reply, NOBODY)
    assert result.status is result.reason.status
