"""What is true of a made-up world, worked out apart from the program."""

from audit.demo.fake_replicate.answers import version_fields
from audit.demo.fake_replicate.faults import ResponseVariant, Undated, UpperCase
from audit.demo.fake_replicate.world import World, visible_model
from audit.model.replies import Failed, Found, Missing, NoVersions, Reply, Version
from tests.support.faults import Dates, Repeated, label_of, reason_of


def understood(variant: ResponseVariant, versions: tuple[Version, ...]) -> tuple[Version, ...]:
    """The versions as a good client reads them off `listed`."""
    match variant:
        case UpperCase() | Repeated():
            return versions
        case Undated() | Dates(form="null" | "missing" | "malformed"):
            count = variant.only if isinstance(variant, Dates) and variant.only is not None else len(versions)
            return tuple(Version(version.id, None) for version in versions[:count]) + versions[count:]
        case _:
            listed = variant.listed([version_fields(version) for version in versions])
            return tuple(Version(fields["id"], fields["created_at"]) for fields in listed)


def truth(world: World, model_id: str) -> Reply:
    """What a faultless client must learn about a model, from the data alone.

    A lasting fault gives `Failed` with its reason (and the fault's name as detail), a passing one nothing. Faults are
    taken as they come: the first that a client cannot overcome counts.
    """
    model = visible_model(world, model_id)
    for fault in model.faults if model else ():
        reason = reason_of(fault)
        if reason and fault.times is None and fault.affects("versions"):
            return Failed(reason, label_of(fault))
    if model is None:
        return Missing()
    if not model.versions:
        return NoVersions()
    if not model.lists_versions:
        return Found(model.versions[:1], only_latest=True)
    shown = model.versions
    for variant in model.variants:
        shown = understood(variant, shown)
    return Found(shown)
