"""What Dagster materialises: one thin module for each asset, and what they show in the UI.

An asset reads committed inputs, calls a stage, commits its outputs, and reports. Belongs here: that wiring.
Modules with assets do not postpone
annotations, since Dagster reads those of asset functions when they are defined. Does not: any rule about data (`openlibrary`, `compute`), any client (`resources`).
"""
