"""What Dagster materialises: one thin module for each asset, and what they show in the UI.

An asset reads committed inputs, calls a stage, commits its outputs, and reports. Belongs here: that wiring.
Does not: any rule about data (`openlibrary`, `compute`), any client (`resources`).
"""
