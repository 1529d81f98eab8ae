"""The checks of what the catalogues share: from the URLs of pictures to the collection.

Belongs here: which rules hold of which shared asset. Does not: the rules, and the assets of one catalogue alone.
"""

from __future__ import annotations

from collections.abc import Sequence

import dagster as dg

from booksearch_assets.assets.catalogue import Catalogue
from booksearch_assets.checks.collection import collection_rules
from booksearch_assets.checks.embeddings import embeddings_rules
from booksearch_assets.checks.images import images_rules
from booksearch_assets.checks.rule import build_checks
from booksearch_assets.checks.tables import table_rules


def catalogue_checks(catalogue: Catalogue) -> Sequence[dg.AssetChecksDefinition]:
    items, urls, images = catalogue.items, catalogue.urls, catalogue.images
    return [
        build_checks(items.name, table_rules(items)),
        build_checks(urls.name, table_rules(urls)),
        build_checks(images.name, [*table_rules(images), *images_rules()]),
        build_checks(catalogue.embeddings(1).name, embeddings_rules(catalogue)),
        build_checks(catalogue.collection, collection_rules(catalogue)),
    ]
