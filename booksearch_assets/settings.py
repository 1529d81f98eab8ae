"""Where things are, read from environment variables: the only module that reads them.

Belongs here: one frozen object of paths, addresses and the profile, from which the default resources are made.
Does not: secrets (those are `dg.EnvVar` fields of the resources), tuning (config of the assets).
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from enum import Enum
from pathlib import Path

from booksearch_assets.abo.images import RELEASE
from booksearch_assets.abo.languages import DEFAULT_LANGUAGES, check_languages
from booksearch_assets.aws_settings import (
    EmrSettings,
    SettingsError,
    TransformSettings,
    emr_settings,
    transform_settings,
)
from booksearch_assets.clip.engines import AUTO, check_wish
from booksearch_assets.vectorstores.errors import StoreUnavailable
from booksearch_assets.vectorstores.opensearch_client import SCHEME, OpenSearchAddress

PACKAGE = Path(__file__).parent
LISTING_FILES, SAMPLE_LISTING_FILES = 16, 4
"""Listing files of the published release of products, and of the sample world's."""

_DIGITS = re.compile(r"[0-9]{1,9}")
# The characters that RFC 6750 allows in a bearer token; a short one could be guessed.
_TOKEN = re.compile(r"[A-Za-z0-9._~+/=-]{16,200}")
_MAILBOX = re.compile(r"[^\s@<>\"]+@[^\s@<>\"]+")
_ENDPOINT = re.compile(r"[A-Za-z0-9](-*[A-Za-z0-9]){0,62}")


class Profile(Enum):
    """`sample`: everything embedded, no network. `local`: real dumps on one machine. `emr`: Spark on EMR Serverless."""

    SAMPLE = "sample"
    LOCAL = "local"
    EMR = "emr"


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
    automation: bool = False
    notify_webhook: bool = False
    notify_email: tuple[str, ...] = ()
    covers_per_minute: int | None = None
    api_tokens: bool = False
    api_rate: int | None = None
    emr: EmrSettings | None = None
    transform: TransformSettings | None = None
    opensearch_uri: str = ""
    opensearch_password: bool = False
    query_endpoint: str = ""
    engine: str = "torch"
    products: str = RELEASE
    product_languages: tuple[str, ...] = DEFAULT_LANGUAGES
    sample_products: int = 800

    @property
    def store_uri(self) -> str:
        """The vector store, as `vectorstores.connect.open_store` reads it: OpenSearch where it is set, else Milvus."""
        return self.opensearch_uri or self.milvus_uri

    @property
    def store_token_variable(self) -> str | None:
        """The environment variable that holds the secret of the vector store, where there is one."""
        if self.opensearch_uri:
            return "BOOKSEARCH_OPENSEARCH_PASSWORD" if self.opensearch_password else None
        return "BOOKSEARCH_MILVUS_TOKEN" if self.milvus_token else None

    def store_token(self) -> str | None:
        """The secret of the vector store, from the environment."""
        return os.environ.get(self.store_token_variable) if self.store_token_variable else None

    @property
    def dagster_home(self) -> Path:
        return self.home / "dagster"

    @property
    def downloads(self) -> Path:
        return self.home / "downloads"

    @property
    def engines(self) -> Path:
        """What was measured of the engines that embed, and models converted for them."""
        return self.home / "engines"

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

    @property
    def sample_products_folder(self) -> Path:
        """The folder of one sample release of products."""
        return self.home / "sample" / f"products-{self.sample_seed}-{self.sample_products}"

    @property
    def product_files(self) -> int:
        """How many listing files the release has: one partition each."""
        return SAMPLE_LISTING_FILES if self.profile is Profile.SAMPLE else LISTING_FILES

    @property
    def products_source(self) -> str:
        """Whose photo ids these are: the name that caches are kept under."""
        if self.profile is Profile.SAMPLE:
            return f"sample-products-{self.sample_seed}-{self.sample_products}"
        if self.products == RELEASE:
            return "abo"
        return f"abo-{hashlib.sha256(self.products.encode()).hexdigest()[:8]}"

    def source_of(self, catalogue: str) -> str:
        """The source of a catalogue's pictures."""
        return self.products_source if catalogue == "products" else self.source

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Settings:
        """Every path absolute, since each step of a run is a process and may have another working directory.

        A variable that is set to nothing counts as not set. Raises `SettingsError` for a value that is not allowed.
        """
        environment = {name: value for name, value in environment.items() if value}
        home = Path(_place(environment, "BOOKSEARCH_HOME", Path("data")))
        profile = _profile(environment.get("BOOKSEARCH_PROFILE", Profile.SAMPLE.value))
        return cls(
            profile=profile,
            home=home,
            lake=_place(environment, "BOOKSEARCH_LAKE", home / "lake", "file", "s3"),
            milvus_uri=_place(
                environment, "BOOKSEARCH_MILVUS_URI", home / "milvus", "file", "http", "https", "tcp"
            ),
            # Only whether there is one: the secret itself stays in the environment until a run needs it.
            milvus_token=bool(environment.get("BOOKSEARCH_MILVUS_TOKEN")),
            opensearch_uri=_opensearch(environment),
            opensearch_password="BOOKSEARCH_OPENSEARCH_PASSWORD" in environment,
            bundle=_place(environment, "BOOKSEARCH_MODEL", PACKAGE / "sample" / "model"),
            sample_editions=_whole(environment, "BOOKSEARCH_SAMPLE_EDITIONS", 2000, (100, 10_000_000)),
            sample_seed=_whole(environment, "BOOKSEARCH_SAMPLE_SEED", 0, (0, 999_999_999)),
            # A release is a month of the sample world's one year.
            sample_release=_whole(environment, "BOOKSEARCH_SAMPLE_RELEASE", 0, (0, 11)),
            sample_port=_whole(environment, "BOOKSEARCH_SAMPLE_PORT", 8321, (0, 65_535)),
            first_year=_whole(environment, "BOOKSEARCH_FIRST_YEAR", 2010, (1970, date.today().year)),
            contact=environment.get("BOOKSEARCH_CONTACT", ""),
            automation=_switch(environment, "BOOKSEARCH_AUTOMATION"),
            # As with the token: that there is an address, not the address.
            notify_webhook=_is_address(environment, "BOOKSEARCH_NOTIFY_WEBHOOK", "http", "https"),
            notify_email=_recipients(environment),
            covers_per_minute=_whole(environment, "BOOKSEARCH_COVERS_PER_MINUTE", 0, (0, 1_000_000)) or None,
            # Secrets as well: see `api_tokens`.
            api_tokens=bool(api_tokens(environment)),
            # Requests a minute of one client.
            api_rate=_whole(environment, "BOOKSEARCH_API_RATE", 0, (0, 1_000_000)) or None,
            query_endpoint=_endpoint(environment),
            engine=_engine(environment, profile),
            emr=emr_settings(environment) if profile is Profile.EMR else None,
            transform=transform_settings(environment),
            products=_products(environment, profile),
            product_languages=_languages(environment),
            sample_products=_whole(environment, "BOOKSEARCH_SAMPLE_PRODUCTS", 800, (40, 1_000_000)),
        )


def api_tokens(environment: Mapping[str, str] = os.environ) -> tuple[str, ...]:
    """The tokens that the search service lets in, none for everybody. Raises `SettingsError`, which tells none of them."""
    tokens = tuple(
        part.strip() for part in environment.get("BOOKSEARCH_API_TOKENS", "").split(",") if part.strip()
    )
    if not all(_TOKEN.fullmatch(token) for token in tokens):
        raise SettingsError(
            "BOOKSEARCH_API_TOKENS must be tokens with commas between them, each of 16 to 200 letters, digits and "
            "-._~+/=; python -c 'import secrets; print(secrets.token_urlsafe())' makes one"
        )
    return tokens


def _place(environment: Mapping[str, str], name: str, default: Path, *schemes: str) -> str:
    """A local path made absolute, its `~` expanded as a shell would, or else a URI of one of `schemes`."""
    text = environment.get(name, str(default))
    scheme, separator, _ = text.partition("://")
    if not separator:
        return str(Path(text).expanduser().absolute())
    if scheme not in schemes:
        allowed = " or ".join(["a local folder", *(f"{scheme}://..." for scheme in schemes)])
        raise SettingsError(f"{name} is {text!r}; it must be {allowed}")
    return text


def _opensearch(environment: Mapping[str, str]) -> str:
    """The address of OpenSearch as the vector store, "" where Milvus is."""
    url = environment.get("BOOKSEARCH_OPENSEARCH_URL")
    if url is None:
        return ""
    if "BOOKSEARCH_MILVUS_URI" in environment:
        raise SettingsError(
            "BOOKSEARCH_OPENSEARCH_URL and BOOKSEARCH_MILVUS_URI are both set; unset that of the store that is not used"
        )
    try:
        OpenSearchAddress.parse(SCHEME + url, environment.get("BOOKSEARCH_OPENSEARCH_PASSWORD"))
    except StoreUnavailable as error:
        raise SettingsError(f"BOOKSEARCH_OPENSEARCH_URL: {error}") from None
    return SCHEME + url


def _products(environment: Mapping[str, str], profile: Profile) -> str:
    """The folder or address of the release of products; the sample world's in its profile."""
    if profile is Profile.SAMPLE and "BOOKSEARCH_PRODUCTS" not in environment:
        return f"http://127.0.0.1:{environment.get('BOOKSEARCH_SAMPLE_PORT', '8321')}/abo"
    if "BOOKSEARCH_PRODUCTS" not in environment:
        return RELEASE
    return _place(environment, "BOOKSEARCH_PRODUCTS", Path(), "s3", "http", "https").rstrip("/")


def _languages(environment: Mapping[str, str]) -> tuple[str, ...]:
    text = environment.get("BOOKSEARCH_PRODUCT_LANGUAGES", ",".join(DEFAULT_LANGUAGES))
    try:
        return check_languages([part.strip() for part in text.split(",") if part.strip()])
    except ValueError as error:
        raise SettingsError(f"BOOKSEARCH_PRODUCT_LANGUAGES is {text!r}: {error}") from None


def _endpoint(environment: Mapping[str, str]) -> str:
    """The SageMaker endpoint that encodes queries, "" where this process does."""
    name = environment.get("BOOKSEARCH_QUERY_ENDPOINT", "")
    if name and not _ENDPOINT.fullmatch(name):
        raise SettingsError(
            f"BOOKSEARCH_QUERY_ENDPOINT is {name!r}; it must be the name of a SageMaker endpoint: at most 63 letters, "
            "digits and dashes"
        )
    return name


def _engine(environment: Mapping[str, str], profile: Profile) -> str:
    """What embeds pictures. On EMR the reference by default, since this machine cannot measure what the workers are."""
    wish = environment.get("BOOKSEARCH_ENGINE", "torch" if profile is Profile.EMR else AUTO)
    try:
        check_wish(wish)
    except ValueError as error:
        raise SettingsError(f"BOOKSEARCH_ENGINE: {error}") from None
    if profile is Profile.EMR and not wish.startswith("torch"):
        raise SettingsError(
            f"BOOKSEARCH_ENGINE is {wish!r}, but the package of jobs holds torch alone, and its workers cannot be measured "
            "from here; set torch or torch-bfloat16"
        )
    return wish


def _switch(environment: Mapping[str, str], name: str) -> bool:
    value = environment.get(name, "off")
    if value not in ("on", "off"):
        raise SettingsError(f"{name} is {value!r}; it must be on or off")
    return value == "on"


def _is_address(environment: Mapping[str, str], name: str, *schemes: str) -> bool:
    """Whether an address that holds a secret is there. An error tells nothing of it but its variable."""
    if name not in environment:
        return False
    scheme, _, rest = environment[name].partition("://")
    if scheme not in schemes or not rest or any(c.isspace() for c in rest):
        raise SettingsError(
            f"{name} must be {' or '.join(f'{scheme}://...' for scheme in schemes)}, without spaces"
        )
    return True


def _recipients(environment: Mapping[str, str]) -> tuple[str, ...]:
    text = environment.get("BOOKSEARCH_NOTIFY_EMAIL", "")
    recipients = tuple(part.strip() for part in text.split(",") if part.strip())
    for recipient in recipients:
        if not _MAILBOX.fullmatch(recipient):
            raise SettingsError(
                f"BOOKSEARCH_NOTIFY_EMAIL holds {recipient!r}; it must be e-mail addresses with commas between them"
            )
    has_server = _is_address(environment, "BOOKSEARCH_SMTP_URL", "smtp", "smtps")
    if recipients and not has_server:
        raise SettingsError(
            "BOOKSEARCH_NOTIFY_EMAIL needs a mail server; set BOOKSEARCH_SMTP_URL to smtp://user:password@host:port"
        )
    return recipients


def _profile(value: str) -> Profile:
    try:
        return Profile(value)
    except ValueError:
        allowed = ", ".join(profile.value for profile in Profile)
        raise SettingsError(f"BOOKSEARCH_PROFILE is {value!r}; it must be one of: {allowed}") from None


def _whole(environment: Mapping[str, str], name: str, default: int, bounds: tuple[int, int]) -> int:
    text = environment.get(name, str(default))
    lowest, highest = bounds
    if not _DIGITS.fullmatch(text) or not lowest <= int(text) <= highest:
        raise SettingsError(f"{name} is {text!r}; it must be a whole number from {lowest} to {highest}")
    return int(text)
