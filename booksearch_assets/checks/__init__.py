"""Asset checks: made from the table contracts, the rules of reconciliation, and the model manifest.

Belongs here: what must hold of committed data. Does not: making data. A check reads what is committed, so it can be
run alone, in CI, by `booksearch checks`.
"""
