"""What a product's tables mean to the audit. Pure: from what was seen to what a config file has to say.

Every table in which versions may be recorded is read as if it were the one that counts, all else is found around that,
and the reading that explains most wins.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from audit.commands.init.dates import Date, dates
from audit.commands.init.filters import DELETED, Filter, filters, of_deleted_users
from audit.commands.init.names import LOGS, MODELS, has, points
from audit.commands.init.persons import (
    Person,
    Step,
    UsersTable,
    guesses,
    persons,
    score_of_users,
    users_table,
)
from audit.commands.init.places import Place, Survey, View
from audit.commands.init.states import States, states
from audit.commands.init.values import Looks, Seen
from audit.commands.init.versions import Found, ModelSource, model_sources, training_place, versions
from audit.model.ids import model_key

_CLOSE = 1.0
"""Readings whose scores are no farther apart are as good as each other."""
BY_VALUE = 4.0
"""From this score of a version on, values have said so."""


class Reading(NamedTuple):
    """One table, read as the one that counts."""

    view: View
    version: Place
    by_value: bool
    """Versions were seen there; else the name says so."""
    model: ModelSource
    other_models: tuple[ModelSource, ...]
    person: Person | None
    other_persons: tuple[Person, ...]
    users: UsersTable | None
    states: States | None
    dates: dict[Date, Place]
    training: Place | None
    others: dict[str, Place]
    """Weights, trigger word and what else reports show, by the audit's names of columns."""
    filters: tuple[Filter, ...]
    steps: tuple[Step, ...]
    """Tables that a query has to join."""
    score: float

    @property
    def id(self) -> Place | None:
        """What tells its rows apart."""
        return self.view.key

    @property
    def open(self) -> list[str]:
        """What is left to decide: the audit's names of columns, or `owner`."""
        missing = []
        if self.id is None:
            missing.append("id")
        if self.person is None:
            missing.append("user_id")
        if self.model.how == "none":
            missing.append("replicate_model_id")
        if not self.dates:
            missing.append("created_at")
        return missing


class Recognised(NamedTuple):
    """What was found out."""

    reading: Reading | None
    """Null where there is nothing that can be audited."""
    rivals: tuple[Reading, ...]
    """Readings of other tables that are as good."""
    latest_only: View | None
    """A table that stores models or trainings, but no version of any."""


def recognise(survey: Survey, owner: str | None) -> Recognised:
    """The best reading of what was found. `owner` is that of bare names."""
    readings = sorted(_readings(survey, owner), key=lambda each: -each.score)
    if not readings:
        return Recognised(None, (), _latest_only(survey, owner))
    best, *others = readings
    if not best.by_value and (latest_only := _latest_only(survey, owner)) and latest_only.table != best.view.table:
        others = [best, *others]
    rivals = [
        each
        for each in others
        if each is not best and best.score - each.score < _CLOSE and each.by_value == best.by_value
    ]
    return Recognised(best, tuple(rivals[:3]), None)


def _readings(survey: Survey, owner: str | None) -> Iterator[Reading]:
    for view in survey.views.values():
        for found in versions(view)[:2]:
            yield _reading(survey, view, found, owner)


def _reading(survey: Survey, view: View, found: Found, owner: str | None) -> Reading:
    version = found.place
    done = version.seen
    of_persons = _keys_of_persons(view, survey)
    training = training_place([place for place in view.places if _apart(place, version) and place not in of_persons])
    leading = persons(view, survey, [version, *([training] if training else [])])
    person, other_persons = (leading[0], leading[1:]) if leading else (None, [])
    steps = person.steps if person else ()
    sources = _model_sources(survey, view, version, owner, steps)
    model, joined = sources[0] if sources else (ModelSource("none", {}, 0.0), ())
    steps = steps if len(steps) >= len(joined) else joined
    used = [version, *model.places.values(), *([training] if training else [])]
    used += [person.place] if person and not person.steps else []
    used += [step.link.place for step in steps[:1] if not step.back]
    status = next(iter(states(view, done, used)), None)
    when = dates(view, done, used)
    named = dict[str, Place](_others(view, [*used, *([status.place] if status else []), *when.values()]))
    conditions = [*filters(view, done, status, [*used, *when.values()])]
    for number, step in enumerate(steps, 1):
        more = filters(step.view, None, None, ())
        conditions += [each._replace(place=each.place.in_query(alias(number))) for each in more]
    if person is None:
        rest = [*used, *([status.place] if status else []), *when.values(), *named.values()]
        other_persons = guesses(view, [*rest, *(each.place for each in conditions)])
        if other_persons and not any(_are_close(other_persons[0], each) for each in other_persons[1:]):
            person, other_persons = other_persons[0], other_persons[1:]
    users = users_table(view, person, survey) if person else None
    conditions += _of_deleted_users(view, person, users, conditions)
    reading = Reading(
        view=view,
        version=version,
        by_value=bool(done.present),
        model=model,
        other_models=tuple(source for source, _ in sources[1:4]),
        person=person,
        other_persons=tuple(other_persons[:4]),
        users=users,
        states=status,
        dates=when,
        training=training,
        others=named,
        filters=tuple(conditions),
        steps=steps,
        score=found.score,
    )
    return reading._replace(score=found.score + _score(survey, reading))


_CLOSE_GUESS = 0.6
"""Guesses whose scores are no farther apart are left to a person."""


def _are_close(guess: Person, other: Person) -> bool:
    return guess.score - other.score < _CLOSE_GUESS


def _keys_of_persons(view: View, survey: Survey) -> list[Place]:
    """Columns whose values are keys of a table of users, whatever they look like."""
    linked = [(link.place, survey.view(link.table)) for link in view.links]
    return [place for place, other in linked if other is not None and score_of_users(other, survey) > 0]


def _of_deleted_users(
    view: View, person: Person | None, users: UsersTable | None, conditions: Sequence[Filter]
) -> list[Filter]:
    """Where rows say nothing of being deleted, and their users do."""
    if person is None or users is None or users.grouped or users.view.table == view.table:
        return []
    if any(each.why == DELETED for each in conditions):
        return []
    steps = len(person.steps)
    owner = person.place.in_query(alias(steps)) if steps else person.place
    if steps and person.steps[-1].view.table == users.view.table:
        return []  # it is joined, and its own columns say it
    condition = of_deleted_users(users.view, users.id, owner)
    return [condition] if condition else []


def alias(number: int) -> str:
    """What the table of the step of this number, from 1 on, is called in a query; 0 is the table that counts."""
    return "t" if number == 0 else f"t{number}"


def _apart(place: Place, other: Place) -> bool:
    return (place.column, place.path) != (other.column, other.path)


def _model_sources(
    survey: Survey, view: View, version: Place, owner: str | None, way: Sequence[Step]
) -> list[tuple[ModelSource, tuple[Step, ...]]]:
    """How the model may be known, best first, and what has to be joined for it."""
    own = [(source, ()) for source in model_sources(view.places, version, owner, row_places=view.places)]
    found: list[tuple[ModelSource, tuple[Step, ...]]] = [*own]
    if not any(source.how == "qualified" for source, _ in own):
        for steps in _ways(survey, view, way):
            last = steps[-1].view
            places = [place.in_query(alias(len(steps))) for place in last.places]
            elsewhere = model_sources(places, version, owner, row_places=())
            found += [
                (source._replace(score=source.score - 1.5), steps)
                for source in elsewhere
                if source.how in {"model", "pair", "name"} and source.score > 1.5
            ]
    weighed = [(_asked(source, survey), steps) for source, steps in found]
    return sorted((each for each in weighed if each[0].score > 0), key=lambda each: -each[0].score)


def _ways(survey: Survey, view: View, way: Sequence[Step]) -> Iterator[tuple[Step, ...]]:
    """Tables that a row leads to, by their links: the way to the user first."""
    for length in range(1, len(way) + 1):
        yield tuple(way[:length])
    if way:
        return  # a query joins one way only
    for link in view.links:
        other = survey.view(link.table)
        if other is not None and link.table != view.table.id and not other.is_empty:
            yield (Step(link, other),)


def _asked(source: ModelSource, survey: Survey) -> ModelSource:
    """What Replicate has said of its models counts for more than any name."""
    said = [survey.there[key] for model in source.sample if (key := model_key(model)) in survey.there]
    if not said:
        return source
    return source._replace(score=source.score + (4 if any(said) else -4))


def _score(survey: Survey, reading: Reading) -> float:
    table, person = reading.view.table, reading.person
    return points(
        (True, min(4.0, reading.model.score / 2)),
        (True, min(4.0, person.score / 3) if person else -3),
        (reading.states, 1.5),
        (True, 1 if reading.dates else -1),
        (reading.training, 0.5),
        (has(table.name, *MODELS), 1.5),
        (has(table.name, *LOGS), -3),
        (table.is_view, -1.5),
        (table.stale, -3),
        (reading.view.key is None, -2),
        (table.row_security, -4),
        (table.visible, 0.5),
        (survey.referenced.get(table.id), 1),
        (reading.steps, -1),  # what needs no query is likelier
    )


_NAMED: dict[str, tuple[str, ...]] = {
    "trigger_word": ("trigger_word", "trigger", "token_word", "trigger_token", "keyword", "activation_word"),
    "lora_scale": ("lora_scale", "scale", "lora_strength", "strength"),
    "failure_reason": (
        *("failure_reason", "error_message", "error", "failure", "failed_reason", "error_reason", "error_details"),
    ),
    "model_name": ("title", "label", "display_name", "model_name", "name", "pet_name", "nickname"),
}


def _others(view: View, used: Sequence[Place]) -> Iterator[tuple[str, Place]]:
    """What an audit can do without."""
    taken = {(place.column.name, place.path) for place in used}
    free = [
        place for place in view.places if (place.column.name, place.path) not in taken and place.column.kind != "date"
    ]
    weights = _weights(free)
    if weights is not None:
        yield "lora_weights_url", weights
        free.remove(weights)
    for name, words in _NAMED.items():
        kinds = {"number", "text"} if name == "lora_scale" else {"text"}
        fitting = [place for place in free if place.kind in kinds and _is_named(place, words)]
        if name == "model_name":
            fitting = [place for place in fitting if not place.path and not place.called("user", "file", "error")]
        if fitting:
            best = min(fitting, key=lambda place: _nearness(place, words))
            yield name, best
            free.remove(best)
    for place in free:
        if place.kind == "bool" and place.is_column and place.called("is_test", "test", "testing", "is_testing"):
            yield "is_test", place
            return


def _is_named(place: Place, words: Sequence[str]) -> bool:
    return place.called(*words) and not place.called("id", "url", "count", "code", "email", "type", "version", "images")


def _nearness(place: Place, words: Sequence[str]) -> tuple[bool, int, int]:
    first = next((number for number, word in enumerate(words) if place.called(word)), len(words))
    return bool(place.path), first, len(place.name)


def _weights(places: Sequence[Place]) -> Place | None:
    """Where the URL of weights is recorded."""
    scored = [(score, place) for place in places if (score := _score_of_weights(place)) > 1]
    return max(scored, key=lambda each: each[0])[1] if scored else None


def _score_of_weights(place: Place) -> float:
    if place.kind != "text":
        return 0.0
    score, seen = 0.0, place.seen
    if place.called(
        "weights", "weight", "safetensors", "hf_lora", "lora_url", "lora_path", "lora_file", "lora_weights"
    ):
        score += 1.5
    elif place.called("lora", "url", "output"):
        score += 0.5
    if place.called(*("image", "images", "preview", "thumbnail", "avatar", "zip", "dataset", "input", "cover", "logs")):
        score -= 3
    if not seen.present:
        return score if place.called("weights_url", "lora_url", "lora_weights", "hf_lora", "weights") else 0.0
    share = seen.share(Looks.WEIGHTS, Looks.REFERENCE)
    if share < 0.5:
        return 0.0
    return score + 2 * share - (0.5 if place.path else 0.0)


def _latest_only(survey: Survey, owner: str | None) -> View | None:
    """A table that stores models or trainings, and no version: what it runs is whatever is the latest."""
    scored = []
    for view in survey.views.values():
        if has(view.table.name, *LOGS):
            continue
        models = [place for place in view.places if place.kind == "text" and _are_own_models(place.seen, owner)]
        training = training_place(view.places)
        evidence = 3.0 * bool(models) + 2.0 * bool(training and training.seen.present)
        if evidence and has(view.table.name, *MODELS):
            evidence += 1
        if evidence:
            scored.append((evidence, view))
    return max(scored, key=lambda each: each[0])[1] if scored else None


def _are_own_models(seen: Seen, owner: str | None) -> bool:
    models = [model for model in seen.models() if model]
    if seen.share(Looks.MODEL, Looks.MODEL_PAGE) < 0.8 or seen.all_are_trainers:
        return False
    return owner is None or any(model.partition("/")[0].casefold() == owner.casefold() for model in models)


def several_models(reading: Reading) -> tuple[int, int]:
    """Of the users in the sample: how many have more than one model, and how many there are."""
    if reading.person is None or reading.person.steps:
        return 0, 0
    done = reading.version.seen.texts
    models = _models_of(reading)
    seen: dict[str, set[str]] = {}
    for number, user in enumerate(reading.person.place.seen.texts):
        if user is not None and number < len(done) and done[number]:
            seen.setdefault(user, set()).add(models[number] or f"row {number}")
    counts = Counter(len(found) for found in seen.values())
    return sum(count for size, count in counts.items() if size > 1), len(seen)


def _models_of(reading: Reading) -> Sequence[str | None]:
    place = reading.model.places.get("replicate_model_id") or reading.model.places.get("replicate_name")
    if place is not None and not place.of:
        return place.seen.texts
    if reading.model.how == "qualified":
        return reading.version.seen.models()
    return [None] * len(reading.version.seen.texts)
