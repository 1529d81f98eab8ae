"""Stages of `compute` on EMR Serverless: submit a job, watch it, read its messages, account for it, find it again.

Two sides share this package. `job`, `account`, `progress` and `payload` run on the driver of the job too, where there
is no Dagster; the rest runs beside the asset.
"""
