"""What is peculiar to Amazon Berkeley Objects: its listing files, its list of pictures, its languages and addresses.

Belongs here: formats and rules, as pure functions. Does not: reading many files (`compute`), columns (`tables`).
"""
