"""Jobs as `spark-submit` on a cluster of this machine: two workers with one core each, every one a process.

What is as on EMR Serverless: `spark-submit` with the parameters of the request, the entry point fetched from S3, the
archives unpacked beside the driver and, by Spark, beside each executor, executors in JVMs of their own with Python
workers from the archive, and tables at `s3://` URIs. What is not: Spark's JVMs see S3 as a mounted folder, since EMR's
own classes for it are nowhere to be had, and write to it by its rename; the workers have no limit of memory or time.

Belongs here: how such a job is started, and finding its processes. Does not: the service (`serverless`).
"""

from __future__ import annotations

import itertools
import os
import shlex
import signal
import sys
import sysconfig
import tarfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

_JVM = (
    "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC -XX:+UnlockDiagnosticVMOptions -XX:-BytecodeVerificationRemote"
)
_MOUNTED = "org.apache.hadoop.fs.viewfs.ViewFileSystemOverloadScheme"
_EXECUTOR = b"CoarseGrainedExecutorBackend"
_WORKER = b"pyspark.daemon"
_MEMORY_MB = 1024

Command = tuple[list[str], dict[str, str]]
"""The arguments of a process and its environment."""
Driver = Callable[[Path, str, Mapping[str, str]], Command]
"""How a job is started: from its folder, with `entry_point.py` in it, its parameters, and the driver's environment."""


def python_driver(folder: Path, parameters: str, environment: Mapping[str, str]) -> Command:
    """Not on a cluster: the entry point alone, whose Spark, where it starts one, is local."""
    local = {
        "PYSPARK_SUBMIT_ARGS": f"--master local[2] {parameters} pyspark-shell",
        "SPARK_LOCAL_IP": "127.0.0.1",
    }
    return [sys.executable, str(folder / "entry_point.py")], {**environment, **local}


def cluster_driver(objects: Path) -> Driver:
    """Jobs on a cluster, to which the buckets in the folder `objects` are mounted."""

    def command(folder: Path, parameters: str, environment: Mapping[str, str]) -> Command:
        options = shlex.split(parameters)
        settings = dict(o.split("=", 1) for name, o in itertools.pairwise(options) if name == "--conf")
        for archive in filter(None, settings.get("spark.archives", "").split(",")):
            _unpack(archive, objects, folder)
        ours = {
            # Smaller than what was asked for, to fit into this machine.
            "spark.executor.cores": "1",
            "spark.executor.memory": f"{_MEMORY_MB}m",
            "spark.driver.memory": f"{_MEMORY_MB}m",
            "spark.driver.extraJavaOptions": _JVM,
            "spark.executor.extraJavaOptions": _JVM,
            "spark.driver.host": "127.0.0.1",
            "spark.driver.bindAddress": "127.0.0.1",
            "spark.ui.enabled": "false",
            # Compiling a query takes longer than these few rows.
            "spark.sql.codegen.wholeStage": "false",
            "spark.sql.codegen.factoryMode": "NO_CODEGEN",
            "spark.hadoop.fs.s3.impl": _MOUNTED,
            # The other one writes a checksum beside each file, which S3 would show.
            "spark.hadoop.fs.file.impl": "org.apache.hadoop.fs.RawLocalFileSystem",
        }
        for bucket in objects.iterdir():
            ours[f"spark.hadoop.fs.viewfs.mounttable.{bucket.name}.linkFallback"] = bucket.as_uri()
        home = _spark_home(folder)
        submit = [
            str(home / "bin" / "spark-submit"),
            "--master",
            f"local-cluster[2,1,{_MEMORY_MB}]",
            *options,
        ]
        submit += [word for name, value in ours.items() for word in ("--conf", f"{name}={value}")]
        there = {
            **environment,
            "SPARK_HOME": str(home),
            "SPARK_LOCAL_IP": "127.0.0.1",
            "SPARK_LAUNCHER_OPTS": _JVM,
            # The archive holds our own modules; those that it requires are this machine's.
            "PYTHONPATH": sysconfig.get_paths()["purelib"],
        }
        return [*submit, str(folder / "entry_point.py")], there

    return command


def executors_of(driver: int) -> list[int]:
    """The process ids of the executors of a driver."""
    return [pid for pid, command in _processes_of(driver) if _EXECUTOR in command]


def workers_of(driver: int) -> list[int]:
    """The process ids of the Python workers on executors, and of those that they are forked from."""
    return [pid for pid, command in _processes_of(driver) if _WORKER in command]


def end_session(driver: int) -> None:
    """Kill what is left of the processes of a job."""
    for pid, _ in _processes_of(driver):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def _processes_of(driver: int) -> list[tuple[int, bytes]]:
    """The processes of a job, by id, with their command lines; its driver leads a session of its own."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(FileNotFoundError, ProcessLookupError, PermissionError):
                if os.getsid(int(entry.name)) == driver:
                    found.append((int(entry.name), (entry / "cmdline").read_bytes()))
    return sorted(found)


def _unpack(archive: str, objects: Path, folder: Path) -> None:
    uri, _, name = archive.partition("#")
    with tarfile.open(objects / uri.removeprefix("s3://")) as tar:
        tar.extractall(folder / name, filter="fully_trusted")


def _spark_home(folder: Path) -> Path:
    """The installation of PySpark under another name: workers keep their folders, and logs, in it."""
    import pyspark

    home = folder / "spark"
    home.mkdir()
    for entry in Path(pyspark.__file__).parent.iterdir():
        (home / entry.name).symlink_to(entry)
    return home
