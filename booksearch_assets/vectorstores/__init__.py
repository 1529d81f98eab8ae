"""Vector stores: collections of vectors with filterable fields, behind one small interface.

Belongs here: the interface, its checks, and its backends. Does not: what a collection of books holds (`search`).
"""
