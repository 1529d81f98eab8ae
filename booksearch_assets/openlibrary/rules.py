"""Which rules these are: a checksum of the code in this package.

Rows that were made by other rules are not what these would make. A number to raise by hand would be forgotten just
when a rule is mended.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache
from importlib import resources

_PACKAGE = "booksearch_assets.openlibrary"


@lru_cache(maxsize=1)
def rules_version() -> str:
    """A SHA-256, hexadecimal, of every module here: another one after any change of how dumps are read or filtered."""
    files = [file for file in resources.files(_PACKAGE).iterdir() if file.name.endswith(".py")]
    digest = hashlib.sha256()
    for file in sorted(files, key=lambda file: file.name):
        digest.update(file.read_bytes())
    return digest.hexdigest()
