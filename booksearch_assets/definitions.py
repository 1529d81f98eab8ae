"""Assembles everything Dagster loads.

Belongs here: `build_defs`, with overrides for tests and special deployments. Does not: any definition itself.
Loading imports neither torch nor pyspark, touches no network and needs no credentials.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import dagster as dg

from booksearch_assets.assets.books import books_assets, books_catalogue
from booksearch_assets.assets.products import products_assets, products_catalogue
from booksearch_assets.automation.jobs import catalogue_job, checks_job
from booksearch_assets.automation.unattended import unattended
from booksearch_assets.checks.books import books_checks
from booksearch_assets.checks.catalogue import catalogue_checks
from booksearch_assets.progress_logger import progress_logger
from booksearch_assets.resources.batch_transform import BatchTransformLauncher
from booksearch_assets.resources.lake import LakeResource
from booksearch_assets.resources.model import ModelResource
from booksearch_assets.resources.notifier import NotifierResource
from booksearch_assets.resources.open_library import (
    OpenLibraryResource,
    local_open_library,
    sample_open_library,
)
from booksearch_assets.resources.pictures import PictureServicesResource
from booksearch_assets.resources.product_release import (
    ProductReleaseResource,
    local_product_release,
    sample_product_release,
)
from booksearch_assets.resources.spark import LocalSparkLauncher, SparkLauncher
from booksearch_assets.resources.vector_store import VectorStoreResource
from booksearch_assets.settings import PACKAGE, Profile, Settings


def build_defs(
    settings: Settings | None = None, resources: Mapping[str, Any] | None = None
) -> dg.Definitions:
    """All definitions of one deployment. `resources` replaces resources by name."""
    settings = settings or Settings.from_environment()
    books = books_catalogue(settings.first_year)
    products = products_catalogue(settings.product_files, settings.product_languages)
    automation = unattended(books, settings)
    chosen = {**default_resources(settings), **(resources or {})}
    return dg.Definitions(
        assets=[*books_assets(books, settings.first_year), *products_assets(products)],
        asset_checks=[*books_checks(books), *catalogue_checks(products)],
        jobs=[job for each in (books, products) for job in (catalogue_job(each.name), checks_job(each.name))],
        sensors=automation.sensors,
        schedules=automation.schedules,
        resources={"pictures": picture_services(chosen), **chosen},
        # Each run is a process already. One for each step on top would start a JVM and load the libraries for each.
        executor=dg.in_process_executor,
        loggers={"console": dg.colored_console_logger, "progress": progress_logger},
    )


def default_resources(settings: Settings) -> dict[str, Any]:
    """What the profile says: the sample world on loopback, or the real services; Spark here, or on EMR Serverless."""
    return {
        "lake": LakeResource(root=settings.lake),
        "spark": _spark(settings),
        "batch_transform": _batch_transform(settings),
        "model": ModelResource(
            folder=settings.bundle,
            shelves=[str(settings.home / "models"), str(PACKAGE / "sample")],
            engine=settings.engine,
            engines=str(settings.engines),
        ),
        "vector_store": VectorStoreResource(
            uri=settings.store_uri,
            token=dg.EnvVar(settings.store_token_variable) if settings.store_token_variable else "",
        ),
        "open_library": _open_library(settings),
        "product_release": _product_release(settings),
        "notifier": _notifier(settings),
    }


def picture_services(resources: Mapping[str, Any]) -> PictureServicesResource:
    """The services of all catalogues, of these resources: who replaces one of them by name replaces it here too."""
    return PictureServicesResource(books=resources["open_library"], products=resources["product_release"])


def _spark(settings: Settings) -> SparkLauncher:
    if settings.emr is None:
        return LocalSparkLauncher()
    # The other profiles load without boto3.
    from booksearch_assets.emr.deployment import emr_launcher

    return emr_launcher(settings.emr)


def _batch_transform(settings: Settings) -> BatchTransformLauncher:
    transform = settings.transform
    if transform is None:
        return BatchTransformLauncher()
    return BatchTransformLauncher(
        model_name=transform.model,
        staging=transform.staging,
        region=transform.region,
        instance=transform.instance,
        instances=transform.instances,
    )


def _open_library(settings: Settings) -> OpenLibraryResource:
    if settings.profile is Profile.SAMPLE:
        return sample_open_library(settings)
    return local_open_library(settings)


def _product_release(settings: Settings) -> ProductReleaseResource:
    if settings.profile is Profile.SAMPLE:
        return sample_product_release(settings)
    return local_product_release(settings)


def _notifier(settings: Settings) -> NotifierResource:
    return NotifierResource(
        webhook=dg.EnvVar("BOOKSEARCH_NOTIFY_WEBHOOK") if settings.notify_webhook else "",
        recipients=list(settings.notify_email),
        smtp_url=dg.EnvVar("BOOKSEARCH_SMTP_URL") if settings.notify_email else "",
    )


defs = build_defs()
