"""The work itself: landing, parsing, filtering, fetching, embedding.

Everything here runs in any plain process or on a Spark executor. Dagster is banned by lint, so that a stage can be
tested, profiled and shipped to a cluster alone.
"""
