"""The lake against a dictionary: whatever is begun, written, committed and pruned, readers see the last commit."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from booksearch_assets.tables.lake import Lake, PendingVersion
from booksearch_assets.tables.pruning import prune
from booksearch_assets_tests.tables.people import PEOPLE, committed_ids, people

PARTITIONS = ["", "2015", "2016"]


class LakeMachine(RuleBasedStateMachine):
    """`committed` is what every partition must read as; `written` is what each pending version holds."""

    pending = Bundle("pending")

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.mkdtemp()
        self.lake = Lake(self.folder)
        self.written: dict[tuple[str, str], list[int]] = {}
        self.committed: dict[str, tuple[str, list[int]]] = {}
        self.next_id = 0

    @rule(target=pending, partition=st.sampled_from(PARTITIONS))
    def begin(self, partition: str) -> tuple[PendingVersion, str]:
        return self.lake.begin(PEOPLE.name), partition

    @rule(version=pending, count=st.integers(0, 3))
    def write(self, version: tuple[PendingVersion, str], count: int) -> None:
        pending, partition = version
        ids = list(range(self.next_id, self.next_id + count))
        self.next_id += count
        pending.write(people(*ids), PEOPLE.schema, partition)
        self.written.setdefault((pending.version, partition), []).extend(ids)

    @rule(version=consumes(pending))
    def commit(self, version: tuple[PendingVersion, str]) -> None:
        pending, partition = version
        ids = self.written.get((pending.version, partition), [])
        assert pending.commit(partition).rows == len(ids)
        self.committed[partition] = (pending.version, ids)

    @rule(version=consumes(pending))
    def abandon(self, version: tuple[PendingVersion, str]) -> None:
        """The writer dies."""

    @rule(keep=st.integers(1, 3))
    def prune(self, keep: int) -> None:
        for path in prune(self.lake, PEOPLE.name, keep=keep):
            assert not any(
                path.endswith((version, f"{version}/year={partition}"))
                for partition, (version, _) in self.committed.items()
            )
        left = {path.name for path in Path(self.folder, PEOPLE.name, "versions").glob("*")}
        for partition in self.committed:
            history = [commit.version for commit in self.lake.history(PEOPLE.name, partition)]
            assert len(history) <= keep + 1
            assert set(history) <= left

    @invariant()
    def readers_see_the_last_commit(self) -> None:
        assert self.lake.partitions(PEOPLE.name) == sorted(self.committed)
        for partition, (version, ids) in self.committed.items():
            assert self.lake.resolve(PEOPLE.name, partition).version == version
            assert committed_ids(self.lake, partition) == ids

    def teardown(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)


LakeMachine.TestCase.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
TestLake = LakeMachine.TestCase
