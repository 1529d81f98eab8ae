"""The sample world as a running service, for whoever needs it for a while.

Belongs here: `with` blocks that make the files, the known items and a server, or use the one that runs.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

from booksearch_assets.sample.products import ProductWorld
from booksearch_assets.sample.world import World

_PROBE_SECONDS = 2.0
# What to ask a server for, and what is in its answer where it has the dumps, or the products.
_DUMPS = ("/advancedsearch.php", b"ol_dump_")
_PRODUCTS = ("/abo/images/metadata/images.csv.gz", bytes.fromhex("1f8b"))


@contextmanager
def running_service(
    folder: Path,
    port: int,
    seed: int,
    editions: int,
    release: int,
    products: tuple[Path, ProductWorld] | None = None,
) -> Iterator[None]:
    """The sample world answers on `port` of loopback for the time of the block, its products too where they are named.

    A sample server that runs there already is used as it is. Raises OSError where something else holds the port.
    """
    world = World(seed=seed, editions=editions, release=release)
    if answers(port):
        write_queries(world, folder)
        yield
        return
    from booksearch_assets.sample.product_site import ServedProducts
    from booksearch_assets.sample.server import SampleServer, ServerOptions

    options = ServerOptions(
        releases=tuple(range(release + 1)),
        products=ServedProducts(products[1], products[0]) if products else None,
    )
    with SampleServer(world, folder, port, options):
        write_queries(world, folder)
        yield


@contextmanager
def running_products(folder: Path, port: int, seed: int, listings: int) -> Iterator[None]:
    """The sample products answer on `port` of loopback, under `/abo`, for the time of the block.

    Their metadata and `known_items.parquet` are in `folder`. A sample server that runs there already is used as it is.
    Raises OSError where something else holds the port: a sample server of books alone, for one.
    """
    world = ProductWorld(seed=seed, listings=listings)
    write_product_queries(world, folder)
    if answers(port, _PRODUCTS):
        yield
        return
    from booksearch_assets.sample.product_site import ServedProducts
    from booksearch_assets.sample.server import SampleServer, ServerOptions

    with SampleServer(None, folder, port, ServerOptions(products=ServedProducts(world, folder))):
        yield


def answers(port: int, probe: tuple[str, bytes] = _DUMPS) -> bool:
    """Whether a sample server answers on this port of loopback, with what `probe` asks for and expects."""
    path, expected = probe
    try:
        with urlopen(f"http://127.0.0.1:{port}{path}", timeout=_PROBE_SECONDS) as answer:
            return expected in answer.read()
    except (URLError, OSError):
        return False


def write_queries(world: World, folder: Path) -> Path:
    """The true captions of the world's covers, made once: `known_items-RELEASE.parquet` in `folder`."""
    from booksearch_assets.sample.dumps import write_known_items

    path = folder / f"known_items-{world.release}.parquet"
    if not path.exists():
        write_known_items(world, path)
    return path


def write_product_queries(world: ProductWorld, folder: Path) -> Path:
    """The true captions of the products' photos, made once: `known_items.parquet` in `folder`."""
    from booksearch_assets.sample.product_release import write_known_items

    path = folder / "known_items.parquet"
    if not path.exists():
        write_known_items(world, path)
    return path
