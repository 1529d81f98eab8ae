"""How well a version of the collection finds what is asked: measures, baselines, comparison, report.

Belongs here: everything between an index and a figure. Does not: what publishing makes of the figures (`checks`),
how Dagster shows them (`assets.search_quality`).
"""
