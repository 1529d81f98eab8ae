"""What a check is here: a rule over committed partitions, and how rules become Dagster asset checks.

Belongs here: `Rule`, `Scope`, `Outcome` and the factory. One step runs all rules of an asset, since each step of a
run is a process. Does not: the rules (`checks.tables`, `checks.embeddings`, `checks.collection`).
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import dagster as dg

from booksearch_assets.assets.reporting import markdown_table
from booksearch_assets.automation.partitions import RANGE_END, RANGE_START
from booksearch_assets.resources.lake import LakeResource
from booksearch_assets.resources.model import ModelResource
from booksearch_assets.resources.pictures import PictureServicesResource
from booksearch_assets.resources.vector_store import VectorStoreResource
from booksearch_assets.tables.commit import Commit
from booksearch_assets.tables.lake import Lake

SHOWN = 10
"""How many problems a check lists."""


@dataclass(frozen=True)
class Scope:
    """What a rule may look at: the commits of the partitions in this run (of all, when checks run alone)."""

    lake: Lake
    commits: list[Commit]
    model: ModelResource
    vector_store: VectorStoreResource
    pictures: PictureServicesResource


@dataclass(frozen=True)
class Outcome:
    """`figures` are shown whether the rule holds or not: what was expected, what was found, and how often."""

    passed: bool
    figures: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Rule:
    """`blocking` rules stop what is downstream; a rule with `severity` WARN tells and never stops.

    A rule `by_partition` is judged for each partition alone and must hold for all; another looks at all at once.
    """

    name: str
    description: str
    judge: Callable[[Scope], Outcome]
    blocking: bool = True
    severity: dg.AssetCheckSeverity = dg.AssetCheckSeverity.ERROR
    by_partition: bool = False


def build_checks(table: str, rules: Sequence[Rule]) -> dg.AssetChecksDefinition:
    """The asset checks of the asset whose data is the lake table `table`."""
    asset = dg.AssetKey(table.split("/"))
    by_name = {rule.name: rule for rule in rules}

    @dg.multi_asset_check(
        name="_".join([*asset.path, "checks"]),
        specs=[
            dg.AssetCheckSpec(rule.name, asset=asset, blocking=rule.blocking, description=rule.description)
            for rule in rules
        ],
        can_subset=True,
    )
    def checks(
        context: dg.AssetCheckExecutionContext,
        lake: LakeResource,
        model: ModelResource,
        vector_store: VectorStoreResource,
        pictures: PictureServicesResource,
    ) -> Iterator[dg.AssetCheckResult]:
        store = lake.open()
        partitions = partitions_in_scope(context.run.tags, store.partitions(table))
        commits = [
            commit for commit in (store.current(table, partition) for partition in partitions) if commit
        ]
        scope = Scope(store, commits, model, vector_store, pictures)
        for key in sorted(context.selected_asset_check_keys):
            rule = by_name[key.name]
            if commits:
                outcome = _judge_all(rule, scope, context.log)
            else:
                outcome = Outcome(
                    False,
                    {
                        "found": f"nothing of {table} is in the lake at {store.root}",
                        "do": f"materialise {asset.to_user_string()}",
                    },
                )
            yield dg.AssetCheckResult(
                asset_key=asset,
                check_name=rule.name,
                passed=outcome.passed,
                severity=rule.severity,
                metadata=outcome.figures,
            )

    return checks


def _judge_all(rule: Rule, scope: Scope, log: dg.DagsterLogManager) -> Outcome:
    """One outcome for all partitions: Dagster keeps one evaluation of a check for a run, whatever its range."""
    if not rule.by_partition or not scope.commits[0].partition:
        return _judge(rule, scope, log)
    outcomes = {c.partition: _judge(rule, replace(scope, commits=[c]), log) for c in scope.commits}
    table = markdown_table(
        ["partition", "holds"], [[p, "yes" if o.passed else "NO"] for p, o in outcomes.items()]
    )
    figures: dict[str, Any] = {}
    for outcome in outcomes.values():
        for name, value in outcome.figures.items():
            figures[name] = _merged(figures[name], value) if name in figures else value
    failed = [partition for partition, outcome in outcomes.items() if not outcome.passed]
    return Outcome(not failed, figures | {"failed": failed, "by_partition": dg.MetadataValue.md(table)})


def _merged(one: Any, other: Any) -> Any:
    """A figure of two partitions: counts add up, measures keep the larger, lists the first of both."""
    if isinstance(one, list):
        return [*one, *other][:SHOWN]
    if isinstance(one, dict):
        return one | other
    if isinstance(one, int):
        return one + other
    return max(one, other) if isinstance(one, float) else one


def _judge(rule: Rule, scope: Scope, log: dg.DagsterLogManager) -> Outcome:
    """A rule that cannot judge has not passed, and must not silence the rules after it."""
    try:
        return rule.judge(scope)
    except Exception as error:
        log.exception("the check %s could not judge", rule.name)
        return Outcome(False, {"error": f"{type(error).__name__}: {error}"})


def partitions_in_scope(tags: Mapping[str, str], committed: list[str]) -> list[str]:
    """The committed partitions that a run with these tags is about; all of them when it names none."""
    if committed == [""]:
        return committed
    if "dagster/partition" in tags:
        return [p for p in committed if p == tags["dagster/partition"]]
    if RANGE_START in tags:
        return [p for p in committed if tags[RANGE_START] <= p <= tags[RANGE_END]]
    return committed
