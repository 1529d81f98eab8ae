"""Search: what a collection of books holds, asking it, showing answers and measuring them.

Belongs here: everything between a reader's question and a vector index. Does not: storing vectors (`vectorstores`).
"""
