"""The sample world: dumps, covers, a local service and a small model, all made here.

Belongs here: everything that stands in for Open Library and for a published model, so that the graph runs with no
network and its search results can be measured. Does not: anything that a real deployment needs.
"""
