"""The REST API and the server of the page.

Belongs here: HTTP, its limits and its errors. Does not: what a query means (`search.engine`).
"""
