"""The file of acceptances: what may stand in it, the message about what may not, and how an entry gets into it."""

import os
import tomllib
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given, strategies

from audit.commands.accept.file import HEAD, NAME, block, edited, entries, find, read, write
from audit.errors import AuditError, SettingsError
from audit.model.codes import Reason
from audit.model.findings import Acceptance
from tests.findings.test_acceptance import entry
from tests.support.documents import blocks
from tests.support.report_hostile import HOSTILE, ids

ENTRY = '[[accept]]\nuser = "u"\nreason = "timeout"\nbecause = "b"\nuntil = 2026-12-31\n'
NOBODY: frozenset[str] = frozenset()


def refusal(text: str, folder: Path) -> str:
    (folder / NAME).write_text(text)
    with pytest.raises(SettingsError) as caught:
        read(folder / NAME)
    return f"{caught.value} {caught.value.next_step}".removeprefix(str(folder) + "/")


def test_every_key_of_an_entry_is_read(tmp_path: Path) -> None:
    (tmp_path / NAME).write_text(
        '# why\n[[accept]]\nmodel = "a/b"\nreason = "model_not_found"\nversion = "v"\nbecause = "x"\n'
        f'until = 2027-02-28\nauthor = "Bo"\n\n{ENTRY}'
    )
    found = read(tmp_path / NAME)
    assert found.file == str(tmp_path / NAME)
    assert found.entries == (
        Acceptance(
            model="a/b", reason=Reason.MODEL_NOT_FOUND, version="v", because="x", until="2027-02-28", author="Bo"
        ),
        Acceptance(user="u", reason=Reason.TIMEOUT, because="b", until="2026-12-31"),
    )


def test_two_reasons_and_a_training_are_read_and_written(tmp_path: Path) -> None:
    both = entry(reason=Reason.TRAINING_NOT_RECORDED, also=Reason.OUTDATED_VERSION, training="tr7")
    text = block(both)
    assert 'reason = ["training_not_recorded", "outdated_version"]\n' in text
    assert 'training = "tr7"\n' in text
    (tmp_path / NAME).write_text(text)
    assert read(tmp_path / NAME).entries == (both,)


def test_a_list_with_one_reason_is_that_reason(tmp_path: Path) -> None:
    (tmp_path / NAME).write_text(ENTRY.replace('"timeout"', '["timeout"]'))
    assert read(tmp_path / NAME).entries == (entry(user="u", reason=Reason.TIMEOUT, because="b"),)


@pytest.mark.parametrize(
    ("listed", "words"),
    [
        ("[]", "reason must be one code, or two different ones"),
        ('["timeout", "timeout"]', "reason must be one code, or two different ones"),
        ('["timeout", "rejected", "forbidden"]', "reason must be one code, or two different ones"),
        ('["timeout", "stopped"]', "reason stopped cannot be accepted"),
        ('["timeout", 7]', "reason must be a text in quotes"),
        ('["timeout", "outdated"]', "unknown reason 'outdated'"),
    ],
)
def test_what_is_no_pair_of_reasons_is_refused(listed: str, words: str, tmp_path: Path) -> None:
    assert words in refusal(ENTRY.replace('"timeout"', listed), tmp_path)


def test_an_entry_on_both_reasons_is_another_than_one_on_either() -> None:
    one = entry(reason=Reason.OUTDATED_VERSION)
    both = entry(reason=Reason.TRAINING_NOT_RECORDED, also=Reason.OUTDATED_VERSION)
    text, listed, replaced = edited(block(one), (one,), both, frozenset({"user-00007"}))
    assert (listed, replaced) == ((one, both), None)
    later = entry(reason=Reason.OUTDATED_VERSION, also=Reason.TRAINING_NOT_RECORDED, until="2027-12-31")
    assert edited(text, listed, later, frozenset({"user-00007"}))[1:] == ((one, later), both)


def test_the_example_in_the_documentation_is_such_a_file(tmp_path: Path) -> None:
    example, both, several = [each for each in blocks(Path("docs/how-to/accept.md")) if each.language == "toml"]
    assert example.title == NAME
    (tmp_path / NAME).write_text(both.text)
    assert read(tmp_path / NAME).entries[0].reasons == (Reason.TRAINING_NOT_RECORDED, Reason.OUTDATED_VERSION)
    (tmp_path / NAME).write_text(several.text)
    [entry] = read(tmp_path / NAME).entries
    assert (entry.user, entry.model) == ("user-00009", "acme-photos/user-00009-cat")
    (tmp_path / NAME).write_text(example.text)
    one, other = read(tmp_path / NAME).entries
    assert (one.user, one.reason, one.author) == ("user-00007", Reason.OUTDATED_VERSION, None)
    assert (other.model, other.version is not None, other.author) == ("acme-photos/user-of-the-demo", True, "Dana")


def test_an_empty_file_accepts_nothing(tmp_path: Path) -> None:
    (tmp_path / NAME).write_text("# nothing yet\n")
    assert read(tmp_path / NAME).entries == ()


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("user =", "usr =", "entry 1: unknown key usr Did you mean user?"),
        ("because", "Because", "entry 1 (u): unknown key Because Did you mean because?"),
        ("user =", "zzz =", "entry 1: unknown key zzz There are user, model, reason,"),
        ('user = "u"\n', "", "entry 1: it has neither user nor model"),
        ('reason = "timeout"\n', "", "entry 1 (u): reason is missing Name the finding"),
        ('because = "b"\n', "", "entry 1 (u): because is missing Say why, for later readers"),
        ("until = 2026-12-31\n", "", "entry 1 (u): until is missing Nothing is accepted forever"),
        ("timeout", "time_out", "entry 1 (u): unknown reason 'time_out' Did you mean timeout?"),
        ("timeout", "zzz", "entry 1 (u): unknown reason 'zzz' There are outdated_version,"),
        ("timeout", "stopped", "entry 1 (u): reason stopped cannot be accepted: the run did not reach the user"),
        ("timeout", "latest_version", "entry 1 (u): reason latest_version cannot be accepted: the user is up to date"),
        ('"timeout"', "1", "entry 1 (u): reason must be a text in quotes"),
        ('"b"', "[]", "entry 1 (u): because must be a text in quotes"),
        ('"b"', '" "', "entry 1 (u): because is empty"),
        ('"u"', '""', "entry 1 (): user is empty"),
        ('"u"', "7", "entry 1: user must be a text in quotes"),
        ("2026-12-31", '"2026-12-31"', "entry 1 (u): until must be a date without quotes"),
        ("2026-12-31", "2026-12-31T00:00:00Z", "entry 1 (u): until must be a date without quotes and without a time"),
        ("2026-12-31", "2026-02-31", "line 5, column"),
        ("[[accept]]", "[[acept]]", "unknown key acept Entries begin with [[accept]]."),
        ("[[accept]]", "[accept]", "accept must be a list of tables Begin each entry with [[accept]]."),
        ('"b"', '"b', "line 4, column"),
    ],
)
def test_what_is_wrong_is_named_with_file_entry_and_key(old: str, new: str, words: str, tmp_path: Path) -> None:
    message = refusal(ENTRY.replace(old, new), tmp_path)
    assert words in message
    assert NAME in message


def test_the_entry_that_is_wrong_is_counted(tmp_path: Path) -> None:
    assert refusal(ENTRY + ENTRY.replace("timeout", "x"), tmp_path).startswith(f"{NAME}: entry 2 (u): unknown reason")


@pytest.mark.parametrize("content", [b"\xff", b"#" * 1_000_001, None], ids=["no text", "huge", "a directory"])
def test_a_file_that_is_none_is_named_with_what_to_do(content: bytes | None, tmp_path: Path) -> None:
    if content is None:
        (tmp_path / NAME).mkdir()
    else:
        (tmp_path / NAME).write_bytes(content)
    with pytest.raises(SettingsError, match=f"file of acceptances .*{NAME}") as caught:
        read(tmp_path / NAME)
    assert caught.value.next_step.endswith("or go on without: --no-accept")


def test_it_is_found_here_and_above_up_to_the_repository(tmp_path: Path) -> None:
    deep = tmp_path / "a" / "b"
    deep.mkdir(parents=True)
    assert find(deep) is None
    (tmp_path / NAME).write_text("")
    assert find(deep) == Path("../..", NAME)
    assert find(tmp_path) == Path(NAME)
    (tmp_path / "a" / ".git").mkdir()
    assert find(deep) is None


def test_one_that_anybody_may_have_put_there_has_to_be_named(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can give a file away")
    (tmp_path / NAME).write_text("")
    os.chown(tmp_path / NAME, 65534, 65534)
    tmp_path.chmod(0o777)
    with pytest.raises(SettingsError, match="belongs to another user") as caught:
        find(tmp_path)
    assert "--accept" in caught.value.next_step


# Writing
def test_a_new_file_says_what_it_is_for_and_may_be_read_as_any_other(tmp_path: Path) -> None:
    assert write(tmp_path / NAME, entry(), NOBODY) is None
    assert (tmp_path / NAME).read_text() == HEAD + "\n" + block(entry()) + "\n"
    assert read(tmp_path / NAME).entries == (entry(),)
    mask = os.umask(0)
    os.umask(mask)
    assert (tmp_path / NAME).stat().st_mode & 0o777 == 0o666 & ~mask
    assert [each.name for each in tmp_path.iterdir()] == [NAME]


MINE = """\
# ours
[[accept]] # first
until = 2026-01-01 # soon
user = 'Anna@example.com'   # the cat
reason = "outdated_version"
version = "abc"
# in between
because = "x" # why

# the others
[[accept]]
model = "a/b"
reason = "timeout"
because = "b"
until = 2026-12-31
# the end
"""


def test_an_entry_is_added_at_the_end_and_all_else_stays_as_it_is() -> None:
    after, listed, replaced = edited(MINE, entries(tomllib.loads(MINE)), entry(), frozenset({"user-00007"}))
    assert after == MINE + "\n" + block(entry()) + "\n"
    assert (len(listed), replaced) == (3, None)


def test_an_entry_on_the_same_user_and_reason_is_changed_in_its_place() -> None:
    there = entries(tomllib.loads(MINE))
    after, listed, replaced = edited(MINE, there, entry(author="Bo"), frozenset({"user-00007", "anna@example.com"}))
    assert replaced == there[0]
    assert entries(tomllib.loads(after)) == listed == (entry(author="Bo"), there[1])
    changed = ["until", "user", "version", "because", "author"]
    kept = [line for line in MINE.splitlines() if not any(line.startswith(key) for key in changed)]
    assert [line for line in after.splitlines() if line in kept] == kept
    for comment in ("# first", "# soon", "# the cat", "# in between", "# why", "# the others", "# the end"):
        assert comment in after


@pytest.mark.parametrize("other", [{"reason": Reason.TIMEOUT}, {"user": "somebody"}], ids=["reason", "user"])
def test_another_reason_or_user_is_another_entry(other: dict[str, object], tmp_path: Path) -> None:
    first = entry(**other)
    write(tmp_path / NAME, first, NOBODY)
    assert write(tmp_path / NAME, entry(), frozenset({"user-00007"})) is None
    assert read(tmp_path / NAME).entries == (first, entry())


@pytest.mark.parametrize(
    "before",
    [
        "",
        "# only",
        "accept = []\n",
        'accept = [\n  {user = "a", reason = "timeout", because = "z", until = 2026-01-01}, # c\n]\n',
        ENTRY.removesuffix("\n"),
        ENTRY.replace("\n", "\r\n"),
    ],
    ids=["empty", "a comment", "no entries", "in brackets", "no line break at the end", "Windows"],
)
def test_however_a_file_is_written_the_entry_gets_into_it(before: str, tmp_path: Path) -> None:
    (tmp_path / NAME).write_bytes(before.encode())
    there = read(tmp_path / NAME).entries
    write(tmp_path / NAME, entry(), NOBODY)
    assert read(tmp_path / NAME).entries == (*there, entry())
    after = (tmp_path / NAME).read_bytes().decode()
    assert after.count("\r\n") in {0, after.count("\n")}
    assert all(comment in after for comment in ("# only", "# c") if comment in before)


@pytest.mark.parametrize("text", HOSTILE, ids=ids(HOSTILE))
def test_any_text_comes_back_as_it_was(text: str, tmp_path: Path) -> None:
    written = text.encode("utf-8", "ignore").decode().strip()[:50_000] or "x"
    wanted = entry(user=written, because=written, author=written, version=written)
    write(tmp_path / NAME, wanted, NOBODY)
    write(tmp_path / NAME, entry(), NOBODY)
    assert read(tmp_path / NAME).entries == (wanted, entry())


@given(strategies.text(min_size=1).filter(str.strip), strategies.dates(min_value=date(1, 1, 1)))
def test_what_is_written_can_be_read(text: str, day: date) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:
        return  # the command refuses it
    wanted = entry(because=text, until=day.isoformat())
    after, listed, _ = edited(MINE, entries(tomllib.loads(MINE)), wanted, frozenset({"anna@example.com"}))
    assert entries(tomllib.loads(after)) == listed
    assert wanted in listed


@pytest.mark.parametrize("broken", ["[[accept", ENTRY + "x = 1\n"], ids=["TOML", "key"])
def test_a_file_that_cannot_be_read_is_left_alone(broken: str, tmp_path: Path) -> None:
    (tmp_path / NAME).write_text(broken)
    with pytest.raises(SettingsError, match=NAME) as caught:
        write(tmp_path / NAME, entry(), NOBODY)
    assert "--accept" not in caught.value.next_step
    assert (tmp_path / NAME).read_text() == broken
    assert [each.name for each in tmp_path.iterdir()] == [NAME]


def test_where_nothing_can_be_written_the_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(AuditError, match=r"nowhere/a\.toml cannot be written: no such file") as caught:
        write(tmp_path / "nowhere" / "a.toml", entry(), NOBODY)
    assert not isinstance(caught.value, SettingsError)
    assert caught.value.next_step == "Name another file with --file."


def test_a_link_stays_one_and_the_file_keeps_its_mode(tmp_path: Path) -> None:
    (tmp_path / "real.toml").write_text("")
    (tmp_path / "real.toml").chmod(0o640)
    (tmp_path / NAME).symlink_to("real.toml")
    write(tmp_path / NAME, entry(), NOBODY)
    assert (tmp_path / NAME).is_symlink()
    assert (tmp_path / "real.toml").stat().st_mode & 0o777 == 0o640
    assert read(tmp_path / "real.toml").entries == (entry(),)
