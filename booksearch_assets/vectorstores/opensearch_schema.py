"""How a collection is kept in an OpenSearch index: its name, its mapping and settings, and what the mapping remembers.

Belongs here: pure translation between specs and OpenSearch's own forms. Does not: calls (`opensearch_store`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

from booksearch_assets.vectorstores.contract import VECTOR, CollectionSpec, FieldKind, IndexKind, IndexSpec
from booksearch_assets.vectorstores.errors import InvalidCollection
from booksearch_assets.vectorstores.opensearch_client import Engine

WORDS = "words"
"""The sub-field of every text in which its words are indexed; the field itself holds the whole text, for filters."""

LOADING_SETTINGS: Mapping[str, Any] = {
    "refresh_interval": "-1",
    "number_of_replicas": 0,
    "auto_expand_replicas": "false",
    "blocks.write": False,
}
"""While rows come in: nothing is made searchable, nor copied to a second node, before it is whole."""

SEALED_SETTINGS: Mapping[str, Any] = {
    "refresh_interval": None,
    # A second copy wherever there is a second node.
    "auto_expand_replicas": "0-1",
    # Without thresholds there are no slow logs, wherever they are sent to.
    "search.slowlog.threshold.query.warn": "1s",
    "search.slowlog.threshold.fetch.warn": "1s",
    "blocks.write": True,
}

_META = "booksearch"
_DEFAULT_INDEX = IndexSpec(IndexKind.HNSW)
_UPPER = re.compile(r"[A-Z]")
_ESCAPED = re.compile(r"-([a-z])")
_OURS = re.compile(r"(?=[a-z]|0[-_])0?(?:[a-z0-9_]|-[a-z])+")

_INTEGER = {"type": "long"}
_KEYWORD = {"type": "keyword"}
_TEXT = {
    "type": "keyword",
    "fields": {WORDS: {"type": "text", "analyzer": "words", "search_analyzer": "telling_words"}},
}

_FOLDED = ["lowercase", "asciifolding", "no_apostrophes"]
_WORDS_OF = {"type": "custom", "tokenizer": "standard"}
# Case, accents and apostrophes do not matter; a query's commonest words, which nearly every text has, are not looked for.
_ANALYSIS = {
    "filter": {
        "no_apostrophes": {"type": "pattern_replace", "pattern": "['\u2019]", "replacement": ""},
        "common_words": {"type": "stop", "stopwords": "_english_"},
    },
    "analyzer": {
        "words": {**_WORDS_OF, "filter": _FOLDED},
        "telling_words": {**_WORDS_OF, "filter": [*_FOLDED, "common_words"]},
    },
}


def index_name(name: str) -> str:
    """The index (or alias) of a collection (or alias) of ours.

    Index names have no capitals and begin with a letter or digit: a capital is written as a dash and its small letter,
    and a 0 stands before a name that would begin with a dash or underscore. Our own names have neither a dash nor a
    digit in front, so no two are written alike.
    """
    escaped = _UPPER.sub(lambda letter: f"-{letter[0].lower()}", name)
    return f"0{escaped}" if escaped[0] in "-_" else escaped


def collection_name(index: str) -> str | None:
    """The name that `index_name` wrote so; None for a name that it never writes, such as one with a dot."""
    if not _OURS.fullmatch(index):
        return None
    return _ESCAPED.sub(lambda letter: letter[1].upper(), index.removeprefix("0"))


@dataclass(frozen=True)
class Collection:
    """What an index's mapping remembers: the spec, what searches its vectors, and how far it is.

    `rows` is the number of rows where the load knows it. OpenSearch keeps this in `_meta`, and never reads it.
    """

    spec: CollectionSpec
    engine: Engine
    rows: int | None = None
    sealed: bool = False

    @property
    def index(self) -> IndexSpec:
        return self.spec.index or _DEFAULT_INDEX

    def loaded(self, rows: int) -> Collection:
        return replace(self, rows=rows)

    def finished(self) -> Collection:
        return replace(self, sealed=True)

    @property
    def meta(self) -> dict[str, Any]:
        state = {
            "spec": self.spec.to_json(),
            "engine": self.engine.value,
            "rows": self.rows,
            "sealed": self.sealed,
        }
        return {"_meta": {_META: state}}

    @classmethod
    def of_mapping(cls, mapping: Mapping[str, Any], where: str) -> Self:
        """Read what `meta` wrote. Raises `InvalidCollection` for an index that is none of ours."""
        try:
            state = mapping["_meta"][_META]
            return cls(
                CollectionSpec.from_json(state["spec"]),
                Engine(state["engine"]),
                state["rows"],
                state["sealed"],
            )
        except (ValueError, KeyError, TypeError) as error:
            raise InvalidCollection(
                f"{where} was not made by booksearch (its mapping has no spec: {type(error).__name__} {error}); "
                "choose another name"
            ) from error

    def body(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        """What the index is created with. Raises `InvalidCollection` for an index type that OpenSearch lacks."""
        kinds = {FieldKind.INT64: _INTEGER, FieldKind.TEXT: _TEXT, FieldKind.TEXTS: _TEXT}
        fields: dict[str, Any] = {field.name: kinds[field.kind] for field in self.spec.fields}
        fields[self.spec.key] = _KEYWORD
        fields[VECTOR] = self._vector_field()
        # Without graphs, a FLAT index is searched by the plugin's own exact scoring.
        knn = {"knn": self.index.kind is not IndexKind.FLAT}
        return {
            "settings": {"index": {**settings, **knn}, "analysis": _ANALYSIS},
            "mappings": {"dynamic": "strict", **self.meta, "properties": fields},
        }

    def _vector_field(self) -> dict[str, Any]:
        field: dict[str, Any] = {"type": "knn_vector", "dimension": self.spec.dimension}
        match self.index.kind:
            case IndexKind.FLAT:
                return field
            case IndexKind.HNSW:
                parameters = {"m": self.index.m, "ef_construction": self.index.ef_construction}
                # The default engine changed twice between versions, so it is always named.
                method = {"name": "hnsw", "engine": self.engine.value, "space_type": space(self.engine)}
                return field | {"method": method | {"parameters": parameters}}
            case _:
                raise InvalidCollection(
                    f"collection {self.spec.name!r}: OpenSearch cannot build {self.index.kind} without a model that "
                    "is trained first; choose HNSW or FLAT"
                )


def space(engine: Engine) -> str:
    """What compares vectors. Faiss takes cosinesimil only from 2.19 on; for vectors of length one, innerproduct is the
    same, in every version."""
    return "cosinesimil" if engine is Engine.LUCENE else "innerproduct"


def cosine(score: float, space_type: str) -> float:
    """The cosine behind a score of OpenSearch (https://docs.opensearch.org/latest/mappings/supported-field-types/knn-spaces)."""
    if space_type == "cosinesimil":
        return 2.0 * score - 1.0
    return score - 1.0 if score >= 1.0 else 1.0 - 1.0 / score
