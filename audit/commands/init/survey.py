"""Looks around in a database: which tables are worth it, what is in them, which columns are other tables' keys."""

from collections.abc import Sequence

from audit.commands.init.names import LOGS, MODELS, PERSONS, has, points
from audit.commands.init.persons import email, may_be_links
from audit.commands.init.places import Link, Place, Survey, View
from audit.commands.init.values import IN_A_ROW, Looks
from audit.commands.init.versions import versions
from audit.postgres.catalog import (
    Catalog,
    CatalogTable,
    Looking,
    Sample,
    also_in,
    looking,
    probe,
    read_catalog,
    sample,
)
from audit.postgres.url import Database

SECONDS = 8.0
"""For all of it."""
MOST = 40
"""Tables whose rows are looked at."""
_VALUES = 200
"""Values that are looked up in another table."""
_PAIRS = 24
"""Pairs of columns that are compared so."""


async def survey(database: Database, seconds: float = SECONDS) -> Survey:
    """Look around for so many seconds. Raises DatabaseError where the database can't be read at all."""
    async with looking(database, seconds) as look:
        catalog = await read_catalog(look.connection)
        chosen = await _chosen(look, catalog)
        views: dict[str, View] = {}
        for table in chosen:
            views[table.id] = View(table, await _sample(look, table))
        found = Survey(catalog, views, dict(look.failed), len(catalog.tables) - len(chosen))
        implied = await _implied(look, found)
        views = {name: View(view.table, view.sample, tuple(implied.get(name, ()))) for name, view in views.items()}
        unread = {name: why for name, why in look.failed.items() if name}
        return Survey(catalog, views, unread, len(catalog.tables) - len(chosen) + catalog.left_out)


async def _chosen(look: Looking, catalog: Catalog) -> list[CatalogTable]:
    """The tables that are looked into: those that names and a few rows speak for, and those that they refer to."""
    tables = sorted(catalog.tables, key=lambda table: -interest(table))
    if len(tables) <= MOST:
        return tables
    readable = [table for table in tables if not table.row_security]
    hits = await probe(look, readable, IN_A_ROW, until=0.4 * look.left)
    ranked = sorted(tables, key=lambda table: -(interest(table) + (4 if hits.get(table.id) else 0)))
    known = {table.id: table for table in tables}
    chosen: dict[str, CatalogTable] = {}
    for table in ranked:
        if len(chosen) >= MOST:
            break
        chosen[table.id] = table
        if hits.get(table.id) or interest(table) > 4:
            for reference in table.references:
                if (other := known.get(reference.table)) is not None:
                    chosen[other.id] = other
    return list(chosen.values())


def interest(table: CatalogTable) -> float:
    """How much names and types speak for a look into `table`."""
    names = [column.name for column in table.columns]

    def any_of(*wanted: str) -> bool:
        return any(has(name, *wanted) for name in names)

    return points(
        (any_of("version", "replicate", "lora"), 2),
        (any_of("replicate", "lora") or has(table.name, "replicate", "lora", "loras"), 2),
        (any_of("training", "trigger", "weights", "destination"), 1),
        (any_of("status", "state"), 0.5),
        (any_of("email", "mail"), 1),
        (any_of("user", "owner_id", "account_id"), 0.5),
        (any(column.kind == "json" for column in table.columns), 0.5),
        (has(table.name, *MODELS), 2),
        (has(table.name, *PERSONS), 1.5),
        (has(table.name, *LOGS), -1.5),
        (table.visible, 0.3),
        (table.is_view, -0.5),
        (table.rows, 0.2),
        (table.rows == 0, -1),
    )


async def _sample(look: Looking, table: CatalogTable) -> Sample | None:
    if table.row_security:
        look.failed[table.id] = "row-level security hides its rows from this role"
        return None
    if not look.left:
        look.failed[table.id] = "there was no time left for it"
        return None
    wanted = [column for column in table.columns if column.kind not in {"other", "array", "composite"}]
    return await sample(look, table, wanted[:250])


async def _implied(look: Looking, found: Survey) -> dict[str, list[Link]]:
    """Links that no foreign key declares, of tables with versions and of those that they lead to."""
    links: dict[str, list[Link]] = {}
    with_versions = [view for view in found.views.values() if versions(view)]
    with_versions.sort(key=lambda view: -versions(view)[0].score)
    asked = with_versions[:6]
    tried = 0
    for view in [*asked, *_led_to(asked, found)]:
        for place, other, key in may_be_links(view, found):
            if tried >= _PAIRS * 2:
                return links
            tried += 1
            if any(link.place == place for link in links.get(view.table.id, ())):
                continue
            if await _are_keys(look, place, other, key):
                links.setdefault(view.table.id, []).append(Link(place, other.table.id, key.column.name, declared=False))
    return links


def _led_to(views: Sequence[View], found: Survey) -> list[View]:
    known = {view.table.id for view in views}
    led = dict.fromkeys(link.table for view in views for link in view.links)
    named = [name for name in led if name not in known and name in found.views]
    persons = [view for name in named if (view := found.views[name]) and email(view) is None]
    return persons[:4]


async def _are_keys(look: Looking, place: Place, other: View, key: Place) -> bool:
    """Whether nearly all values of `place` are in the other table's key."""
    values = list(place.seen.counts)[:_VALUES]
    if not values:
        return False
    if other.sample is not None and other.sample.whole:
        keys = set(key.seen.counts)
        there = sum(value in keys for value in values)
    else:
        if key.kind != place.kind and not (key.kind == "uuid" and place.seen.share(Looks.UUID) == 1):
            return False
        there = await also_in(look, values, other.table, key.column) or 0
    return there >= 0.9 * len(values) and there > 0
