"""Where the version and the model are recorded. Pure."""

from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple

from audit.commands.init.names import DIGESTS, MODELS, OF_TRAINERS, SECRETS, has, points
from audit.commands.init.places import Place, View
from audit.commands.init.values import MODEL_PAGE, REFERENCE, Looks, Seen, is_base, model_in
from audit.model.ids import model_key

_VERSIONS = (Looks.HASH, Looks.QUALIFIED, Looks.REFERENCE)
_QUALIFIED = (Looks.QUALIFIED, Looks.REFERENCE)
SURE = 3.0
"""Of a score: values say so, and not the name alone."""


class Found(NamedTuple):
    """A place, and how much speaks for it."""

    place: Place
    score: float


def versions(view: View) -> list[Found]:
    """Where versions may be recorded, best first; by name alone only where nothing is in it."""
    name = view.table.name
    found = [Found(_as_version(place), _score_of_version(place, name)) for place in view.places if place.kind == "text"]
    return sorted((each for each in found if each.score > 0), key=lambda each: -each.score)


def _as_version(place: Place) -> Place:
    """References are taken apart by an expression; all else stands as it is."""
    references = place.seen.count(Looks.REFERENCE)
    if not references:
        return place
    pattern = REFERENCE.replace("'", "''")
    return place.with_form(f"regexp_replace({{}}, '^{pattern}$', '\\1:\\2')")


def _score_of_version(place: Place, table: str) -> float:
    seen, score = place.seen, _name_of_version(place)
    if not seen.present:
        return score if score >= 2 else 0.0
    share = seen.share(*_VERSIONS)
    if share < 0.3 or (share < 0.5 and score < 2):
        return 0.0
    if place.called("weights", "url", "image", "preview", "output_url") and not seen.share(Looks.HASH, Looks.QUALIFIED):
        score -= 1
    score += 4 * share + 2.5 * seen.share(*_QUALIFIED)
    if not seen.share(*_QUALIFIED) and not place.called("version"):
        # In a table of versions, a `sha` is a version's.
        digest = place.called(*DIGESTS) and not has(table, "version", "versions")
        score -= 5 if place.called(*SECRETS) else 2 if digest and has(table, *MODELS) else 4 if digest else 0
    if seen.all_are_trainers:
        score -= 8
    if len(seen.present) >= 3 and len(seen.counts) == 1:
        score -= 3
    elif len(seen.present) >= 10 and seen.variety < 0.3:
        score -= 2
    return score + min(1.0, seen.filled) - (0.5 if place.path else 0.0)


def _name_of_version(place: Place) -> float:
    score = 0.0
    if place.called("version"):
        score += 2
        if place.called("replicate", "model", "version_id", "version_hash", "hash", "lora", "trained"):
            score += 1
    elif place.called("replicate", "lora", "ref", "reference", "destination", "weights"):
        score += 0.5
    if place.called(*OF_TRAINERS):
        score -= 3
    if place.called("app", "api", "schema", "client", "lock", "row", "terms", "policy", "consent", "format", "engine"):
        score -= 2
    return score


class ModelSource(NamedTuple):
    """How the model is known. Places by the audit's names of columns."""

    how: Literal["model", "pair", "name", "training", "qualified", "none"]
    places: dict[str, Place]
    score: float
    sample: tuple[str, ...] = ()
    """Models that are recorded, to be asked for; bare names for `name`."""


def model_sources(
    places: Sequence[Place], version: Place, owner: str | None, *, row_places: Sequence[Place]
) -> list[ModelSource]:
    """How models may be known, best first. `row_places` are those of the version's own table, row by row beside it."""
    found = [*_whole(places, version, owner, row_places), *_pairs(places, owner), *_names(places, version, owner)]
    qualified = version.seen.share(*_QUALIFIED)
    if qualified >= 0.9:
        agreeing = [each for each in found if each.how == "model" and each.score >= SURE + 1]
        sample = tuple(_newest(version.seen.models()))
        return (
            [*agreeing[:1], ModelSource("qualified", {}, 5.0, sample)]
            if agreeing
            else [ModelSource("qualified", {}, 5.0, sample)]
        )
    found += _trainings(row_places)
    return sorted((each for each in found if each.score > 0), key=lambda each: -each.score)


def _newest(models: Iterable[str | None]) -> list[str]:
    """The last few different ones; later rows of a sample tend to be newer."""
    return list(dict.fromkeys(model for model in reversed(list(models)) if model))[:3]


def _whole(
    places: Sequence[Place], version: Place, owner: str | None, row_places: Sequence[Place]
) -> Iterable[ModelSource]:
    """Columns that hold `owner/name`, or the page of a model, or a qualified version."""
    for place in places:
        if place.kind != "text" or (place.column == version.column and place.path == version.path):
            continue
        seen = place.seen
        score = _name_of_model(place)
        if not seen.present:
            if score >= 1.5:
                yield ModelSource("model", {"replicate_model_id": place}, score)
            continue
        share = seen.share(Looks.MODEL, Looks.QUALIFIED, Looks.MODEL_PAGE)
        if share < 0.6:
            continue
        models = [model for model in seen.models() if model]
        is_always_a_base = all(is_base(model) for model in models)
        score += points(
            (True, 3 * share),
            (owner and any(model.partition("/")[0].casefold() == (owner or "").casefold() for model in models), 3),
            (is_always_a_base, -7),
            (not is_always_a_base and len(models) >= 3 and len(set(models)) == 1, -2),
            (place in row_places, _agrees(seen, version.seen)),
            (place.path, -0.5),
        )
        yield ModelSource("model", {"replicate_model_id": _as_model(place)}, score, tuple(_newest(seen.models())))


def _as_model(place: Place) -> Place:
    if place.seen.count(Looks.MODEL_PAGE):
        return place.with_form(f"regexp_replace({{}}, '^{MODEL_PAGE}$', '\\1')")
    return place


def _agrees(seen: Seen, version: Seen) -> float:
    """Whether models are those of qualified versions beside them."""
    pairs = [
        (model_in(model), model_in(recorded))
        for model, recorded in zip(seen.texts, version.texts, strict=False)
        if model and recorded
    ]
    known = [(model, recorded) for model, recorded in pairs if model and recorded]
    if not known:
        return 0.0
    share = sum(model_key(model) == model_key(recorded) for model, recorded in known) / len(known)
    return 3.0 if share > 0.6 else -6.0


def _name_of_model(place: Place) -> float:
    score = 0.0
    if place.called("model", "destination", "slug"):
        score += 1.5
    if place.called("replicate", "replicate_model", "destination", "model_id", "model_ref", "model_slug", "full_name"):
        score += 1
    if place.called(*OF_TRAINERS):
        score -= 3
    if place.called("type", "kind", "mime", "media", "timezone", "tz", "version", "status", "trigger", "url", "prompt"):
        score -= 2
    return score


def _pairs(places: Sequence[Place], owner: str | None) -> Iterable[ModelSource]:
    """An owner and a name in two places of one table."""
    owners = sorted(((place, _score_of_owner(place, owner)) for place in places), key=lambda each: -each[1])
    for place, score in owners[:3]:
        if score <= 0:
            break
        beside = [
            other
            for other in places
            if other.of == place.of and other is not place and (other.column == place.column or not place.path)
        ]
        named = sorted(((other, _score_of_name(other)) for other in beside), key=lambda each: -each[1])
        for other, score_of_name in named[:2]:
            if score_of_name > 1:
                both = [
                    f"{first}/{second}"
                    for first, second in zip(place.seen.texts, other.seen.texts, strict=False)
                    if first and second
                ]
                yield ModelSource(
                    "pair",
                    {"replicate_owner": place, "replicate_name": other},
                    score + score_of_name / 2,
                    tuple(_newest(both)),
                )


def _score_of_owner(place: Place, owner: str | None) -> float:
    if place.kind not in {"text", "enum"} or (place.column.name.casefold().endswith("id") and not place.path):
        return 0.0
    score, seen = 0.0, place.seen
    if place.called("owner", "username", "model_owner", "replicate_owner", "organization", "namespace"):
        score += 1.5
    if place.called("replicate", "model"):
        score += 0.5
    if not seen.present:
        return score if score >= 2 else 0.0
    slugs = seen.share(Looks.NAME)
    if slugs < 0.9 or seen.share(Looks.EMAIL, Looks.UUID, Looks.TRAINING, Looks.HASH):
        return 0.0
    if owner and any(text.casefold() == owner.casefold() for text in seen.counts):
        return score + 4
    if len(seen.counts) > max(3, len(seen.present) // 3):
        return 0.0
    return score


def _score_of_name(place: Place) -> float:
    if place.kind != "text":
        return 0.0
    score, seen = 0.0, place.seen
    if place.called("model_name", "model_slug", "replicate_model", "replicate_name", "lora_name", "destination_name"):
        score += 2.5
    elif place.called("name", "slug", "model", "destination", "repo"):
        score += 1.5
    elif place.called("lora", "replicate"):
        score += 0.5
    if place.called("user", "first", "last", "file", "display", "trigger", "version", "status", "provider", "type"):
        score -= 2.5
    if not seen.present:
        return score if score >= 2 else 0.0
    if any(text != text.lower() for text in seen.counts) or seen.share(Looks.NAME) < 0.95:
        return 0.0
    odd = seen.share(Looks.HASH, Looks.UUID, Looks.TRAINING, Looks.EMAIL)
    if odd > 0.2 or all(text.replace(".", "").isdigit() for text in seen.counts):
        return 0.0
    if seen.variety > 0.5 or len(seen.present) < 4:
        score += 1
    dashed = sum(count for text, count in seen.counts.items() if "-" in text or "_" in text) / len(seen.present)
    return score + dashed


def _names(places: Sequence[Place], version: Place, owner: str | None) -> Iterable[ModelSource]:
    """Names whose owner stands in the product's code."""
    for place in places:
        if place.column == version.column and place.path == version.path:
            continue
        score = _score_of_name(place)
        if score >= 2 and not (not place.seen.present and not place.called("model", "slug", "lora", "destination")):
            sample = tuple(f"{owner}/{name}" if owner else name for name in _newest(place.seen.texts))
            yield ModelSource("name", {"replicate_name": place}, score if place.seen.present else 1.0, sample)


def _trainings(places: Sequence[Place]) -> Iterable[ModelSource]:
    """Ids of trainings, which Replicate can be asked for."""
    best = training_place(places)
    if best is not None and best.seen.present:
        yield ModelSource("training", {"replicate_model_id": best}, 2.5)


def training_place(places: Sequence[Place]) -> Place | None:
    """Where ids of trainings are recorded; None where they are not."""
    scored = sorted(((place, _score_of_training(place)) for place in places), key=lambda each: -each[1])
    return scored[0][0] if scored and scored[0][1] > 1.5 else None


def _score_of_training(place: Place) -> float:
    if place.kind != "text":
        return 0.0
    score, seen = 0.0, place.seen
    if place.called("training", "train", "tune"):
        score += 1.5
    if place.called("training_id", "replicate", "replicate_id", "external", "job", "training_ref", "model_id"):
        score += 0.5
    if place.called("prediction", "url", "status", "trigger", "images", "zip", "error", "logs"):
        score -= 2
    if not seen.present:
        return score if place.called("training_id", "training_ref", "replicate_id") else 0.0
    share = seen.share(Looks.TRAINING)
    if share < 0.6 or (score <= 0 and seen.variety < 1):  # whatever comes twice is rather whose the rows are
        return 0.0
    return score + 2 * share + (0.5 if seen.variety == 1 else 0.0) - (0.3 if place.path else 0.0)
