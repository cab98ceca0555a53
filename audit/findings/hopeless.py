"""When asking on makes no sense: the token is of another account than the models. Pure.

To strangers Replicate says 404 for a private model, so with the token of the wrong account each model of a run is asked
for twice, and in vain.
"""

from typing import Protocol

from audit.model.ids import model_key
from audit.model.replies import Account, Failed, Heard, Missing, NotAsked, Reply, Through

NONE_OF_FIRST = 20
"""Questions about other accounts' models that are answered with 404, before one is answered with anything else."""
Key = str | int
"""A question: the key of a model, or the number of an unfinished row."""


def shown_of_model(reply: Reply) -> bool | None:
    """Whether the account of the token is shown anything of a model, or of the training in its place.

    False is Replicate's own 404; None where it has not said.
    """
    match reply:
        case Missing() | Through(training=Missing()):
            return False
        case Failed() | NotAsked():
            return None
        case _:
            return True


def shown_of_row(heard: Heard) -> bool | None:
    """The same of an unfinished row. That there are no versions is said of models without any as well."""
    if heard.training or heard.versions:
        return True
    return False if heard.unknown and not heard.failed else None


class Known(Protocol):
    """What is known of all questions of the run, those of earlier processes included; asked for rarely."""

    def anything_found(self) -> bool:
        """Whether one of them was ever answered with anything but 404."""

    def unanswered(self, owner: str, after: Key | None) -> Key | None:
        """The first question about a model of `owner` (lower case), behind `after`, that has no certain answer."""


class Hopeless:
    """Sees what each answer has shown, in the order in which they come, until one has shown anything.

    A question that fails neither counts nor begins the count anew. Of the account's own models one may be gone; where
    one is still to be asked, or has failed, the others' 404 prove nothing. Whose a training is nobody can tell: one
    that stands in a model's place counts as another account's.
    """

    def __init__(self, account: Account | None, known: Known) -> None:
        """`account` is the token's; where it is not known, no run is hopeless."""
        self._owner = model_key(account.username) if account else ""
        self._known = known
        self.found = account is None
        """Something was, or nobody can tell whose models are looked for: there is nothing more to see."""
        self._awaited: Key | None = None
        """A question about the account's own model, which has no answer; those before it have one."""
        self._looked = False
        self.not_found = 0
        """Answers with 404, about other accounts' models, up to the one with which the run was hopeless."""

    def record(self, question: Key, model: str | None, *, shown: bool | None) -> None:
        """Take note of the answer to `question`, which is about `model`, as recorded."""
        if self.found or shown is None:
            return
        self.found = shown
        if shown:
            return
        own = model_key(model).startswith(f"{self._owner}/")
        self.not_found += not own and not self.hopeless
        if self.not_found >= NONE_OF_FIRST and (not self._looked or question == self._awaited):
            self._look()

    @property
    def hopeless(self) -> bool:
        """Whether to end the run. An answer that was on its way may take that back."""
        return self._looked and self._awaited is None and not self.found

    def _look(self) -> None:
        """Once, and again whenever the awaited question is answered, from there on: all questions are passed once."""
        if not self._looked and self._known.anything_found():
            self.found = True
            return
        self._looked = True
        self._awaited = self._known.unanswered(self._owner, self._awaited)
