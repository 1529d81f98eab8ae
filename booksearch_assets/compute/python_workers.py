"""The process that Spark forks its Python workers from, on one machine: Spark's own, which loads PySpark from site-packages.

Spark puts `pyspark.zip`, `py4j.zip` and a jar in front of the path of its workers. Modules in a zip have no bytecode, so each
start compiles them; and before each task Spark asks Python to look at every place of the path again, for which Python (3.10
and later) reads the directory of the zip once for each package in it: a third of a second of a core for each task, whatever the
task does. Workers share what is loaded before they are forked.

Belongs here: that path, and what all workers load. Does not: what they do (the stages). `spark.python.daemon.module` names
this module.
"""

from __future__ import annotations

import sys
from importlib.machinery import PathFinder

_ARCHIVES = (".zip", ".jar")


def leave_archives_out() -> None:
    """Take zips and jars off the path, unless PySpark is nowhere else."""
    places = [place for place in sys.path if not place.endswith(_ARCHIVES)]
    if PathFinder.find_spec("pyspark", places) is None:
        return
    for place in {*sys.path} - {*places}:
        sys.path_importer_cache.pop(place, None)
    sys.path[:] = places


if __name__ == "__main__":
    leave_archives_out()
    # Arrow loads pandas, where it is installed, for the first array that it makes of Python's values.
    import pandas  # noqa: F401
    import pyarrow  # noqa: F401
    from pyspark.daemon import manager

    manager()
