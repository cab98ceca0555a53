"""A kind of tables, with truth."""

from collections.abc import Mapping
from typing import NamedTuple

from audit.model.codes import Reason
from tests.support.shapes import story
from tests.support.shapes.story import Person


class Write(NamedTuple):
    """What a repair changes in one place."""

    sql: str
    """Gives the one value that is there."""
    before: str | None
    after: str


class Shape(NamedTuple):
    """A kind of tables, with truth."""

    name: str
    sql: str
    """Makes them, with rows."""
    toml: str
    """A config file with which the audit works."""
    findings: Mapping[str, Reason]
    """By user id, of each user's newest model."""
    shown: str | None
    """What reports call Ben: his e-mail, or None where they have nothing but his id."""
    writes: tuple[Write, ...] = ()
    """What `sync --apply` does, and no more."""
    included: tuple[Write, ...] = ()
    """What it does beside that with `--include training_not_recorded`."""
    latest_per: str = ""
    """What `init` has to be told for `toml` to be what it writes."""
    per_model: Mapping[tuple[str, str], Reason] = {}
    """By user and model, with `latest_per = "model"`."""

    def __repr__(self) -> str:
        """The name: all of it would be pages in the output of a test."""
        return self.name


def usual(key: str, **changes: Reason | None) -> dict[str, Reason]:
    """Findings by user id: those of the story, but for `changes` by the person's name; None is for no line.

    `key` is the kind of the ids: a field of `Person`.
    """
    said: dict[str, Reason | None] = {
        "Ada": Reason.LATEST_VERSION,
        "Ben": Reason.OUTDATED_VERSION,
        "Cleo": Reason.LATEST_VERSION,
        "Dora": Reason.TRAINING_NOT_RECORDED,
        **changes,
    }
    people: list[Person] = [person for person in story.PEOPLE if said.get(person.name)]
    return {str(getattr(person, key)): reason for person in people if (reason := said[person.name])}


def per_model(key: str) -> dict[tuple[str, str], Reason]:
    """Findings by user id and model, with a line for each."""
    return {
        (str(getattr(row.person, key)), row.model): reason
        for row, reason in (
            (story.ADAS, Reason.LATEST_VERSION),
            (story.BENS, Reason.OUTDATED_VERSION),
            (story.CLEOS_OLD, Reason.OUTDATED_VERSION),
            (story.CLEOS, Reason.LATEST_VERSION),
            (story.DORAS, Reason.TRAINING_NOT_RECORDED),
        )
    }
