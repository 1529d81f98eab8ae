"""The sample world as a running service, for whoever needs it for a while.

Belongs here: one `with` block that makes the dumps, the known items and a server, or uses the one that runs.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

from booksearch_assets.sample.world import World

_PROBE_SECONDS = 2.0


@contextmanager
def running_service(folder: Path, port: int, seed: int, editions: int, release: int) -> Iterator[None]:
    """The sample world answers on `port` of loopback for the time of the block.

    A sample server that runs there already is used as it is. Raises OSError where something else holds the port.
    """
    if answers(port):
        write_queries(World(seed=seed, editions=editions, release=release), folder)
        yield
        return
    from booksearch_assets.sample.cover_service import CoverOptions
    from booksearch_assets.sample.server import SampleServer, ServerOptions

    world = World(seed=seed, editions=editions, release=release)
    options = ServerOptions(covers=CoverOptions(), releases=tuple(range(release + 1)))
    with SampleServer(world, folder, port, options):
        write_queries(world, folder)
        yield


def answers(port: int) -> bool:
    """Whether a sample server answers on this port of loopback."""
    try:
        with urlopen(f"http://127.0.0.1:{port}/advancedsearch.php", timeout=_PROBE_SECONDS) as answer:
            return b"ol_dump_" in answer.read()
    except (URLError, OSError):
        return False


def write_queries(world: World, folder: Path) -> Path:
    """The true captions of the world's covers, made once: `known_items-RELEASE.parquet` in `folder`."""
    from booksearch_assets.sample.dumps import write_known_items

    path = folder / f"known_items-{world.release}.parquet"
    if not path.exists():
        write_known_items(world, path)
    return path
