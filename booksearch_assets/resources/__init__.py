"""What assets are handed: the lake, Spark, the Open Library services, the model, the vector store.

Belongs here: thin Dagster resources over the plain classes of `tables`, `compute`, `clip` and `vectorstores`.
Does not: any work on data.
"""
