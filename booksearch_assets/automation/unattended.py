"""What lets a deployment be left alone: its sensors and schedules.

Belongs here: which there are, and whether they are on. Does not: what each does.
"""

from __future__ import annotations

from dataclasses import dataclass

import dagster as dg

from booksearch_assets.assets.catalogue import Catalogue
from booksearch_assets.automation.monthly_rebuild import build_monthly_rebuild
from booksearch_assets.automation.new_dump import MONTHLY_DUMPS, SAMPLE_DUMPS, build_new_dump_sensor
from booksearch_assets.automation.run_failures import build_run_failure_sensor
from booksearch_assets.settings import Profile, Settings


@dataclass(frozen=True)
class Unattended:
    """Sensors and schedules of one deployment."""

    sensors: list[dg.SensorDefinition]
    schedules: list[dg.ScheduleDefinition]


def unattended(books: Catalogue, settings: Settings) -> Unattended:
    """They run at once only where `settings.automation` says so: a newcomer's UI must start nothing unasked."""
    on = settings.automation
    sensor_status = dg.DefaultSensorStatus.RUNNING if on else dg.DefaultSensorStatus.STOPPED
    schedule_status = dg.DefaultScheduleStatus.RUNNING if on else dg.DefaultScheduleStatus.STOPPED
    pace = SAMPLE_DUMPS if settings.profile is Profile.SAMPLE else MONTHLY_DUMPS
    return Unattended(
        sensors=[
            build_new_dump_sensor(books, pace, sensor_status),
            build_run_failure_sensor(sensor_status),
            # The name of the one that Dagster would add by itself, always stopped.
            dg.AutomationConditionSensorDefinition(
                "default_automation_condition_sensor",
                target=dg.AssetSelection.all(),
                default_status=sensor_status,
                description="Carries changed rows downstream, to the years that they are of.",
            ),
        ],
        schedules=[build_monthly_rebuild(books, schedule_status)],
    )
