"""What can go wrong with a vector store, the same on every backend.

Belongs here: the error types. Does not: raising them.
"""

from __future__ import annotations


class VectorStoreError(Exception):
    """A vector store refused or failed. The message says what was expected, what came, where, and what to do."""


class InvalidCollection(VectorStoreError):
    """A collection's name, fields, dimension or index cannot be stored by every backend."""


class InvalidRows(VectorStoreError):
    """Rows do not keep the collection's spec: columns, types, nulls, lengths or repeated keys."""


class InvalidVectors(InvalidRows):
    """Vectors of the wrong dimension, not finite, or not of length one."""


class InvalidSearch(VectorStoreError):
    """A filter, a field or a limit that the collection cannot answer."""


class CollectionExists(VectorStoreError):
    """The name is taken, by a collection or by an alias."""


class CollectionNotFound(VectorStoreError):
    """No collection has this name."""


class CollectionNotSealed(VectorStoreError):
    """The collection is still being loaded, and cannot be read or published."""


class CollectionSealed(VectorStoreError):
    """The collection is finished: a sealed version never changes."""


class CollectionPublished(VectorStoreError):
    """An alias points at the collection, so it may not be dropped."""


class StoreUnavailable(VectorStoreError):
    """The store cannot be reached, or its folder cannot be written."""


class StoreLocked(StoreUnavailable):
    """Another process kept the collection's lock for longer than the time allowed."""


class StoreDamaged(VectorStoreError):
    """Files of a collection are missing, cut off or not what they should be."""
