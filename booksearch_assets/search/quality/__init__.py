"""How well a version of the collection finds what is asked: measures, baselines, comparison, report.

Belongs here: everything between an index and a figure. Does not: what publishing makes of the figures (`checks`),
how Dagster shows them (`assets.search_quality`).
"""

from booksearch_assets.search.quality.previous import (  # noqa: F401
    measure_known_items,
    mrr,
    ndcg_at_k,
    recall_at_k,
    self_match,
)
