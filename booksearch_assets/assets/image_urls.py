"""`products/image_urls`: the photos that stand for the listed products.

Belongs here: wiring. Does not: places and the list of photos (`abo.images`), choosing them (`compute.image_urls`).
"""

import time

import dagster as dg
from pydantic import Field

from booksearch_assets.abo.images import ImageSize
from booksearch_assets.assets import pictures
from booksearch_assets.assets.progress import log_progress
from booksearch_assets.assets.rebuild import Rebuild, RebuildConfig, partitions_of
from booksearch_assets.assets.reporting import commit_metadata, definition_metadata, inputs_of
from booksearch_assets.automation.conditions import follow_changes
from booksearch_assets.automation.partitions import IN_ONE_RUN, LISTING_FILE, POOL_PRODUCT_RELEASE
from booksearch_assets.resources.lake import LakeResource
from booksearch_assets.resources.product_release import ProductReleaseResource
from booksearch_assets.tables.fingerprint import recipe
from booksearch_assets.tables.products import (
    IMAGE_URL_REJECTIONS,
    IMAGE_URLS,
    IMAGES_QUARANTINE,
    RAW_LISTINGS,
)

CODE_VERSION = "1"
"""Raised when the same listings and list of photos give other rows."""

LIST_OF_IMAGES = "images/metadata/images.csv.gz"


class ImageUrlsConfig(RebuildConfig):
    """Which copy of each photo is wanted."""

    size: ImageSize = Field(
        default=ImageSize.SMALL,
        description="`small` is at most 256 pixels high and wide, enough for every CLIP of 224 pixels; `original` is a "
        "hundred times the bytes.",
    )


def build_image_urls(partitions: dg.PartitionsDefinition) -> dg.AssetsDefinition:
    @dg.asset(
        key=IMAGE_URLS.name.split("/"),
        deps=[dg.AssetKey(RAW_LISTINGS.name.split("/"))],
        partitions_def=partitions,
        backfill_policy=IN_ONE_RUN,
        code_version=CODE_VERSION,
        automation_condition=follow_changes(),
        group_name="products",
        kinds={"python", "parquet"},
        pool=POOL_PRODUCT_RELEASE,
        metadata=definition_metadata(IMAGE_URLS),
        description=IMAGE_URLS.description,
    )
    def image_urls(
        context: dg.AssetExecutionContext,
        config: ImageUrlsConfig,
        lake: LakeResource,
        product_release: ProductReleaseResource,
    ) -> dg.MaterializeResult:
        from booksearch_assets.compute.image_urls import image_urls as urls_of
        from booksearch_assets.compute.image_urls import listed_images, unreadable_rows

        started, store, progress = time.monotonic(), lake.open(), log_progress(context)
        listings = {p: store.resolve(RAW_LISTINGS.name, p) for p in partitions_of(context)}
        with product_release.reachable():
            list_file = product_release.file(
                LIST_OF_IMAGES,
                lambda done: progress("bytes of the list of photos", done.received, done.total),
            )
        settings = {
            "images": list_file.sha256,
            "root": product_release.root,
            "size": config.size.value,
            "code": CODE_VERSION,
        }
        recipes = {p: recipe([commit], settings) for p, commit in listings.items()}
        rebuild = Rebuild(context, store, IMAGE_URLS, recipes, recipes if config.again else ())
        if not rebuild.partitions:
            return rebuild.finished()
        read = {p: store.read(RAW_LISTINGS, p, ["product_key", "main_image_id"]) for p in rebuild.partitions}
        wanted = {image for rows in read.values() for image in rows["main_image_id"].to_pylist()}
        listed, unreadable = listed_images(list_file.path, wanted)
        quarantine = store.begin(IMAGES_QUARANTINE.name)
        quarantine.write(unreadable_rows(unreadable), IMAGES_QUARANTINE.schema)
        quarantine.commit(facts={"file": list_file.address}, contract=IMAGES_QUARANTINE)
        kept, dropped = (
            store.begin(table.name, partitioned_by=LISTING_FILE)
            for table in (IMAGE_URLS, IMAGE_URL_REJECTIONS)
        )
        for partition, rows in read.items():
            urls, rejected, counts = urls_of(rows, listed, product_release.root, config.size)
            kept.write(urls, IMAGE_URLS.schema, partition)
            dropped.write(rejected, IMAGE_URL_REJECTIONS.schema, partition)
            inputs = inputs_of(listings[partition])
            dropped.commit(partition, inputs=inputs)
            commit = kept.commit(
                partition, counts=counts, inputs=inputs, recipe=recipes[partition], contract=IMAGE_URLS
            )
            heights = urls["height"].drop_null().to_pylist()
            drawn = {"heights_histogram": pictures.histogram(heights, "height of the original, px")}
            shown = commit_metadata(store, IMAGE_URLS, commit, time.monotonic() - started, drawn)
            rebuild.record(commit, shown | {"unreadable_rows_of_the_list": len(unreadable)})
        return rebuild.finished()

    return image_urls
