"""When a run is hopeless: answers in the order in which they come, and what is still to be asked."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit.findings.hopeless import NONE_OF_FIRST, Hopeless, Key, shown_of_model, shown_of_row
from audit.model.codes import Reason
from audit.model.ids import model_key
from audit.model.replies import Account, Failed, Found, Heard, Missing, NotAsked, NoVersions, Reply, Through, Training
from tests.support.samples import NEW, found

STAGING = Account("organization", "Acme-Staging")
DOWN = Failed(Reason.TIMEOUT, "no answer")
TRAINING = Training(id="a" * 26, status="succeeded")
ID = "b" * 26


@dataclass
class FakeKnown:
    """Questions about the account's own models in their order, and how often somebody looked."""

    own: tuple[Key, ...] = ()
    found: bool = False
    answered: set[Key] = field(default_factory=set)
    owners: list[str] = field(default_factory=list)
    passed: int = 0

    def anything_found(self) -> bool:
        return self.found

    def unanswered(self, owner: str, after: Key | None) -> Key | None:
        self.owners.append(owner)
        for key in self.own[self.own.index(after) + 1 if after is not None else 0 :]:
            self.passed += 1
            if key not in self.answered:
                return key
        return None


def after(answers: Iterable[tuple[str, bool | None]], known: FakeKnown, account: Account | None = STAGING) -> Hopeless:
    """The rule when these answers, by model, have come."""
    rule = Hopeless(account, known)
    for model, shown in answers:
        if shown is not None:
            known.answered.add(model_key(model))
        rule.record(model_key(model), model, shown=shown)
    return rule


def gone(count: int, owner: str = "acme") -> list[tuple[str, bool | None]]:
    return [(f"{owner}/m{number}", False) for number in range(count)]


class Case(NamedTuple):
    answers: list[tuple[str, bool | None]]
    hopeless: bool
    own: tuple[Key, ...] = ()
    found: bool = False
    account: Account | None = STAGING


OWN = ("acme-staging/m0", "acme-staging/m1")
FAILED: list[tuple[str, bool | None]] = [("acme/x", None)]
SHOWN: list[tuple[str, bool | None]] = [("acme/x", True)]
CASES = {
    "19 of 20": Case(gone(19), hopeless=False),
    "20 of other accounts": Case(gone(20), hopeless=True),
    "20 of several accounts": Case([*gone(10), *gone(10, "beta")], hopeless=True),
    "20 and those that were on their way": Case(gone(84), hopeless=True),
    "nobody asked": Case([], hopeless=False),
    "failures only": Case(FAILED * 30, hopeless=False),
    "failures do not count": Case(gone(19) + FAILED * 9, hopeless=False),
    "failures do not break the row": Case([*gone(12), *FAILED * 9, *gone(8)], hopeless=True),
    "the first is found": Case(SHOWN + gone(60), hopeless=False),
    "the 20th is found": Case([*gone(19), *SHOWN, *gone(60)], hopeless=False),
    "one that was on its way is found": Case([*gone(20), *SHOWN, *gone(60)], hopeless=False),
    "an earlier process has found one": Case(gone(60), hopeless=False, found=True),
    "the account is not known": Case(gone(60), hopeless=False, account=None),
    "20 trainings that the token does not know": Case([(ID, False)] * 20, hopeless=True),
    "one of the account's own is still to be asked": Case(gone(60), hopeless=False, own=OWN),
    "the account's own were all asked before": Case([*gone(2, "acme-staging"), *gone(20)], hopeless=True, own=OWN),
    "the account's own were all asked behind": Case([*gone(20), *gone(2, "acme-staging")], hopeless=True, own=OWN),
    "only one of the account's own was asked": Case([*gone(20), *gone(1, "acme-staging")], hopeless=False, own=OWN),
    "the last of the account's own is found": Case([*gone(40), (OWN[0], False), (OWN[1], True)], False, OWN),
    "one of the account's own has failed": Case([*gone(40), (OWN[0], False), (OWN[1], None)], False, OWN),
    "the account's own do not count": Case([*gone(19), *gone(2, "acme-staging")], hopeless=False, own=OWN),
    "all are the account's own, and gone": Case(gone(60, "acme-staging"), hopeless=False),
    "the account's own in other letters": Case(gone(60, "ACME-staging"), hopeless=False),
    "an owner who begins like the account": Case(gone(20, "acme-staging2"), hopeless=True),
    "an own row is still to be asked about": Case([*gone(60), (OWN[0], False)], hopeless=False, own=(OWN[0], 7)),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_a_run_is_hopeless_where_the_first_are_all_404_and_none_is_left_that_could_be_found(case: Case) -> None:
    known = FakeKnown(case.own, case.found)
    assert after(case.answers, known, case.account).hopeless is case.hopeless
    assert set(known.owners) <= {"acme-staging"}


def test_it_tells_how_many_were_asked_for_in_vain_when_it_was_clear() -> None:
    assert after(gone(84), FakeKnown()).not_found == NONE_OF_FIRST
    assert after([*gone(30), *gone(2, "acme-staging"), *gone(50)], FakeKnown(OWN)).not_found == 30


def test_however_many_answers_come_each_of_the_account_s_own_is_looked_at_once() -> None:
    own = tuple(f"acme-staging/m{number:04}" for number in range(2000))
    known = FakeKnown((*own, "acme-staging/never"))
    answers: list[tuple[str, bool | None]] = [(model, False) for model in own]
    assert not after([*gone(40), *answers, *gone(500)], known).hopeless
    assert known.passed == len(own) + 1
    still = FakeKnown(own)
    after(gone(500), still)
    assert still.passed == 1


@pytest.mark.parametrize(
    ("reply", "shown"),
    [
        (Missing(), False),
        (Through(Missing()), False),
        (Through(TRAINING), True),
        (Through(TRAINING, Missing()), True),
        (Through(TRAINING, DOWN), True),
        (found(NEW), True),
        (Found((), only_latest=True), True),
        (NoVersions(), True),
        (DOWN, None),
        (Failed(Reason.FORBIDDEN, "403"), None),
        (NotAsked(), None),
    ],
    ids=repr,
)
def test_404_is_that_of_the_model_or_of_the_training_in_its_place(reply: Reply, shown: bool | None) -> None:  # noqa: FBT001 - a table
    assert shown_of_model(reply) is shown


@pytest.mark.parametrize(
    ("heard", "shown"),
    [
        (Heard(unknown=True), False),
        (Heard(unknown=True, versions=()), False),
        (Heard(unknown=True, versions=found(NEW).versions), True),
        (Heard.nothing(DOWN, Heard(unknown=True)), None),
        (Heard(training=TRAINING), True),
        (Heard.nothing(DOWN, Heard(training=TRAINING)), True),
        (Heard.nothing(DOWN), None),
        (Heard(versions=()), None),
        (Heard(), None),
    ],
    ids=repr,
)
def test_404_of_an_unfinished_row_is_that_of_its_training(heard: Heard, shown: bool | None) -> None:  # noqa: FBT001 - a table
    assert shown_of_row(heard) is shown


@given(
    st.lists(st.tuples(st.sampled_from(["acme/a", "Acme-Staging/b", "beta/c", ID]), st.sampled_from([False, None]))),
    st.lists(st.tuples(st.sampled_from(["acme/a", "acme-staging/b"]), st.sampled_from([True, False, None]))),
)
def test_once_anything_is_found_no_run_is_hopeless(
    before: list[tuple[str, bool | None]], behind: list[tuple[str, bool | None]]
) -> None:
    assert not after([*before, ("acme/x", True), *behind], FakeKnown()).hopeless
    rule = after(before, FakeKnown())
    assert rule.hopeless is (sum(shown is False and model != "Acme-Staging/b" for model, shown in before) >= 20)
