"""The checks of the `books/` catalogue.

Belongs here: which rules hold of which asset. Does not: the rules.
"""

from __future__ import annotations

from collections.abc import Sequence

import dagster as dg

from booksearch_assets.assets.catalogue import Catalogue
from booksearch_assets.assets.raw_dump import KINDS, dump_table
from booksearch_assets.checks.collection import collection_rules
from booksearch_assets.checks.dump import dump_rules
from booksearch_assets.checks.embeddings import embeddings_rules
from booksearch_assets.checks.images import images_rules
from booksearch_assets.checks.rule import build_checks
from booksearch_assets.checks.tables import freshness_rule, table_rules
from booksearch_assets.tables.books import EDITIONS, FILTERED_FICTION

MAX_AGE_DAYS = 45


def books_checks(catalogue: Catalogue) -> Sequence[dg.AssetChecksDefinition]:
    return [
        *(
            build_checks(
                dg.AssetKey(dump_table(kind).split("/")),
                dump_table(kind),
                [*dump_rules(), freshness_rule(MAX_AGE_DAYS)],
            )
            for kind in KINDS
        ),
        build_checks(catalogue.key_of(EDITIONS), EDITIONS.name, table_rules(EDITIONS)),
        build_checks(
            catalogue.key_of(FILTERED_FICTION), FILTERED_FICTION.name, table_rules(FILTERED_FICTION)
        ),
        build_checks(catalogue.key_of(catalogue.urls), catalogue.urls.name, table_rules(catalogue.urls)),
        build_checks(
            catalogue.key_of(catalogue.images),
            catalogue.images.name,
            [*table_rules(catalogue.images), *images_rules()],
        ),
        build_checks(
            catalogue.key_of(catalogue.embeddings(1)),
            catalogue.embeddings(1).name,
            embeddings_rules(catalogue),
        ),
        build_checks(catalogue.key("collection"), catalogue.collection, collection_rules(catalogue)),
    ]
