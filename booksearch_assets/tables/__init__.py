"""Tables: the contract of each one, and the lake that keeps their versions.

Belongs here: columns, types, units, keys, and where a version of a table lies. Does not: how a row is computed.
"""
