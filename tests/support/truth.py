"""What is true of a made-up world, worked out apart from the program."""

from audit.demo.fake_replicate.faults import (
    Dates,
    Disguise,
    Repeated,
    UpperCase,
    Versions,
    _dated,
    label_of,
    listed,
    reason_of,
)
from audit.demo.fake_replicate.world import World, visible_model
from audit.model.replies import Failed, Found, Missing, NoVersions, Reply


def understood(disguise: Disguise, versions: Versions) -> Versions:
    """The versions as a good client reads them off `listed`."""
    match disguise:
        case UpperCase() | Repeated():
            return versions
        case Dates(form="null" | "missing" | "malformed"):
            return _dated(disguise, versions, None)
        case _:
            return listed(disguise, versions)


def truth(world: World, model_id: str) -> Reply:
    """What a faultless client must learn about a model, from the data alone.

    A lasting fault gives `Failed` with its reason (and the fault's name as detail), a passing one nothing. Faults are
    taken as they come: the first that a client cannot overcome counts.
    """
    model = visible_model(world, model_id)
    for fault in model.faults if model else ():
        reason = reason_of(fault)
        if reason and fault.times is None and fault.meets("versions"):
            return Failed(reason, label_of(fault))
    if model is None:
        return Missing()
    if not model.versions:
        return NoVersions()
    if not model.lists_versions:
        return Found(model.versions[:1], only_latest=True)
    shown = model.versions
    for disguise in model.disguises:
        shown = understood(disguise, shown)
    return Found(shown)
