"""One line for each user, for each user and model, or for each row: in every command, whichever way a run is made."""

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from audit.model.codes import LatestPer
from audit.model.lines import Line, line, line_of
from audit.runfile import RunFile
from tests.support import several_models
from tests.support.audits import Shell
from tests.support.several_models import FINDINGS, PER_MODEL, REPAIRED
from tests.support.shops import Shop

MODES: tuple[LatestPer, ...] = ("user", "model", "row")


@pytest.fixture
def shop(postgres_server: str, shell: Shell) -> Iterator[Shop]:
    with several_models.opened(postgres_server, "several_models", shell) as opened:
        yield opened


def config(shop: Shop, text: str) -> None:
    (shop.shell.folder / "sync-audit.toml").write_text(f"[database]\n{text}\n")


def run(shop: Shop, name: str, *options: str) -> dict[str, Any]:
    """The JSON report of a new run."""
    ended = shop("run", "-q", "--run-file", f"{name}.sqlite", "-o", f"{name}.json", *options)
    assert ended.code in {3, 4}, ended.err
    document: dict[str, Any] = json.loads((shop.shell.folder / f"{name}.json").read_text())
    return document


def lines(document: dict[str, Any], per: LatestPer) -> dict[Line, str]:
    users = document["users"]
    found = {
        line(user["user_id"], user["replicate_model_id"], user["model_row_id"], per): user["reason"] for user in users
    }
    assert len(found) == len(users)
    return found


@pytest.mark.parametrize("per", MODES)
@pytest.mark.parametrize("said_by", ["option", "file"])
def test_a_report_has_a_line_for_each_of_what_was_wanted(shop: Shop, per: LatestPer, said_by: str) -> None:
    if said_by == "file":
        config(shop, f'latest_per = "{per}"')
    document = run(shop, "run", *(["--latest-per", per] if said_by == "option" else []))
    assert lines(document, per) == FINDINGS[per]
    assert document["run"]["latest_per"] == per
    assert document["summary"]["total"] == len(FINDINGS[per])
    assert document["run"]["coverage"] == {
        "users": 4,
        "eligible": len(FINDINGS[per]),
        "checked": sum(reason != "missing_model_id" for reason in FINDINGS[per].values()),
    }


def test_the_option_goes_before_the_config_file(shop: Shop) -> None:
    config(shop, 'latest_per = "row"')
    assert lines(run(shop, "run", "--latest-per", "model"), "model") == PER_MODEL


def test_the_config_file_says_it_among_what_is_said_of_the_tables(shop: Shop) -> None:
    (shop.shell.folder / "sync-audit.toml").write_text('latest-per = "model"\n')
    ended = shop("run")
    assert ended.code == 2
    assert "write latest_per below [database]" in ended.err


@pytest.mark.parametrize("per", MODES)
def test_shards_merge_into_the_lines_of_one_run_in_its_order(shop: Shop, per: LatestPer) -> None:
    run(shop, "whole", "--latest-per", per)
    for number in (1, 2, 3):
        shop("run", "-q", "--shard", f"{number}/3", "--latest-per", per, "--run-file", f"{number}.sqlite")
    merged = shop("merge", "3.sqlite", "1.sqlite", "2.sqlite", "--run-file", "merged.sqlite", "-o", "merged.json")
    assert merged.code in {3, 4}, merged.err
    whole, document = (json.loads((shop.shell.folder / f"{name}.json").read_text()) for name in ("whole", "merged"))
    assert document["run"]["state"] == "complete", document["run"]["stop_reason"]
    assert document["users"] == whole["users"]
    assert document["summary"] == whole["summary"]
    with (
        RunFile.open(shop.shell.folder / "whole.sqlite") as one,
        RunFile.open(shop.shell.folder / "merged.sqlite") as two,
    ):
        records = "SELECT record FROM audited ORDER BY id"
        both = [[row[0] for row in each.storage.connection.execute(records)] for each in (one, two)]
    assert both[0] == both[1]


def test_shards_of_other_lines_are_not_merged(shop: Shop) -> None:
    for number, per in ((1, "user"), (2, "model")):
        shop("run", "-q", "--shard", f"{number}/2", "--latest-per", per, "--run-file", f"{number}.sqlite")
    ended = shop("merge", "1.sqlite", "2.sqlite")
    assert ended.code == 2
    assert "--latest-per is model in it, and user there" in ended.err


def test_a_run_that_was_narrowed_by_the_option_is_resumed_whatever_the_file_says_by_default(shop: Shop) -> None:
    config(shop, 'completed = "completed"')
    run(shop, "run", "--latest-per", "model")
    assert shop("run", "--resume", "run.sqlite").code in {3, 4}
    assert shop("run", "--resume", "run.sqlite", "--latest-per", "model").code in {3, 4}


@pytest.mark.parametrize("said_by", ["option", "file"])
def test_a_run_is_not_resumed_with_other_lines(shop: Shop, said_by: str) -> None:
    config(shop, 'latest_per = "model"')
    run(shop, "run")
    if said_by == "file":
        config(shop, 'latest_per = "row"')
    ended = shop("run", "--resume", "run.sqlite", *(["--latest-per", "row"] if said_by == "option" else []))
    assert ended.code == 2
    assert "latest_per is row now, and was model" in ended.err.replace("--latest-per", "latest_per")


@pytest.mark.parametrize("kind", ["sqlite", "json"])
@pytest.mark.parametrize("per", MODES)
def test_each_line_is_compared_with_itself(shop: Shop, per: LatestPer, kind: str) -> None:
    run(shop, "old", "--latest-per", per)
    shop.sql(f"UPDATE user_models SET replicate_version_id = '{'0' * 64}' WHERE id = 5 RETURNING 1")
    news = [each for each in FINDINGS[per] if each in {Line("ben", "acme/ben"), Line("ben", "5")}]
    new = run(shop, "new", "--latest-per", per, "--baseline", f"old.{kind}")
    marked = {
        line(user["user_id"], user["replicate_model_id"], user["model_row_id"], per): user["baseline"]
        for user in new["users"]
    }
    assert [each for each in marked if marked[each] == "new"] == news
    ended = shop("diff", f"old.{kind}", f"new.{kind}", "-o", "json=-")
    compared = json.loads(ended.out)
    assert compared["summary"]["total"] == len(FINDINGS[per])
    assert compared["summary"]["new"] == len(news)
    assert compared["summary"]["unchanged"] == len(FINDINGS[per]) - len(news)
    told = [(user["user_id"], user["new"]["model_row_id"]) for user in compared["users"]]
    assert told == [("ben", "5")] * len(news)


def test_a_comparison_names_the_line(shop: Shop) -> None:
    run(shop, "old", "--latest-per", "model")
    shop.sql(f"UPDATE user_models SET replicate_version_id = '{'0' * 64}' WHERE id = 5 RETURNING 1")
    run(shop, "new", "--latest-per", "model")
    ended = shop("diff", "old.sqlite", "new.sqlite", "-o", "text=-")
    assert "1 model newly needs attention" in ended.out
    assert "ben@example.com (acme/ben)" in ended.out


def test_runs_of_other_lines_are_not_compared(shop: Shop) -> None:
    run(shop, "old", "--latest-per", "user")
    run(shop, "new", "--latest-per", "model")
    ended = shop("diff", "old.sqlite", "new.json")
    assert ended.code == 2
    assert "old.sqlite has a line for each user (latest_per user)" in ended.err
    ended = shop("run", "--latest-per", "model", "--baseline", "old.sqlite")
    assert ended.code == 5
    assert "Name a run with --latest-per model." in ended.err


def test_the_records_of_a_run_are_its_lines(shop: Shop, tmp_path: Path) -> None:
    run(shop, "run", "--latest-per", "model")
    with RunFile.open(shop.shell.folder / "run.sqlite") as opened:
        assert [line_of(user.record, "model") for user in opened.users()].count(Line("ann", "acme/ann-cat")) == 1


@pytest.mark.parametrize("per", ["model", "row"])
@pytest.mark.parametrize("source", [[], ["--run", "run.sqlite"]], ids=["live", "run"])
def test_a_user_is_shown_with_all_lines_the_gravest_first(shop: Shop, per: LatestPer, source: list[str]) -> None:
    config(shop, f'latest_per = "{per}"')
    run(shop, "run")
    for who, user in (("ann@example.com", "ann"), ("cleo", "cleo"), ("dora", "dora")):
        ended = shop("user", who, "--json", *source)
        document = json.loads(ended.out)
        assert lines({"users": document["lines"]}, per) == {
            each: reason for each, reason in FINDINGS[per].items() if each.user_id == user
        }
        assert document["reason"] == document["lines"][0]["reason"] != "latest_version"
        assert ended.code == document["exit_code"] == (4 if user == "dora" else 3)
    shown = shop("user", "ann", *source).out
    assert "3 models: 1 needs sync, 2 up to date" in shown or per == "row"
    assert all(part in shown for part in (["acme/ann-cat", "acme/ann-dog"] if per == "model" else ["row 1", "row 4"]))


@pytest.mark.parametrize("source", [[], ["--run", "run.sqlite"]], ids=["live", "run"])
@pytest.mark.parametrize(
    ("per", "who", "row"),
    [("model", "acme/ann-dog", "3"), ("model", "ann-cat", "2"), ("row", "3", "3"), ("row", "row 6", "6")],
)
def test_who_may_name_one_of_the_lines(shop: Shop, per: LatestPer, who: str, row: str, source: list[str]) -> None:
    config(shop, f'latest_per = "{per}"')
    run(shop, "run")
    document = json.loads(shop("user", who, "--json", *source).out)
    assert document["lines"] is None
    assert document["model_row_id"] == row


def test_a_model_that_two_users_have_names_neither(shop: Shop) -> None:
    ended = shop("user", "acme/shared", "--latest-per", "model")
    assert ended.code == 2
    assert "matches 2 users" in ended.err


def accept(shop: Shop, *arguments: str) -> str:
    return shop("accept", *arguments, "--run", "run.sqlite", "--because", "b", "--until", "2199-01-01").err


def test_one_model_of_a_user_is_accepted_and_no_other(shop: Shop) -> None:
    run(shop, "run", "--latest-per", "model")
    assert "Add --model with one of them: acme/ann-dog, acme/ann-cat, acme/shared" in accept(shop, "ann")
    assert "is no model of ann" in accept(shop, "ann", "--model", "acme/ben")
    assert accept(shop, "ann", "--model", "Acme/Ann-dog") == ""
    assert accept(shop, "acme/cleo-b") == ""
    shop.sql(
        "UPDATE user_models SET replicate_version_id = (SELECT replicate_version_id FROM user_models WHERE id = 3)"
    )
    document = run(shop, "again", "--latest-per", "model")
    accepted = {(each["user_id"], each["replicate_model_id"]) for each in document["users"] if each["accepted"]}
    assert accepted == {("ann", "acme/ann-dog"), ("cleo", "acme/cleo-b")}


def test_rows_of_which_the_same_is_to_be_said_are_accepted_together(shop: Shop) -> None:
    run(shop, "run", "--latest-per", "row")
    assert "Name the row in the place of the user: row 1, row 2" in accept(shop, "ann", "--model", "acme/ann-cat")
    assert accept(shop, "row 1") == ""
    document = run(shop, "again", "--latest-per", "row")
    assert [each["model_row_id"] for each in document["users"] if each["accepted"]] == ["1"]


@pytest.mark.parametrize("per", MODES)
def test_a_repair_changes_exactly_the_rows_of_the_lines_and_is_undone(shop: Shop, per: LatestPer) -> None:
    config(shop, f'latest_per = "{per}"')
    before = shop.digest
    recorded = "SELECT json_object_agg(id, replicate_version_id)::text FROM user_models"
    old = json.loads(str(shop.sql(recorded)))
    run(shop, "run")
    applied = shop("sync", "run.sqlite", "--apply", "--yes", "--include", "training_not_recorded")
    assert applied.code == 0, applied.err
    new = json.loads(str(shop.sql(recorded)))
    assert {row: new[row] for row in new if new[row] != old[row]} == REPAIRED[per]
    again = lines(run(shop, "again"), per)
    assert {each for each, reason in again.items() if reason == "training_not_recorded"} == set()
    assert shop("sync", "--undo", "run-undo.sql", "--yes").code == 0
    assert shop.digest == before


HEADLINES = {
    "model": "2 of 9 models of 4 users are used in an old version; 2 more wait for a training that has already ended",
    "row": "4 of 11 rows of 4 users are used in an old version; 2 more wait for a training that has already ended",
}


@pytest.mark.parametrize("per", ["model", "row"])
def test_every_format_counts_what_has_a_line_and_tells_the_lines_of_a_user_apart(shop: Shop, per: LatestPer) -> None:
    config(shop, f'latest_per = "{per}"')
    formats = ("html", "md", "csv", "junit")
    ended = shop("run", "-v", "--run-file", "run.sqlite", *(f"-o{each}=run.{each}" for each in formats))
    html, markdown, table, junit = ((shop.shell.folder / f"run.{each}").read_text() for each in formats)
    assert HEADLINES[per] in html
    assert HEADLINES[per] in markdown
    assert HEADLINES[per] in junit
    assert HEADLINES[per] in " ".join(ended.err.split())
    rows = list(csv.DictReader(io.StringIO(table, newline="")))
    assert {line(row["user_id"], row["replicate_model_id"], row["model_row_id"], per) for row in rows} == {
        *FINDINGS[per]
    }
    names = [case.get("name") for case in ElementTree.fromstring(junit).iter("testcase")]
    assert len(set(names)) == len(names) == len(FINDINGS[per])
    assert ("ben@example.com (ben), acme/ben" if per == "model" else "ben@example.com (ben), row 5") in names
    assert ("(acme/ann-dog)" if per == "model" else "(row 1)") in ended.err


def test_names_of_cases_differ_where_models_are_masked(shop: Shop) -> None:
    shop.sql("UPDATE users SET display_name = 'cat' WHERE id = 'ann' RETURNING 1")
    shop.sql("UPDATE user_models SET replicate_model_id = 'acme/cat-' || id WHERE user_id = 'ann' RETURNING 1")
    shop("run", "--run-file", "run.sqlite", "--latest-per", "model", "--redact", "-o", "junit=run.xml")
    names = [case.get("name") for case in ElementTree.parse(shop.shell.folder / "run.xml").iter("testcase")]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("per", MODES)
def test_what_is_asked_again_is_the_same_lines(shop: Shop, per: LatestPer) -> None:
    whole = run(shop, "run", "--latest-per", per)
    again = ("--ask-again", "outdated_version", "--ask-again", "training_not_recorded")
    assert shop("run", "--resume", "run.sqlite", *again, "-o", "again.json").code in {3, 4}
    resumed = json.loads((shop.shell.folder / "again.json").read_text())
    assert resumed["users"] == whole["users"]
    assert resumed["run"]["latest_per"] == per


def test_a_trial_run_takes_so_many_lines(shop: Shop) -> None:
    document = run(shop, "run", "--latest-per", "model", "--limit", "2")
    assert [user["replicate_model_id"].strip() for user in document["users"]] == ["acme/ann-dog", "acme/ann-cat"]
    assert document["run"]["coverage"] == {"users": 4, "eligible": 9, "checked": 2}


def test_models_that_hide_behind_a_users_latest_row_are_counted(shop: Shop) -> None:
    ended = shop("run", "-v", "--run-file", "run.sqlite", "-o", "run.json")
    assert "2 users have further models that were not judged." in ended.err
    assert "or run --latest-per model." in " ".join(ended.err.split())
    users = {user["user_id"]: user for user in json.loads((shop.shell.folder / "run.json").read_text())["users"]}
    assert {user: users[user]["other_models"] for user in users} == {"ann": 2, "ben": 1, "cleo": None, "dora": 0}
    assert "2 other models are among them and not checked." in " ".join(shop("user", "ann", "-v").out.split())


def test_a_report_in_which_models_are_masked_is_compared_by_its_run_file_alone(shop: Shop) -> None:
    shop.sql("UPDATE users SET display_name = 'dog' WHERE id = 'ann' RETURNING 1")
    shop.sql("UPDATE user_models SET replicate_model_id = 'acme/dog' WHERE id = 3 RETURNING 1")
    run(shop, "run", "--latest-per", "model", "--redact")
    ended = shop("diff", "run.json", "run.sqlite")
    assert ended.code == 5
    assert "Name its run file instead" in ended.err
    compared = json.loads(shop("diff", "run.sqlite", "run.sqlite", "-o", "json=-").out)
    assert compared["summary"]["unchanged"] == 9
