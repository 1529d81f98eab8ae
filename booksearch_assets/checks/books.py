"""The checks of the `books/` catalogue.

Belongs here: which rules hold of which asset. Does not: the rules, and what all catalogues share (`checks.catalogue`).
"""

from __future__ import annotations

from collections.abc import Sequence

import dagster as dg

from booksearch_assets.assets.catalogue import Catalogue
from booksearch_assets.assets.raw_dump import KINDS, dump_table
from booksearch_assets.checks.catalogue import catalogue_checks
from booksearch_assets.checks.dump import dump_rules
from booksearch_assets.checks.rule import build_checks
from booksearch_assets.checks.tables import freshness_rule, table_rules
from booksearch_assets.tables.books import EDITIONS

MAX_AGE_DAYS = 45


def books_checks(catalogue: Catalogue) -> Sequence[dg.AssetChecksDefinition]:
    dump = [*dump_rules(), freshness_rule(MAX_AGE_DAYS)]
    return [
        *(build_checks(dump_table(kind), dump) for kind in KINDS),
        build_checks(EDITIONS.name, table_rules(EDITIONS)),
        *catalogue_checks(catalogue),
    ]
