"""The HTML report, read with a parser: what stands in it, and that nothing in it comes alive."""

import base64
import hashlib
import io
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from typing import Any

import jinja2
import pytest
from msgspec.structs import replace

from audit.model.codes import Note, Reason, Status
from audit.model.findings import AuditedUser
from audit.model.replies import Training, TrainingsRead, WeightsAsked
from audit.model.run import Baseline, Filters
from audit.model.text import escape_controls
from audit.model.times import to_second
from audit.model.users import Population
from audit.report import writer
from audit.report.html import render as html_report
from audit.report.html.data import MOST
from audit.report.html.users import CHUNK, IN_FULL, SHOWN, comparison, days_affected
from audit.report.steps import reproduce
from audit.report.view import RunView
from tests.support.report_hostile import HOSTILE, ids
from tests.support.report_samples import (
    INFO,
    POPULATION,
    SampleRun,
    anna,
    everything,
    failed,
    narrowed,
    outdated,
    read,
    record,
    settled,
    trained,
    uncompared,
    up_to_date,
    version_hash,
    with_trainings,
)

VOID = {"meta", "link", "br", "rect", "path"}


class Parsed(HTMLParser):
    """Elements with their attributes in order, and the text of each element by id."""

    def __init__(self, raw: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.feed(raw)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text.append(data)

    @property
    def words(self) -> str:
        return " ".join(" ".join(self.text).split())

    @property
    def shape(self) -> list[tuple[str, tuple[str, ...]]]:
        return [(tag, tuple(attrs)) for tag, attrs in self.elements]

    def links(self) -> Iterator[str]:
        for _, attrs in self.elements:
            for name in ("href", "src"):
                if name in attrs:
                    yield attrs[name] or ""


def rendered(run: SampleRun, *, redact: bool = False, most: int = MOST) -> str:
    out = io.BytesIO()
    html_report.render(RunView(run, redact=redact), out, most)
    return out.getvalue().decode()


def page(run: SampleRun, *, redact: bool = False, most: int = MOST) -> Parsed:
    return Parsed(rendered(run, redact=redact, most=most))


NOBODY = Population(
    users=12,
    users_with_completed_model=0,
    completed_models=0,
    users_with_several_completed_models=0,
    completed_models_hidden=0,
    completed_without_model_id=0,
    test_models_left_out=0,
    models_without_user=0,
    training_status={"Completed": 9},
)


@pytest.mark.parametrize(
    ("run", "verdict", "sentence", "mark"),
    [
        (SampleRun([up_to_date(1), up_to_date(2)]), "Release OK", "All 2 users are up to date", "✓"),
        (
            SampleRun([up_to_date(1), outdated(2)]),
            "Hold",
            "1 of 2 users gets photos from an old version of their model",
            "▲",
        ),
        (
            SampleRun([failed(3, Reason.TIMEOUT), up_to_date(4)]),
            "Unknown",
            "1 of 2 users could not be checked; the other 1 is up to date",
            "✕",
        ),
        (
            SampleRun([up_to_date(1)], replace(INFO, filters=Filters(limit=1))),
            "Trial run",
            "The one user that this run checked is up to date",
            "◐",
        ),
        (SampleRun([], population=NOBODY), "Unknown", "Nobody was audited: no user has a completed model", "✕"),
    ],
    ids=["all", "one", "failed", "trial", "nobody"],
)
def test_the_headline_and_the_title_say_the_verdict(run: SampleRun, verdict: str, sentence: str, mark: str) -> None:
    raw = rendered(run)
    assert re.search(f">{verdict}</span> {sentence}</h1>", raw)
    assert f"<title>{mark} {verdict}: {sentence} · db.example.com/shop</title>" in raw


def test_the_page_asks_nobody_for_anything() -> None:
    for link in page(SampleRun(everything())).links():
        assert link.startswith(("#", "https://replicate.com/", "data:image/svg+xml,")), link
    raw = rendered(SampleRun(everything()))
    assert "@import" not in raw
    assert "url(" not in raw
    assert "<script src" not in raw


def test_links_inside_the_page_lead_somewhere_and_ids_are_unique() -> None:
    parsed = page(SampleRun(everything()))
    anchors = [attrs["id"] for _, attrs in parsed.elements if "id" in attrs]
    assert len(anchors) == len(set(anchors))
    assert {link[1:] for link in parsed.links() if link.startswith("#")} <= set(anchors)


def test_links_away_do_not_tell_where_they_come_from() -> None:
    away = [attrs for tag, attrs in page(SampleRun(everything())).elements if tag == "a" and attrs["href"][:1] != "#"]  # type: ignore[index]  # every link has one
    assert away
    assert {attrs["rel"] for attrs in away} == {"noopener noreferrer"}


def digest(raw: str, tag: str) -> str:
    element = re.search(f"<{tag}>(.*?)</{tag}>", raw, re.DOTALL)
    assert element
    return "sha256-" + base64.b64encode(hashlib.sha256(element[1].encode()).digest()).decode()


def test_the_policy_allows_exactly_the_style_and_the_script_that_are_there() -> None:
    raw = rendered(SampleRun([]))
    policies = [a["content"] for _, a in Parsed(raw).elements if a.get("http-equiv") == "Content-Security-Policy"]
    assert len(policies) == 1
    assert policies[0] == (
        f"default-src 'none'; style-src '{digest(raw, 'style')}'; script-src '{digest(raw, 'script')}'; "
        "img-src data:; base-uri 'none'; form-action 'none'"
    )


def test_nothing_carries_a_style_or_event_attribute() -> None:
    names = {name for _, attrs in page(SampleRun(everything())).elements for name in attrs}
    assert not [name for name in names if name == "style" or name.startswith("on")]


def hostile_run(text: str) -> SampleRun:
    fields: dict[str, Any] = {
        "email": text,
        "display_name": text,
        "replicate_model_id": text,
        "training_id": text,
        "trigger_word": text,
        "lora_scale": text,
        "lora_weights_url": text,
        "model_name": text,
        "later_failure_reason": text,
        "shared_with": (text,),
        "shared_with_count": 1,
        "model_row_id": text,
        "user_id": "u1",
    }
    notes = (Note.SHARED_MODEL, Note.LATER_TRAINING_FAILED, Note.UNUSUAL_LORA_SCALE)
    users = [
        up_to_date(1, notes=notes, **fields),
        failed(2, Reason.REJECTED, text, **fields | {"user_id": "u2", "replicate_version_id": text}),
        uncompared(3, Reason.MALFORMED_VERSION, text, **fields | {"user_id": "u3"}),
        failed(4, Reason.TIMEOUT, text, user_id=text, email=None),
        trained(
            outdated(5, behind=2, **fields | {"user_id": "u5"}),
            Training(id=f"{text}later", status=text, error=text),
            **dict.fromkeys(("id", "weights", "trigger_word", "error"), text),
        ),
    ]
    trainings = TrainingsRead(mode="trainings", problem=text, began_at=INFO.started_at)
    population = replace(POPULATION, training_status={text: 1})
    info = narrowed(
        state="stopped",
        stop_reason=text,
        database=text,
        base_url=text,
        filters=Filters(users=(text,), limit=5),
        trainings=trainings,
        baseline=Baseline(run_id=text, started_at=INFO.started_at, path=text, other_place=text),
    )
    return SampleRun(users, info, population)


@pytest.mark.parametrize("text", [t for t in HOSTILE if t], ids=ids([t for t in HOSTILE if t]))
def test_hostile_text_is_only_text(text: str) -> None:
    raw = rendered(hostile_run(text))
    hostile, harmless = Parsed(raw), page(hostile_run("~" * len(text)))
    assert hostile.shape == harmless.shape
    assert escape_controls(text[:20]) in "".join(hostile.text)
    assert escape_controls(raw.replace("\n", "")) == raw.replace("\n", "")
    assert len(raw) < 600_000, "values are cut at a sensible length"


def test_a_longer_text_than_the_limit_says_how_much_is_missing() -> None:
    raw = rendered(SampleRun([failed(1, Reason.REJECTED, trigger_word="x" * 5_000)]))
    assert "x… (3,000 more characters)" in raw


def test_a_name_that_the_template_misspells_is_an_error() -> None:
    template = html_report.environment().from_string("{{ misspelt }}")
    with pytest.raises(jinja2.UndefinedError):
        template.render()


def test_redaction_leaves_no_trace_of_address_or_name() -> None:
    raw = rendered(anna(), redact=True).casefold()
    assert "anna" in rendered(anna()).casefold()
    assert "anna" not in raw
    assert "muster" not in raw
    assert "bert@" not in raw
    assert "user-00007" in raw
    assert "<strong>redacted.</strong>" in raw


FIELDS = (
    "replicate_version_id",
    "user_id",
    "email",
    "display_name",
    "replicate_model_id",
    "model_row_id",
    "training_id",
    "trigger_word",
    "lora_scale",
    "lora_weights_url",
    "model_name",
    "later_failure_reason",
)


def test_every_value_of_the_json_report_is_on_the_page() -> None:
    users = [
        outdated(1, model_name="selfie", older_completed=3, shared_with=("u8", "u9"), shared_with_count=7),
        outdated(2, behind=2, later_failure_reason="out of memory", model_name="face"),
        failed(3, Reason.TIMEOUT, "30 s without an answer", email=None),
    ]
    raw = rendered(SampleRun(users))
    words = Parsed(raw).words
    for user in users:
        told = user.record
        for name in FIELDS:
            assert (getattr(told, name) or "") in words, name
        assert all(version.id in words for version in user.finding.versions)
        assert (user.finding.detail or "") in words
        for date in (told.created_at, told.updated_at, told.completed_at, user.finding.latest_version_created_at):
            assert to_second(date) in words
    assert "u8, u9 and 5 more" in words
    assert f'href="https://replicate.com/{users[0].record.replicate_model_id}"' in raw


def test_the_recorded_and_the_latest_version_are_marked_in_the_list() -> None:
    raw = rendered(SampleRun([outdated(1, behind=2)]))
    lines = re.findall(r"<li><code[^>]*>([0-9a-f]{64})</code> <small>(.*?)</small></li>", raw)
    assert [(line[0], "latest" in line[1], "product uses" in line[1]) for line in lines] == [
        (version_hash((1, 0)), True, False),
        (version_hash((1, 1)), False, False),
        (version_hash((1, 2)), False, True),
        (version_hash((1, 3)), False, False),
    ]


def test_a_recorded_version_further_back_is_named_by_its_number() -> None:
    assert "and 11 older; the stored one is number 15" in page(SampleRun([outdated(1, behind=14)])).words


def test_each_status_that_needs_attention_has_a_section_and_one_row_for_each_user() -> None:
    run = SampleRun(everything())
    parsed = page(run)
    sections = [attrs["id"] for tag, attrs in parsed.elements if tag == "section" and attrs.get("id") in set(Status)]
    assert sections == list(Status)
    rows = [attrs["id"] for tag, attrs in parsed.elements if tag == "tr" and (attrs.get("id") or "").startswith("u-")]
    urgent = [user for user in run.audited if user.finding.status is not Status.UP_TO_DATE]
    assert rows == [f"u-{place}" for place in range(1, len(urgent) + 1)]


def test_those_who_are_up_to_date_are_a_number_and_where_to_find_them() -> None:
    words = page(SampleRun([outdated(1), *(up_to_date(n) for n in range(2, 109))])).words
    assert "Up to date 107 Nothing has to be done for these users. They are in the CSV and JSON reports" in words
    assert "user00099@example.com" not in words


def test_a_redacted_page_calls_users_by_their_ids() -> None:
    words = page(SampleRun([outdated(1), outdated(2)]), redact=True).words
    assert "user-00001 Outdated version" in words
    assert "user-00002 Outdated version" in words


@pytest.mark.parametrize(
    ("run", "said"),
    [
        (SampleRun([up_to_date(1)], narrowed(state="stopped", stop_reason="SIGTERM")), "The run ended early: SIGTERM"),
        (SampleRun([up_to_date(1)], narrowed(state="running")), "The run ended early"),
        (SampleRun([up_to_date(1)], narrowed(filters=Filters(limit=1))), "This run checked only 1 of 431 users"),
    ],
    ids=["stopped", "killed", "narrowed"],
)
def test_that_a_run_is_not_a_whole_one_is_said_once_below_the_headline(run: SampleRun, said: str) -> None:
    raw = rendered(run)
    assert raw.count(said) == 1
    assert 'class="banner' not in raw


@pytest.mark.parametrize("number", [IN_FULL, IN_FULL + CHUNK, IN_FULL + 2 * CHUNK + 1])
def test_long_sections_are_cut_into_tables_with_heads(number: int) -> None:
    raw = rendered(SampleRun([failed(n, Reason.TIMEOUT) for n in range(number)]))
    assert raw.count('<tr class="more">') == IN_FULL
    assert raw.count('<table class="rows static">') == -(-number // CHUNK)
    assert f"Check failed: 1 to {CHUNK} of {number}" in raw
    assert raw.count('scope="row">user00000@example.com') == 1


def test_past_the_cap_a_line_says_how_many_more_there_are_and_where() -> None:
    users = [outdated(n) for n in range(SHOWN - 1)] + [failed(n, Reason.TIMEOUT) for n in range(9000, 9003)]
    users += [failed(n, Reason.STOPPED, None) for n in range(9100, 9102)]
    raw = rendered(SampleRun(users))
    assert raw.count('<tr id="u-') == SHOWN
    words = Parsed(raw).words
    assert "And 2 more. Check failed with all 3 rows: in the CSV and JSON reports" in words
    assert "These are 2 users. Not reached with all 2 rows: in the CSV and JSON reports" in words


def test_tables_have_captions_and_scoped_heads() -> None:
    parsed = page(SampleRun(everything()))
    tags = [tag for tag, _ in parsed.elements]
    assert tags.count("table") == tags.count("caption") == tags.count("thead")
    assert all("scope" in attrs for tag, attrs in parsed.elements if tag == "th")


@pytest.mark.parametrize(
    ("run", "title"),
    [
        (SampleRun([up_to_date(1)], narrowed(redacted=True)), "Redacted"),
        (SampleRun([up_to_date(1, notes=(Note.OWNER_DIFFERS_FROM_ACCOUNT,))]), "Another account&#39;s models"),
    ],
    ids=["redacted", "account"],
)
def test_what_must_not_be_overlooked_has_a_banner(run: SampleRun, title: str) -> None:
    assert f"<strong>{title}.</strong>" in rendered(run)


def test_a_plain_run_has_no_banner() -> None:
    foreign = up_to_date(1, notes=(Note.OWNER_DIFFERS_FROM_ACCOUNT,))
    assert 'class="banner' not in rendered(SampleRun([foreign, up_to_date(2), up_to_date(3)]))


def test_a_token_that_sees_none_of_the_models_is_probably_the_wrong_one() -> None:
    foreign = failed(1, Reason.MODEL_NOT_FOUND)
    foreign = AuditedUser(foreign.record, replace(foreign.finding, notes=(Note.OWNER_DIFFERS_FROM_ACCOUNT,)))
    assert "<strong>Probably the wrong token.</strong>" in rendered(SampleRun([foreign]))


def test_where_no_answer_was_replicates_own_the_base_url_is_suspected() -> None:
    run = SampleRun([failed(1, Reason.BAD_RESPONSE)], narrowed(account=None, base_url="https://gw.example/v1"))
    said = rendered(run)
    assert "<strong>Probably the wrong base URL.</strong>" in said
    assert "Either https://gw.example/v1 is not its API, or a proxy" in said


def test_what_asking_for_weights_came_to_is_told_where_they_were_asked_for() -> None:
    info = narrowed(check_weights=True)
    some = rendered(SampleRun([up_to_date(1)], info, weights=WeightsAsked(1200, 3, 5)))
    assert "<dd>1,200 URLs: 3 gone, 5 unclear</dd>" in some
    assert "<strong>Do not trust that all weights are gone.</strong>" not in some
    assert "--check-weights" in some
    every = rendered(SampleRun([up_to_date(1)], info, weights=WeightsAsked(2, 2, 0)))
    assert "<strong>Do not trust that all weights are gone.</strong>" in every
    none = rendered(SampleRun([up_to_date(1)], info, weights=WeightsAsked(0, 0, 0)))
    assert "none: no recorded URL of theirs lies on Replicate&#39;s delivery hosts" in none
    assert "eights asked for" not in rendered(SampleRun([up_to_date(1)]))


def test_the_command_reproduces_the_run_and_quotes_what_it_must() -> None:
    info = narrowed(
        base_url="http://127.0.0.1:9/v1",
        order_by="created_at",
        filters=Filters(users=("a b", "$(id)", "-x"), limit=5, include_tests=True),
        redacted=False,
    )
    assert reproduce(RunView(SampleRun([], info)).run) == (
        "sync-audit run --base-url http://127.0.0.1:9/v1 --order-by created_at '--user=a b' '--user=$(id)' --user=-x "
        "--limit 5 --include-tests"
    )
    assert reproduce(RunView(SampleRun([])).run) == "sync-audit run"
    assert reproduce(narrowed(stuck_after=6 * 3600.0)) == "sync-audit run"
    assert reproduce(narrowed(stuck_after=5400.0)) == "sync-audit run --stuck-after 1.5"
    assert reproduce(narrowed(stuck_after=0.0)) == "sync-audit run --stuck-after 0"


def test_the_same_input_gives_the_same_bytes() -> None:
    assert rendered(SampleRun(everything())) == rendered(SampleRun(everything()))


def test_no_pass_over_the_users_is_for_one_user() -> None:
    few, many = SampleRun([up_to_date(1), outdated(2)]), SampleRun([outdated(n) for n in range(50)] + [up_to_date(99)])
    rendered(few)
    rendered(many)
    assert sorted(few.passes) == sorted(many.passes)
    assert few.passes.count("up_to_date/*") == 1, "the most users are read for the data alone"


NOW = INFO.started_at


def test_who_is_affected_since_a_time_after_the_run_is_affected_for_no_time() -> None:
    assert days_affected(outdated(1, since="2027-01-01T00:00:00Z").finding, NOW) == 0


HASH = version_hash("latest")


@pytest.mark.parametrize(
    ("recorded", "sentence"),
    [
        (HASH[:8], "What is recorded is only the first 8 digits of the latest."),
        (HASH.upper(), "They are equal."),
        (f" acme/anna:{HASH} ", "They are equal."),
        ("0" * 64, "Two different versions."),
        ("latest", "The stored version is not a version hash."),
        (HASH[:10] + version_hash("other")[10:], "They differ from digit 11 on."),
    ],
    ids=["abbreviated", "upper case", "qualified", "other", "a word", "late difference"],
)
def test_the_difference_of_two_versions_is_put_into_words(recorded: str, sentence: str) -> None:
    compared = comparison(recorded, HASH)
    assert compared
    assert compared.sentence == sentence
    assert compared.prefix + compared.common_recorded + compared.rest_recorded == recorded
    assert compared.common_latest + compared.rest_latest == HASH


def test_nothing_is_compared_where_one_side_is_missing() -> None:
    assert comparison(None, HASH) is None
    assert comparison(HASH, None) is None
    assert comparison("  ", HASH) is None


@pytest.mark.parametrize(("recorded", "shown"), [(None, "–"), ("  ", "blank")], ids=["null", "blank"])
def test_what_is_not_recorded_is_said_in_words(recorded: str | None, shown: str) -> None:
    raw = rendered(SampleRun([uncompared(1, Reason.NO_VERSION_RECORDED, recorded)]))
    assert f"<code>{shown} → {version_hash((1, 0))[:8]}</code>" in raw


def test_backticks_of_the_hint_table_become_code_and_those_of_data_do_not() -> None:
    assert html_report.ticked("a `b` <i>") == "a <code>b</code> &lt;i&gt;"
    assert "`id`" in rendered(SampleRun([failed(1, Reason.REJECTED, "see `id`")]))


def test_a_record_without_anything_is_shown_without_blank_labels() -> None:
    bare = record(1, email=None, display_name=None, replicate_model_id=None, training_id=None, created_at=None)
    user = failed(1, Reason.MISSING_MODEL_ID, None)
    raw = rendered(SampleRun([user.__class__(bare, user.finding)]))
    assert "<dd></dd>" not in raw
    assert "None" not in Parsed(raw).words


def test_the_trainings_behind_a_user_are_shown_with_what_they_put_out() -> None:
    later = Training(id="tr-later", status="canceled", error="by hand")
    weights = "https://replicate.delivery/xezq/real/flux-lora.tar"
    words = page(SampleRun([trained(outdated(1), later, id="tr-new", weights=weights)], read())).words
    assert "The verdict rests on: The model's versions on Replicate." in words
    assert "Made the latest version Training tr-new Ended as succeeded" in words
    assert f"Real weights URL {weights}" in words
    assert "Later training, which was canceled Training tr-later Ended as canceled Why by hand" in words


def test_notes_about_trainings_have_this_users_values_in_static_rows() -> None:
    user = with_trainings()[0]
    words = page(SampleRun([user], read())).words
    assert "The training is tr-unrecorded; its weights: https://replicate.delivery/xezq/real/flux-lora.tar" in words
    assert "The weights URL of the stored version: https://replicate.delivery/old" in words
    assert f"Stored: {user.record.trigger_word}; the training used OLD." in words


@pytest.mark.parametrize("user", with_trainings()[:5], ids=lambda user: user.record.user_id)
def test_where_trainings_were_not_read_nothing_of_them_is_shown(user: AuditedUser) -> None:
    plain = AuditedUser(user.record, replace(user.finding, lineage=None, notes=()))
    words = Parsed(rendered(SampleRun([plain])).partition("<main")[2]).words  # the script has all words
    for said in ("The verdict rests on", "Real weights URL", "Ended as", "List of trainings", "tr-new"):
        assert said not in words


@pytest.mark.parametrize(
    ("changes", "facts"),
    [
        (
            {"mode": "versions"},
            (
                "List of trainings 540 trainings read, back to 2025-10-30 22:10:00 UTC: as far as needed",
                "Settled by trainings alone nobody: everybody was asked for",
            ),
        ),
        (
            {"mode": "trainings", "sample": 1.0, "unreadable": 3},
            (
                "Settled by trainings alone 5 users",
                "Asked for by versions 8 users with an answer",
                "Asked for as a check 1 % of those whom trainings settle",
                "Not to be seen versions that were pushed or deleted by hand",
                "Unreadable trainings 3",
            ),
        ),
        ({"since": None}, ("back to 2025-10-30 22:10:00 UTC: all there are",)),
        ({"complete": False, "problem": "503"}, ("not as far as needed: 503",)),
    ],
    ids=["versions", "trainings", "everything", "incomplete"],
)
def test_the_run_says_how_far_trainings_were_read_and_whom_they_settled(
    changes: dict[str, object], facts: tuple[str, ...]
) -> None:
    words = page(SampleRun(with_trainings(), read(**changes))).words
    for fact in facts:
        assert fact in words


@pytest.mark.parametrize(
    ("changes", "titles"),
    [
        ({}, []),
        ({"mode": "trainings"}, ["By trainings"]),
        ({"complete": False}, ["Trainings incomplete"]),
    ],
    ids=["versions", "trainings", "incomplete"],
)
def test_what_trainings_do_not_say_has_a_banner(changes: dict[str, object], titles: list[str]) -> None:
    raw = rendered(SampleRun([settled(1)], read(**changes)))
    assert re.findall(r'class="banner[^>]*><strong>(.*?)\.</strong>', raw) == titles


def test_a_sample_that_disagrees_is_said_at_the_top() -> None:
    run = SampleRun([failed(1, Reason.EVIDENCE_DISAGREES), settled(2)], read(mode="trainings"))
    assert "<strong>Do not trust this run&#39;s trainings.</strong>" in rendered(run)
    assert "1 user is not up to date by their versions" in page(run).words


def test_the_command_reads_trainings_as_the_run_did() -> None:
    by_trainings = read(mode="trainings", sample=2.5, since="2026-01-01T00:00:00Z")
    assert reproduce(RunView(SampleRun([], by_trainings)).run) == (
        "sync-audit run --mode trainings --verify-sample 2.5 --trainings-since 2026-01-01T00:00:00Z"
    )
    assert reproduce(RunView(SampleRun([], read(since=None))).run) == "sync-audit run --trainings"


MIXED = [outdated(1), failed(2, Reason.TIMEOUT), failed(3, Reason.STOPPED, None), up_to_date(4), up_to_date(5)]


def test_of_very_many_users_only_those_who_are_not_up_to_date_are_listed_and_the_page_says_so() -> None:
    words = page(SampleRun(MIXED), most=4).words
    assert "The 2 who are up to date are in the CSV report of this run: sync-audit" in words
    assert "All 3 " in words
    assert "Up to date 2 Search" not in words, "the table cannot be narrowed to whom it does not have"


def test_up_to_that_many_users_everybody_is_listed() -> None:
    words = page(SampleRun(MIXED), most=5).words
    assert "who are up to date are in the CSV" not in words
    assert "Up to date 2 All 5 " in words


def test_what_was_made_ready_is_all_that_a_page_needs() -> None:
    html_report.environment.cache_clear()
    writer.prepare(["html"])
    cache = html_report.environment().cache
    assert cache is not None
    ready = set(cache.keys())
    rendered(SampleRun(everything()))
    assert set(cache.keys()) == ready
