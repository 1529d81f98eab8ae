"""The commands of `booksearch`, by what they are about.

Belongs here: options, and printing what the called function returns. Does not: the work. Heavy libraries are imported by the
command that needs them, so that `booksearch --help` answers at once.
"""
