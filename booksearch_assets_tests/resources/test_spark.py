"""The local Spark launcher: settings that a JVM takes only when it starts are applied for real."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

_TWO_TUNINGS = """
import json
from booksearch_assets.resources.spark import LocalSparkLauncher, SparkTuning

launcher = LocalSparkLauncher(master="local[1]")
seen = []
for memory in ("512m", "512m", "900m"):
    session = launcher.session(SparkTuning(driver_memory=memory))
    runtime = session._jvm.java.lang.Runtime.getRuntime()
    seen.append((session.sparkContext.applicationId, runtime.maxMemory() // 2**20, session.range(10).count()))
print(json.dumps(seen))
"""


@pytest.mark.spark
def test_another_driver_memory_starts_another_jvm_and_the_same_one_does_not() -> None:
    answer = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", _TWO_TUNINGS], capture_output=True, text=True, timeout=300
    )
    assert answer.returncode == 0, answer.stderr
    (first, small, rows), (again, _, _), (other, large, _) = json.loads(answer.stdout.splitlines()[-1])
    assert rows == 10
    assert first == again
    assert other != first
    assert small <= 512 < large <= 900
