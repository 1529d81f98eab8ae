"""The code location of one step, for runs that are launched as the UI launches them. `STEP` in the environment says which."""

import os

import dagster as dg

from booksearch_assets_tests.emr.step import Step

step = Step.from_json(os.environ["STEP"])
defs = dg.Definitions(
    assets=[step.asset()],
    resources={"spark": step.launcher},
    jobs=[dg.define_asset_job("everything")],
    executor=dg.in_process_executor,
)
