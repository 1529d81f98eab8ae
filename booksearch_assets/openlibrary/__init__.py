"""What is peculiar to Open Library: its dump's records, its free-text fields, and which of its books are fiction.

Belongs here: formats and rules, as pure functions and as data. Does not: Spark (`compute`), columns (`tables`).
"""
