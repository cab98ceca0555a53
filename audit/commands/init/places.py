"""Where a value stands: a column, a place in JSON within one, or an expression over it. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

from audit.commands.init.names import has
from audit.commands.init.values import Seen, are_documents, documents
from audit.model.sql import literal
from audit.postgres.catalog import Catalog, CatalogColumn, CatalogTable, Sample

MOST_COLUMNS = 250
"""Columns of a table that are looked at."""


@dataclass(frozen=True)
class Place:
    """Where a value stands, and what was seen there."""

    column: CatalogColumn
    seen: Seen = field(repr=False)
    path: tuple[str, ...] = ()
    """Keys that lead to it, where the column holds JSON."""
    form: str = "{}"
    """SQL that makes the value of what stands there, in the place of the braces."""
    of: str = ""
    """The table's name in a query that joins several; "" where there is one table."""

    @property
    def name(self) -> str:
        """For a person, and to be judged by: "output.version"."""
        return ".".join((self.column.name, *self.path))

    @property
    def is_column(self) -> bool:
        """It is a column as it stands."""
        return not self.path and self.form == "{}"

    @property
    def expression(self) -> str:
        """SQL that gives the value."""
        return self.form.replace("{}", self.raw)

    @property
    def raw(self) -> str:
        """SQL for what stands there."""
        column = f"{self.of}.{self.column.sql}" if self.of else self.column.sql
        if not self.path:
            return column
        if self.column.kind == "text":
            column = f"(CASE WHEN {column} ~ '^\\s*\\{{' THEN {column} END)::jsonb"
        *keys, last = map(literal, self.path)
        return "".join((column, *(f"->{key}" for key in keys), f"->>{last}"))

    @property
    def can_be_set(self) -> bool:
        """A repair can write there."""
        plain = self.form == "{}" and not self.column.fixed
        return plain and (not self.path or self.column.kind == "json")

    @property
    def kind(self) -> str:
        """Of the value, as a column of its own would have it."""
        return "text" if self.path else self.column.kind

    def with_form(self, form: str) -> "Place":
        """What `form` makes of it."""
        return Place(self.column, self.seen, self.path, form, self.of)

    def in_query(self, of: str) -> "Place":
        """The same in a query in which its table has that name."""
        return Place(self.column, self.seen, self.path, self.form, of)

    def called(self, *words: str) -> bool:
        """Whether one of `words` is in its name; several of them in a row where they have underscores."""
        return has(self.name, *words)


class Link(NamedTuple):
    """Values of a column that are keys of another table."""

    place: Place
    table: str
    """The other one's `CatalogTable.id`."""
    other: str
    """Its column."""
    declared: bool
    """By a foreign key; else names and values say so."""


@dataclass(frozen=True)
class View:
    """A table, and what was seen in it."""

    table: CatalogTable
    sample: Sample | None = field(repr=False)
    """Null where nobody has looked, or nobody could."""
    implied: tuple[Link, ...] = ()
    """Links that are not declared."""

    @cached_property
    def places(self) -> tuple[Place, ...]:
        """All that there are, those within JSON behind the column."""
        return tuple(self._places())

    def _places(self) -> Iterator[Place]:
        for column in self.table.columns[:MOST_COLUMNS]:
            texts = self.sample.columns.get(column.name, ()) if self.sample else ()
            seen = Seen(texts)
            yield Place(column, seen)
            if column.kind == "json" or (column.kind == "text" and are_documents(texts)):
                for path, values in documents(texts).items():
                    yield Place(column, Seen(values), path)

    @property
    def columns(self) -> tuple[Place, ...]:
        """Those that are columns."""
        return tuple(place for place in self.places if place.is_column)

    def place(self, column: str) -> Place | None:
        """The column of this name."""
        return next((place for place in self.columns if place.column.name == column), None)

    @cached_property
    def key(self) -> Place | None:
        """A column that tells rows apart; None where there is none."""
        keys = [key[0] for key in (self.table.primary, *self.table.unique) if len(key) == 1]
        named = [place for name in keys if (place := self.place(name)) and place.kind != "json"]
        if named:
            return named[0]
        alone = [
            place
            for place in self.columns
            if place.kind in {"uuid", "number", "text"} and place.seen.variety == 1 == place.seen.filled
        ]
        likely = [place for place in alone if place.called("id", "uuid") or place.column.name in self.table.primary]
        unseen = [place for place in self.columns if not place.seen.present and place.column.name in {"id", "uuid"}]
        several = [place for place in alone if len(place.seen.present) > 1]
        return next(iter((*sorted(likely, key=lambda place: len(place.name)), *unseen, *several)), None)

    @property
    def is_empty(self) -> bool:
        """Nothing was seen in it."""
        return self.sample is None or not self.sample.rows

    @cached_property
    def links(self) -> tuple[Link, ...]:
        """To other tables, declared ones first."""
        declared = (
            Link(place, reference.table, reference.other, declared=True)
            for reference in self.table.references
            if (place := self.place(reference.column))
        )
        return (*declared, *self.implied)


@dataclass(frozen=True)
class Survey:
    """What was found by looking around."""

    catalog: Catalog
    views: dict[str, View]
    """By `CatalogTable.id`, those that were looked into; also such as could not be read."""
    failed: dict[str, str]
    """Tables that could not be read, and why."""
    unseen: int = 0
    """How many tables nobody looked into."""
    account: str | None = None
    """Whose token it is."""
    there: dict[str, bool] = field(default_factory=dict)
    """Models that Replicate was asked for, by key, and whether there is one."""

    def view(self, table: str) -> View | None:
        """The table, looked into or not; None where this role may not read it."""
        found = self.views.get(table)
        if found is None:
            known = next((each for each in self.catalog.tables if each.id == table), None)
            return View(known, None) if known else None
        return found

    @cached_property
    def referenced(self) -> dict[str, list[tuple[View, Link]]]:
        """Links to each table, by its id."""
        found: dict[str, list[tuple[View, Link]]] = {}
        for view in self.views.values():
            for link in view.links:
                found.setdefault(link.table, []).append((view, link))
        return found
