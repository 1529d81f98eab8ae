"""Files that Spark writes to a local disk, without a program started for each of them.

Hadoop sets the permissions of every file, checksum and folder that it makes. Without its native library, which pip's
PySpark does not have, it starts `chmod` each time: 8 ms, and three of them for a Parquet file that takes 7 ms to write. What
the process's umask gives a new file is right here, as it is for files that Python writes.

Belongs here: Hadoop's local file system. Does not: what is written (`compute.spark_tables`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_NAME = "UmaskFileSystem"
_SOURCE = f"""
public class {_NAME} extends org.apache.hadoop.fs.LocalFileSystem {{
    public {_NAME}() {{ super(new Raw()); }}

    public static class Raw extends org.apache.hadoop.fs.RawLocalFileSystem {{
        public void setPermission(
            org.apache.hadoop.fs.Path path, org.apache.hadoop.fs.permission.FsPermission permission) {{}}
    }}
}}
"""


def leave_permissions_to_umask(spark: SparkSession) -> None:
    """Have the JVM of a local session set no permissions of `file:` paths. Does nothing where Hadoop sets them by itself.

    The class is compiled by the compiler that Spark brings for its queries. Hadoop keeps one instance for each scheme,
    whatever a later configuration says, and so this one.
    """
    jvm: Any = spark._jvm
    hadoop = jvm.org.apache.hadoop
    file_systems, local = hadoop.fs.FileSystem, jvm.java.net.URI("file:///")
    configuration = hadoop.conf.Configuration(spark._jsc.hadoopConfiguration())
    current = file_systems.get(local, configuration)
    if current.getClass().getName() == _NAME or hadoop.io.nativeio.NativeIO.isAvailable():
        return
    compiler = jvm.org.codehaus.janino.SimpleCompiler()
    compiler.cook(_SOURCE)
    configuration.setClassLoader(compiler.getClassLoader())
    configuration.set("fs.file.impl", _NAME)
    # Closed, it leaves its place to the next one.
    current.close()
    file_systems.get(local, configuration)
