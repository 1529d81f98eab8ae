"""The doctor: each finding when something is well and when it is broken, as a user's process prints it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from booksearch_assets.compute.memory import container_memory
from booksearch_assets.doctor import EXAMINATIONS
from booksearch_assets_tests.clip.conftest import _pristine_clip, clip_bundle, clip_folder

__all__ = ["_pristine_clip", "clip_bundle", "clip_folder"]

SUBJECTS = [
    "python",
    "java",
    "memory",
    "disk",
    "model bundle",
    "engine",
    "lake",
    "vector store",
    "embedded search",
]


@pytest.fixture
def java(tmp_path: Path) -> Path:
    """The home of a Java, as far as the doctor looks."""
    binary = tmp_path / "jdk" / "bin" / "java"
    binary.parent.mkdir(parents=True)
    binary.write_text("#!/bin/sh\necho 'openjdk version \"21.0.2\" 2024-01-16' >&2\n")
    binary.chmod(0o755)
    return tmp_path / "jdk"


@pytest.fixture
def environment(tmp_path: Path, clip_folder: Path, java: Path) -> dict[str, str]:
    """A deployment in which all is well."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("BOOKSEARCH_")}
    return inherited | {
        "BOOKSEARCH_HOME": str(tmp_path / "home of books"),
        "BOOKSEARCH_MODEL": str(clip_folder),
        "JAVA_HOME": str(java),
    }


def _examine(
    environment: Mapping[str, str], before: str = ""
) -> tuple[int, dict[str, tuple[str, str, str]], str]:
    """The exit code, (mark, what was found, mend) of every subject, and all that was printed."""
    code = f"import sys\nfrom booksearch_assets import doctor\n{before}\nsys.exit(doctor.examine())"
    done = subprocess.run(
        [sys.executable, "-c", code], env=dict(environment), capture_output=True, text=True, timeout=300
    )
    assert "Traceback" not in done.stderr, done.stderr
    findings: dict[str, tuple[str, str, str]] = {}
    subject = ""
    for line in done.stdout.splitlines():
        if line.startswith(("ok   ", "FAIL ")):
            mark, rest = line[:4].strip(), line[5:]
            subject, _, found = rest.partition(": ")
            findings[subject] = (mark, found, "")
        elif line.strip().startswith("mend: "):
            findings[subject] = (*findings[subject][:2], line.strip().removeprefix("mend: "))
    return done.returncode, findings, done.stdout


def _broken(findings: Mapping[str, tuple[str, str, str]]) -> list[str]:
    assert all(mend for mark, _, mend in findings.values() if mark == "FAIL"), findings
    return [subject for subject, (mark, _, _) in findings.items() if mark == "FAIL"]


def test_a_deployment_in_which_all_is_well(environment: dict[str, str], tmp_path: Path) -> None:
    code, findings, output = _examine(environment, "doctor.DISK_NEEDED_GB = doctor.MEMORY_NEEDED_GB = 0")
    assert (code, _broken(findings)) == (0, []), output
    assert list(findings) == SUBJECTS
    assert len(EXAMINATIONS) == len(SUBJECTS)
    assert findings["java"][1] == f"21 at {environment['JAVA_HOME']}"
    assert findings["model bundle"][1].startswith("test-tiny-clip-")
    assert findings["engine"][1].startswith("auto: not measured yet")
    assert findings["lake"][1] == f"{tmp_path}/home of books/lake can be written; holds nothing yet"
    assert findings["vector store"][1].endswith("published: nothing yet, run make demo")


def test_a_lake_that_holds_something_says_what(environment: dict[str, str], tmp_path: Path) -> None:
    from booksearch_assets.tables.lake import Lake

    Lake(str(tmp_path / "home of books" / "lake")).begin("books/editions").commit()
    assert _examine(environment)[1]["lake"][1].endswith("holds books/editions")


def test_a_collection_too_large_for_the_embedded_store(environment: dict[str, str], tmp_path: Path) -> None:
    from booksearch_assets.vectorstores.milvus_lite import MilvusLiteStore
    from booksearch_assets_tests.vectorstores import worlds

    with MilvusLiteStore(tmp_path / "home of books" / "milvus") as store:
        store.create(worlds.spec("books_1"))
        store.load("books_1", [worlds.rows(20)])
        store.seal("books_1")
        store.publish("books", "books_1")
    assert _examine(environment)[1]["embedded search"][:2] == (
        "ok",
        "20 vectors of 16; meant for 6,250,000 at most",
    )
    small = "from booksearch_assets.vectorstores import exact\nexact.MOST_NUMBERS = 19 * 16"
    mark, found, mend = _examine(environment, small)[1]["embedded search"]
    assert (mark, found) == ("FAIL", "20 vectors of 16; meant for 19 at most")
    assert "BOOKSEARCH_MILVUS_URI" in mend


def test_what_is_broken_is_told_all_at_once(environment: dict[str, str], tmp_path: Path) -> None:
    for place in ("lake", "milvus"):
        (tmp_path / place).write_text("a file in place of a folder")
    broken = environment | {
        "BOOKSEARCH_LAKE": str(tmp_path / "lake"),
        "BOOKSEARCH_MILVUS_URI": str(tmp_path / "milvus"),
        "BOOKSEARCH_MODEL": str(tmp_path / "no model"),
    }
    too_much = "doctor.DISK_NEEDED_GB = doctor.MEMORY_NEEDED_GB = 10**9"
    no_java = "doctor.find_java = lambda: None"
    code, findings, output = _examine(broken, f"{too_much}\n{no_java}")
    expected = [subject for subject in SUBJECTS[1:-1] if subject != "engine"]
    assert (code, _broken(findings)) == (1, expected), output
    assert "JAVA_HOME" not in findings["java"][1]
    assert "17" in findings["java"][2]
    assert "cannot write to the lake" in findings["lake"][1]
    assert "BOOKSEARCH_LAKE" in findings["lake"][2]
    assert "there is no such folder" in findings["model bundle"][1]
    assert "BOOKSEARCH_MILVUS_URI" in findings["vector store"][2]


def test_a_changed_model_is_found(environment: dict[str, str], clip_folder: Path) -> None:
    weights = clip_folder / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    _, findings, _ = _examine(environment)
    assert findings["model bundle"][0] == "FAIL"
    assert "model.safetensors has changed" in findings["model bundle"][1]


def test_a_server_that_does_not_answer_is_found(environment: dict[str, str]) -> None:
    # Port 9 is discard, which no machine answers on.
    _, findings, _ = _examine(environment | {"BOOKSEARCH_MILVUS_URI": "http://127.0.0.1:9"})
    mark, found, mend = findings["vector store"]
    assert mark == "FAIL"
    assert "127.0.0.1:9" in found
    assert mend == "start the server, or set BOOKSEARCH_MILVUS_URI to a local folder"


def test_an_opensearch_that_does_not_answer_is_found(environment: dict[str, str]) -> None:
    secret = {"BOOKSEARCH_OPENSEARCH_PASSWORD": "s3cret"}
    url = {"BOOKSEARCH_OPENSEARCH_URL": "https://me@127.0.0.1:9"}
    _, findings, output = _examine(environment | url | secret)
    mark, found, mend = findings["vector store"]
    assert mark == "FAIL"
    assert "127.0.0.1:9" in found and "s3cret" not in output
    assert mend == "start OpenSearch, or unset BOOKSEARCH_OPENSEARCH_URL to use Milvus Lite"


def test_an_examination_that_breaks_hides_no_other(environment: dict[str, str]) -> None:
    breaks = "import shutil\ndef full(place): raise OSError('disk unplugged')\nshutil.disk_usage = full"
    code, findings, _ = _examine(environment, breaks)
    assert code == 1
    assert list(findings) == SUBJECTS
    assert findings["disk"][1] == "OSError: disk unplugged"


def test_wrong_settings_are_told_first(environment: dict[str, str]) -> None:
    code, _, output = _examine(environment | {"BOOKSEARCH_PROFILE": "prod"})
    assert code == 1
    assert output == "FAIL settings: BOOKSEARCH_PROFILE is 'prod'; it must be one of: sample, local, emr\n"


@pytest.mark.parametrize(("text", "limit"), [("max\n", float("inf")), ("2147483648\n", 2 * 1024**3)])
def test_the_limit_of_a_container_is_what_its_control_group_says(
    tmp_path: Path, text: str, limit: float
) -> None:
    (tmp_path / "memory.max").write_text(text)
    assert container_memory(tmp_path / "memory.max") == limit
    assert container_memory(tmp_path / "none") == float("inf")
