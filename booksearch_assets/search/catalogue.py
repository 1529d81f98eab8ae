"""What the search layer knows of a catalogue: the names of its columns and filters, its types, and its words for readers.

A declaration says it once (`books_collection`, `products_collection`), and everything that searches reads it there.

Belongs here: the form of a declaration, and what follows from it alone. Does not: the declarations, searching.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from enum import StrEnum
from functools import cached_property
from typing import Any

from booksearch_assets.search.folding import folded
from booksearch_assets.search.query import Filters, InvalidQuery, Template
from booksearch_assets.search.rows import cut
from booksearch_assets.tables.images import PictureTables
from booksearch_assets.vectorstores.contract import CollectionSpec, ScalarField
from booksearch_assets.vectorstores.filters import All, Between, Contains, Filter

TITLE, PICTURE, URL = "title", "picture_id", "url"
"""Columns that every catalogue has. `picture_id` is the image that stands for all images of nearly the same picture
(`search.near_duplicates`), `url` is where the image was fetched."""

_UNBOUNDED = 2**31 - 1


class Control(StrEnum):
    """How the page lets a reader choose a label: write a whole name, choose one of few, or press one of the frequent ones."""

    NAME = "name"
    CHOICE = "choice"
    BUTTONS = "buttons"


@dataclass(frozen=True)
class NumberField:
    """A whole number in `column` that the filter `filter` gives a range of. Facets count its values if `counted`.

    `unit` is what one number is, for readers.
    """

    filter: str
    column: str
    unit: str
    caption: str
    description: str
    example: str
    counted: bool


@dataclass(frozen=True)
class LabelField:
    """Names that an item has any number of, in `column`, of which the filter `filter` wants one whole.

    `stored` is the column that is filtered by, since stores compare texts byte by byte: folded names, or `column` itself
    where it holds codes in lower case. `pattern` is what a
    reader may ask for, where not everything. `said` words a filter in use, with the value in braces.
    """

    filter: str
    column: str
    stored: str
    caption: str
    description: str
    example: str
    control: Control
    said: str = "{}"
    pattern: str | None = None
    is_language: bool = False

    def compared(self, value: str) -> str:
        """`value` as the column `stored` holds it, but for its length."""
        return value.strip().lower() if self.stored == self.column else folded(value)


@dataclass(frozen=True)
class Fact:
    """What is shown of an item beside its title: one of its attributes, with a unit, or as the name of a language."""

    attribute: str
    unit: str = ""
    is_language: bool = False


@dataclass(frozen=True)
class Wording:
    """How readers are told of a catalogue, in the API and on the page.

    `copies` are the items that share a group, such as the editions of a work. `byline` and `facts` are shown of an item,
    on its card and where it is opened; `unknown` stands for a byline that is empty. `shape` is the width over the
    height of most pictures. `source_address` is where the source of an item shows it, with its attributes in braces.
    """

    item: str
    items: str
    copy: str
    copies: str
    image: str
    images: str
    shape: float
    finds: str
    motto: str
    label: str
    placeholder: str
    examples: tuple[str, ...]
    templates: tuple[Template, ...]
    byline: tuple[Fact, ...]
    unknown: str
    facts: tuple[Fact, ...]
    source: str
    source_address: str


@dataclass(frozen=True)
class SearchedCatalogue:
    """A catalogue as it is searched. Its name is also that of its alias, and of its folder in the lake.

    `key` names an item, `pictures` are its pictures, and `group` is what it shares with its copies ("" for an item that
    has none); `image_pattern` is None where ids of pictures are numbers. `weights` are the columns whose words are
    found, and how much a word counts in each.

    `item`, `result`, `answer` and `facets` are the types of answers: a result is an item with its rank, score, number of
    copies and what matched it; an answer has an item, its copies, the collection, bundle id and model id; facets have
    the total, a field for each number that is counted and each label, and the collection. `renamed` are attributes of
    the item that are not called as their column.

    Quality asks for the values of the label `topic` as `topic_of` words them, and the baselines do not read the columns
    `telling`, which hold the answer. `thinned_by` is a field that says little of the picture, so that a filter on it
    thins out neighbours everywhere.
    """

    name: str
    collection_fields: tuple[ScalarField, ...]
    key: str
    key_pattern: str
    key_example: str
    pictures: PictureTables
    image_pattern: str | None
    image_example: str
    group: str
    numbers: tuple[NumberField, ...]
    labels: tuple[LabelField, ...]
    weights: Mapping[str, float]
    filters: type[Filters]
    item: type[Any]
    result: type[Any]
    answer: type[Any]
    facets: type[Any]
    renamed: Mapping[str, str]
    topic: str
    topic_of: Callable[[str], str]
    telling: tuple[str, ...]
    thinned_by: str
    wording: Wording

    def spec(self, name: str, dimension: int, properties: Mapping[str, str]) -> CollectionSpec:
        """The spec of one version; `properties` must have `bundle_id`, which searches compare."""
        return CollectionSpec(
            name, dimension, key=self.key, fields=self.collection_fields, properties=dict(properties)
        )

    def field(self, name: str) -> ScalarField:
        """The field of the collection called `name`. Raises KeyError."""
        return self._fields[name]

    @cached_property
    def _fields(self) -> dict[str, ScalarField]:
        return {field.name: field for field in self.collection_fields}

    @property
    def image(self) -> str:
        """The column that names the picture of an item."""
        return self.pictures.key.name

    @property
    def more(self) -> str:
        """The attribute of a result that counts the copies that it stands for."""
        return f"more_{self.wording.copies}"

    @property
    def others(self) -> str:
        """The attribute of an answer that holds the copies of its item."""
        return f"other_{self.wording.copies}"

    @property
    def copied_by(self) -> tuple[str, str]:
        """The columns that copies of one item share."""
        return self.group, PICTURE

    @cached_property
    def shown(self) -> tuple[str, ...]:
        """The columns of `item`, in the order of its attributes."""
        return tuple(self.renamed.get(field.name, field.name) for field in fields(self.item))

    def item_values(self, row: Mapping[str, Any]) -> list[Any]:
        """The attributes of `item` in their order, from its columns."""
        values = (row[column] for column in self.shown)
        return [tuple(value) if isinstance(value, list) else value for value in values]

    def caption(self, attribute: str) -> str:
        """A heading for an attribute of an item, in the singular: that of its filter where it has one."""
        captions = {label.column: label.caption for label in self.labels}
        return captions.get(attribute, attribute).lower()

    def stored_label(self, label: LabelField, value: str) -> str:
        """`value` as the collection stores it, so that it can be filtered by."""
        return cut(label.compared(value), self.field(label.stored).max_bytes)

    def checked(self, filters: Filters) -> Filters:
        """`filters`, of this catalogue's type. Raises `InvalidQuery` for those of another one."""
        if isinstance(filters, self.filters):
            return filters
        if filters:
            raise InvalidQuery(
                f"{type(filters).__name__} do not filter {self.wording.items}; give {self.filters.__name__}"
            )
        return self.filters()

    def store_filter(self, filters: Filters) -> Filter | None:
        """The filters as a vector store understands them."""
        given = self.checked(filters).given()
        parts: list[Filter] = [
            Between(
                number.column,
                0 if span.low is None else span.low,
                _UNBOUNDED if span.high is None else span.high,
            )
            for number in self.numbers
            if (span := given.get(number.filter))
        ]
        parts += [
            Contains(label.stored, self.stored_label(label, given[label.filter]))
            for label in self.labels
            if label.filter in given
        ]
        return All(tuple(parts)) if parts else None
