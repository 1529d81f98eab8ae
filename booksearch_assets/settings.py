"""Where things are, read from environment variables: the only module that reads them.

Belongs here: one frozen object of paths, addresses and the profile, from which the default resources are made.
Does not: secrets (those are `dg.EnvVar` fields of the resources), tuning (config of the assets).
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

PACKAGE = Path(__file__).parent


class Profile(Enum):
    """`sample`: everything embedded, no network. `local`: real dumps on one machine."""

    SAMPLE = "sample"
    LOCAL = "local"


class SettingsError(ValueError):
    """An environment variable holds what it cannot hold; the message names it and what is allowed."""


@dataclass(frozen=True)
class Settings:
    """Every place of one deployment. `home` holds the rest unless a variable says otherwise."""

    profile: Profile
    home: Path
    lake: str
    milvus_uri: str
    milvus_token: bool
    bundle: str
    sample_editions: int
    sample_seed: int
    sample_release: int
    sample_port: int
    first_year: int
    contact: str

    @property
    def dagster_home(self) -> Path:
        return self.home / "dagster"

    @property
    def downloads(self) -> Path:
        return self.home / "downloads"

    @property
    def sample_folder(self) -> Path:
        """The folder of one sample world: another seed or size is another world."""
        return self.home / "sample" / f"{self.sample_seed}-{self.sample_editions}"

    @property
    def source(self) -> str:
        """Whose cover ids these are: the name that caches are kept under."""
        if self.profile is Profile.SAMPLE:
            return f"sample-{self.sample_seed}-{self.sample_editions}"
        return "openlibrary"

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Settings:
        """Raises `SettingsError` for a value that is not allowed."""
        home = Path(environment.get("BOOKSEARCH_HOME", "data")).absolute()
        return cls(
            profile=_profile(environment.get("BOOKSEARCH_PROFILE", Profile.SAMPLE.value)),
            home=home,
            lake=environment.get("BOOKSEARCH_LAKE", str(home / "lake")),
            milvus_uri=environment.get("BOOKSEARCH_MILVUS_URI", str(home / "milvus")),
            # Only whether there is one: the secret itself stays in the environment until a run needs it.
            milvus_token=bool(environment.get("BOOKSEARCH_MILVUS_TOKEN")),
            bundle=environment.get("BOOKSEARCH_MODEL", str(PACKAGE / "sample" / "model")),
            sample_editions=_whole(environment, "BOOKSEARCH_SAMPLE_EDITIONS", 2000, at_least=100, at_most=10_000_000),
            sample_seed=_whole(environment, "BOOKSEARCH_SAMPLE_SEED", 0, at_least=0),
            sample_release=_whole(environment, "BOOKSEARCH_SAMPLE_RELEASE", 0, at_least=0),
            sample_port=_whole(environment, "BOOKSEARCH_SAMPLE_PORT", 8321, at_least=0, at_most=65_535),
            first_year=_whole(environment, "BOOKSEARCH_FIRST_YEAR", 2010, at_least=1970, at_most=2026),
            contact=environment.get("BOOKSEARCH_CONTACT", ""),
        )


def _profile(value: str) -> Profile:
    try:
        return Profile(value)
    except ValueError:
        allowed = ", ".join(profile.value for profile in Profile)
        raise SettingsError(f"BOOKSEARCH_PROFILE is {value!r}; it must be one of: {allowed}") from None


def _whole(environment: Mapping[str, str], name: str, default: int, at_least: int, at_most: int | None = None) -> int:
    text = environment.get(name, str(default))
    bounds = f"from {at_least}" + (f" to {at_most}" if at_most is not None else "")
    if not text.isascii() or not text.isdigit() or int(text) < at_least or (at_most is not None and int(text) > at_most):
        raise SettingsError(f"{name} is {text!r}; it must be a whole number {bounds}")
    return int(text)
