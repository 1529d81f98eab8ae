"""Settings: the defaults, every variable, and every value that is refused, by the name of its variable."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from booksearch_assets.aws_settings import EmrSettings, SettingsError, TransformSettings
from booksearch_assets.settings import PACKAGE, Profile, Settings, api_tokens

ONLY_SETTINGS = {"BOOKSEARCH_HOME": "/srv/books"}


def test_an_empty_environment_is_the_sample_profile_under_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    settings = Settings.from_environment({})
    home = tmp_path / "data"
    assert settings == Settings(
        profile=Profile.SAMPLE,
        home=home,
        lake=str(home / "lake"),
        milvus_uri=str(home / "milvus"),
        milvus_token=False,
        bundle=str(PACKAGE / "sample" / "model"),
        sample_editions=2000,
        sample_seed=0,
        sample_release=0,
        sample_port=8321,
        first_year=2010,
        contact="",
        automation=False,
        notify_webhook=False,
        notify_email=(),
        covers_per_minute=None,
        engine="auto",
        products="http://127.0.0.1:8321/abo",
        product_languages=("en_US", "en"),
        sample_products=800,
    )
    assert settings.dagster_home == home / "dagster"
    assert settings.downloads == home / "downloads"
    assert settings.sample_folder == home / "sample" / "0-2000"


def test_every_variable_is_read() -> None:
    settings = Settings.from_environment(
        {
            "BOOKSEARCH_PROFILE": "local",
            "BOOKSEARCH_HOME": "/srv/books",
            "BOOKSEARCH_LAKE": "s3://bucket/lake",
            "BOOKSEARCH_MILVUS_URI": "http://milvus:19530",
            "BOOKSEARCH_MILVUS_TOKEN": "root:secret",
            "BOOKSEARCH_MODEL": "/srv/model",
            "BOOKSEARCH_SAMPLE_EDITIONS": "100",
            "BOOKSEARCH_SAMPLE_SEED": "7",
            "BOOKSEARCH_SAMPLE_RELEASE": "11",
            "BOOKSEARCH_SAMPLE_PORT": "65535",
            "BOOKSEARCH_FIRST_YEAR": "1970",
            "BOOKSEARCH_CONTACT": "me@example.org",
            "BOOKSEARCH_AUTOMATION": "on",
            "BOOKSEARCH_NOTIFY_WEBHOOK": "https://hooks.example.org/services/secret",
            "BOOKSEARCH_NOTIFY_EMAIL": "me@example.org, you@example.org",
            "BOOKSEARCH_SMTP_URL": "smtp://me:secret@mail.example.org:587",
            "BOOKSEARCH_COVERS_PER_MINUTE": "120",
            "BOOKSEARCH_API_TOKENS": "a-token-of-enough-characters",
            "BOOKSEARCH_API_RATE": "600",
            "BOOKSEARCH_QUERY_ENDPOINT": "booksearch-queries",
            "BOOKSEARCH_ENGINE": "torch",
            "BOOKSEARCH_PRODUCTS": "s3://bucket/abo/",
            "BOOKSEARCH_PRODUCT_LANGUAGES": "de_DE, *",
            "BOOKSEARCH_SAMPLE_PRODUCTS": "40",
        }
    )
    assert settings == Settings(
        profile=Profile.LOCAL,
        home=Path("/srv/books"),
        lake="s3://bucket/lake",
        milvus_uri="http://milvus:19530",
        milvus_token=True,
        bundle="/srv/model",
        sample_editions=100,
        sample_seed=7,
        sample_release=11,
        sample_port=65535,
        first_year=1970,
        contact="me@example.org",
        automation=True,
        notify_webhook=True,
        notify_email=("me@example.org", "you@example.org"),
        covers_per_minute=120,
        api_tokens=True,
        api_rate=600,
        query_endpoint="booksearch-queries",
        engine="torch",
        products="s3://bucket/abo",
        product_languages=("de_DE", "*"),
        sample_products=40,
    )
    assert settings.source_of("books") == "openlibrary"
    assert settings.source_of("products").startswith("abo-") and settings.product_files == 16


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("BOOKSEARCH_MILVUS_TOKEN", "root:s3cret"),
        ("BOOKSEARCH_NOTIFY_WEBHOOK", "https://hooks.example.org/s3cret"),
        ("BOOKSEARCH_SMTP_URL", "smtps://me:s3cret@mail.example.org"),
        ("BOOKSEARCH_API_TOKENS", "s3cret-s3cret-s3cret"),
    ],
)
def test_secrets_are_in_no_settings(name: str, value: str) -> None:
    assert "s3cret" not in repr(Settings.from_environment({name: value}))


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        ("BOOKSEARCH_NOTIFY_WEBHOOK", "hooks.example.org/s3cret", "http://... or https://..."),
        ("BOOKSEARCH_NOTIFY_WEBHOOK", "ftp://hooks.example.org/s3cret", "http://... or https://..."),
        ("BOOKSEARCH_NOTIFY_WEBHOOK", "https://hooks.example.org/s3cret\n", "http://... or https://..."),
        ("BOOKSEARCH_SMTP_URL", "me:s3cret@mail.example.org", "smtp://... or smtps://..."),
        ("BOOKSEARCH_SMTP_URL", "https://me:s3cret@mail.example.org", "smtp://... or smtps://..."),
        ("BOOKSEARCH_SMTP_URL", "smtp://", "smtp://... or smtps://..."),
    ],
)
def test_an_address_that_cannot_be_used_is_refused_without_being_told(
    name: str, value: str, allowed: str
) -> None:
    with pytest.raises(SettingsError) as raised:
        Settings.from_environment({name: value})
    assert str(raised.value) == f"{name} must be {allowed}, without spaces"


def test_the_tokens_of_the_search_service_stand_between_commas() -> None:
    first, second = "first-token-1234567", "2nd~token+/=._-56789"
    assert api_tokens({"BOOKSEARCH_API_TOKENS": f" {first},{second}, ,"}) == (first, second)
    assert api_tokens({}) == ()


@pytest.mark.parametrize(
    "value", ["short", "a-good-token-12345678,s3cret", "white space in a token", "s3cret" * 40]
)
def test_a_token_that_is_guessed_or_cannot_be_sent_is_refused_without_being_told(value: str) -> None:
    with pytest.raises(SettingsError, match="BOOKSEARCH_API_TOKENS must be tokens") as raised:
        Settings.from_environment({"BOOKSEARCH_API_TOKENS": value})
    assert value not in str(raised.value) and "s3cret" not in str(raised.value)


@pytest.mark.parametrize("value", ["yes", "ON", "1", "true"])
def test_automation_is_on_or_off(value: str) -> None:
    with pytest.raises(SettingsError, match=f"BOOKSEARCH_AUTOMATION is '{value}'; it must be on or off"):
        Settings.from_environment({"BOOKSEARCH_AUTOMATION": value})


def test_mail_needs_addresses_and_a_server() -> None:
    server = {"BOOKSEARCH_SMTP_URL": "smtp://mail.example.org"}
    with pytest.raises(SettingsError, match="set BOOKSEARCH_SMTP_URL to smtp://user:password@host:port"):
        Settings.from_environment({"BOOKSEARCH_NOTIFY_EMAIL": "me@example.org"})
    for value in ("me", "me@example.org you@example.org", "me@example.org,Me <me@example.org>"):
        with pytest.raises(SettingsError, match="it must be e-mail addresses with commas between them"):
            Settings.from_environment({**server, "BOOKSEARCH_NOTIFY_EMAIL": value})
    assert Settings.from_environment({**server, "BOOKSEARCH_NOTIFY_EMAIL": " ,"}).notify_email == ()


def test_opensearch_takes_the_place_of_milvus() -> None:
    url = "https://search-books-abc.eu-central-1.es.amazonaws.com?engine=faiss"
    settings = Settings.from_environment({**ONLY_SETTINGS, "BOOKSEARCH_OPENSEARCH_URL": url})
    assert (settings.store_uri, settings.store_token_variable) == (f"opensearch+{url}", None)
    secret = {"BOOKSEARCH_OPENSEARCH_PASSWORD": "s3cret"}
    settings = Settings.from_environment(
        {"BOOKSEARCH_OPENSEARCH_URL": "https://me@search.example.org", **secret}
    )
    assert settings.store_token_variable == "BOOKSEARCH_OPENSEARCH_PASSWORD"
    assert "s3cret" not in repr(settings)
    milvus = Settings.from_environment({**ONLY_SETTINGS, "BOOKSEARCH_MILVUS_TOKEN": "root:s3cret"})
    assert (milvus.store_uri, milvus.store_token_variable) == ("/srv/books/milvus", "BOOKSEARCH_MILVUS_TOKEN")


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("https://me:s3cret@search.example.org", "give the password as BOOKSEARCH_OPENSEARCH_PASSWORD"),
        ("https://me:s3c/ret@search.example.org", "expected https://host"),
        ("https://me@search.example.org", "set BOOKSEARCH_OPENSEARCH_PASSWORD"),
        ("http://search.example.org?auth=es", "use https"),
        ("https://search.example.org?auth=sigv4", "it is one of none, basic, es, aoss"),
        ("https://search.example.org?engine=nmslib", "it is one of lucene, faiss"),
        ("https://abc.eu-central-1.aoss.amazonaws.com?engine=lucene", "faiss alone"),
        ("https://search.example.org/books", "no path"),
        ("https://search.example.org?verify=no", "'verify' is not one of"),
        ("search.example.org:9200", "expected https://host"),
        ("https://search.example.org:port", "expected https://host"),
    ],
)
def test_an_opensearch_that_cannot_be_used(url: str, says: str) -> None:
    with pytest.raises(SettingsError, match=f"BOOKSEARCH_OPENSEARCH_URL: .*{says}") as raised:
        Settings.from_environment({"BOOKSEARCH_OPENSEARCH_URL": url})
    assert "s3c" not in str(raised.value)


def test_one_vector_store_is_set() -> None:
    both = {"BOOKSEARCH_OPENSEARCH_URL": "https://search.example.org", "BOOKSEARCH_MILVUS_URI": "/srv/milvus"}
    with pytest.raises(SettingsError, match="are both set"):
        Settings.from_environment(both)


def test_places_follow_the_home() -> None:
    settings = Settings.from_environment(ONLY_SETTINGS)
    assert (settings.lake, settings.milvus_uri) == ("/srv/books/lake", "/srv/books/milvus")


@pytest.mark.parametrize("value", ["-queries", "queries-", "a_name", "https://endpoint", "a" * 64, "a\n"])
def test_what_is_no_name_of_an_endpoint(value: str) -> None:
    with pytest.raises(SettingsError, match="BOOKSEARCH_QUERY_ENDPOINT is .*; it must be the name"):
        Settings.from_environment({"BOOKSEARCH_QUERY_ENDPOINT": value})


@pytest.mark.parametrize(
    "name", ["BOOKSEARCH_HOME", "BOOKSEARCH_LAKE", "BOOKSEARCH_MILVUS_URI", "BOOKSEARCH_MODEL"]
)
def test_places_are_absolute(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/home/reader")
    field = {"BOOKSEARCH_HOME": "home", "BOOKSEARCH_LAKE": "lake", "BOOKSEARCH_MODEL": "bundle"}.get(
        name, "milvus_uri"
    )
    found = [
        str(getattr(Settings.from_environment({name: place}), field)) for place in ("some/place", "~/place")
    ]
    assert found == [str(tmp_path / "some" / "place"), "/home/reader/place"]


@pytest.mark.parametrize(
    "name",
    [
        "PROFILE",
        "HOME",
        "LAKE",
        "MILVUS_URI",
        "MILVUS_TOKEN",
        "OPENSEARCH_URL",
        "OPENSEARCH_PASSWORD",
        "MODEL",
        "QUERY_ENDPOINT",
        "SAMPLE_PORT",
        "FIRST_YEAR",
        "CONTACT",
        "AUTOMATION",
        "NOTIFY_WEBHOOK",
        "NOTIFY_EMAIL",
        "SMTP_URL",
    ],
)
def test_a_variable_that_is_set_to_nothing_counts_as_not_set(name: str) -> None:
    # Compose files hand on BOOKSEARCH_LAKE=${BOOKSEARCH_LAKE:-} as an empty string.
    assert Settings.from_environment({f"BOOKSEARCH_{name}": ""}) == Settings.from_environment({})


@pytest.mark.parametrize("value", ["prod", "SAMPLE", "local ", "None"])
def test_a_profile_that_is_none(value: str) -> None:
    with pytest.raises(
        SettingsError, match="BOOKSEARCH_PROFILE is '.*'; it must be one of: sample, local, emr"
    ):
        Settings.from_environment({"BOOKSEARCH_PROFILE": value})


THIS_YEAR = date.today().year
BOUNDS = {
    "BOOKSEARCH_SAMPLE_EDITIONS": (100, 10_000_000),
    "BOOKSEARCH_SAMPLE_SEED": (0, 999_999_999),
    "BOOKSEARCH_SAMPLE_RELEASE": (0, 11),
    "BOOKSEARCH_SAMPLE_PORT": (0, 65_535),
    "BOOKSEARCH_FIRST_YEAR": (1970, THIS_YEAR),
}


@pytest.mark.parametrize("name", BOUNDS)
@pytest.mark.parametrize(
    "value", ["many", "-1", "1.5", "1e3", " 200", "200\n", "+200", "0x7b2", "٢٠١٥", "²", "9" * 5000]
)
def test_what_is_no_whole_number(name: str, value: str) -> None:
    lowest, highest = BOUNDS[name]
    with pytest.raises(SettingsError) as raised:
        Settings.from_environment({name: value})
    assert str(raised.value) == f"{name} is {value!r}; it must be a whole number from {lowest} to {highest}"


@pytest.mark.parametrize("name", BOUNDS)
def test_the_bounds_are_allowed_and_nothing_beyond(name: str) -> None:
    lowest, highest = BOUNDS[name]
    for number in (lowest, highest):
        Settings.from_environment({name: str(number)})
    for number in (lowest - 1, highest + 1):
        with pytest.raises(SettingsError, match=name):
            Settings.from_environment({name: str(number)})


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        ("BOOKSEARCH_HOME", "s3://bucket/home", "a local folder"),
        ("BOOKSEARCH_MODEL", "https://huggingface.co/openai/clip-vit-base-patch32", "a local folder"),
        ("BOOKSEARCH_LAKE", "gs://bucket/lake", "a local folder or file://... or s3://..."),
        ("BOOKSEARCH_LAKE", "s3a://bucket/lake", "a local folder or file://... or s3://..."),
        (
            "BOOKSEARCH_MILVUS_URI",
            "grpc://milvus:19530",
            "a local folder or file://... or http://... or https://... or tcp://...",
        ),
    ],
)
def test_a_uri_that_cannot_be_used(name: str, value: str, allowed: str) -> None:
    with pytest.raises(SettingsError) as raised:
        Settings.from_environment({name: value})
    assert str(raised.value) == f"{name} is {value!r}; it must be {allowed}"


def test_caches_of_two_sample_worlds_and_of_the_real_one_are_kept_apart() -> None:
    environments = [
        {"BOOKSEARCH_PROFILE": "local"},
        {},
        {"BOOKSEARCH_SAMPLE_SEED": "1"},
        {"BOOKSEARCH_SAMPLE_EDITIONS": "500"},
    ]
    found = [Settings.from_environment(environment) for environment in environments]
    assert len({settings.source for settings in found}) == 4
    assert len({settings.sample_folder for settings in found[1:]}) == 3


EMR = {
    "BOOKSEARCH_PROFILE": "emr",
    "BOOKSEARCH_HOME": "/srv/books",
    "BOOKSEARCH_LAKE": "s3://books/lake",
    "BOOKSEARCH_EMR_STAGING": "s3://books/emr/",
    "BOOKSEARCH_EMR_APPLICATION_ID": "00f1a2b3c4d5e6f7",
    "BOOKSEARCH_EMR_ROLE_ARN": "arn:aws:iam::123456789012:role/booksearch-roles-JobRole-HBEABQ895TM6",
    "BOOKSEARCH_MILVUS_URI": "http://10.42.0.7:19530",
    "BOOKSEARCH_CONTACT": "me@example.org",
    "AWS_REGION": "eu-central-1",
}


def test_the_profile_emr_reads_where_jobs_run() -> None:
    settings = Settings.from_environment(EMR)
    assert (settings.profile, settings.source) == (Profile.EMR, "openlibrary")
    assert settings.emr == EmrSettings(
        staging="s3://books/emr",
        application_id="00f1a2b3c4d5e6f7",
        role_arn="arn:aws:iam::123456789012:role/booksearch-roles-JobRole-HBEABQ895TM6",
        region="eu-central-1",
    )
    # What the role of jobs may write, by infra/roles.yaml.
    assert settings.emr.jobs_uri.startswith("s3://books/emr/runs/")
    assert settings.emr.logs_uri.startswith("s3://books/emr/runs/")
    told = {"BOOKSEARCH_EMR_REGION": "eu-west-1", "BOOKSEARCH_EMR_PACKAGE": "0123456789abcdef"}
    other = Settings.from_environment(EMR | told).emr
    assert other and (other.region, other.package) == ("eu-west-1", "0123456789abcdef")
    # Milvus may as well be a folder of this machine, and no other profile looks at any of this.
    assert (
        Settings.from_environment(EMR | {"BOOKSEARCH_MILVUS_URI": "/srv/milvus"}).milvus_uri == "/srv/milvus"
    )
    assert Settings.from_environment(EMR | {"BOOKSEARCH_PROFILE": "local"}).emr is None


@pytest.mark.parametrize(
    "name", [name for name in EMR if name not in ("BOOKSEARCH_PROFILE", "BOOKSEARCH_HOME")]
)
def test_the_profile_emr_says_what_it_misses(name: str) -> None:
    missing = {"AWS_REGION": "BOOKSEARCH_EMR_REGION"}.get(name, name)
    with pytest.raises(
        SettingsError, match=rf"BOOKSEARCH_PROFILE=emr needs {missing}\. `booksearch aws status`"
    ):
        Settings.from_environment(EMR | {name: ""})


def test_everything_that_is_missing_is_said_at_once() -> None:
    with pytest.raises(
        SettingsError, match="needs BOOKSEARCH_LAKE, BOOKSEARCH_EMR_STAGING, .*, BOOKSEARCH_CONTACT"
    ):
        Settings.from_environment({"BOOKSEARCH_PROFILE": "emr"})


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("BOOKSEARCH_LAKE", "/srv/lake", "s3://bucket/prefix"),
        ("BOOKSEARCH_LAKE", "s3://books", "s3://bucket/prefix"),
        ("BOOKSEARCH_EMR_STAGING", "https://books/emr", "s3://bucket/prefix"),
        # Spark would take what follows the number sign for the name of a folder.
        ("BOOKSEARCH_EMR_STAGING", "s3://books/emr#1", "s3://bucket/prefix"),
        (
            "BOOKSEARCH_EMR_APPLICATION_ID",
            "arn:aws:emr-serverless:::/applications/00f1",
            "the id of an application",
        ),
        ("BOOKSEARCH_EMR_ROLE_ARN", "JobRole", "the ARN of a role"),
        ("BOOKSEARCH_EMR_REGION", "Frankfurt", "an AWS region, such as eu-central-1"),
        ("BOOKSEARCH_EMR_PACKAGE", "latest", "the 16 hexadecimal digits"),
    ],
)
def test_the_profile_emr_says_what_is_malformed(name: str, value: str, expected: str) -> None:
    with pytest.raises(SettingsError) as raised:
        Settings.from_environment(EMR | {name: value})
    assert str(raised.value).startswith(f"{name} is {value!r}; ") and expected in str(raised.value)


TRANSFORM = {
    "BOOKSEARCH_TRANSFORM_MODEL": "Model-1",
    "BOOKSEARCH_TRANSFORM_STAGING": "s3://bucket/sagemaker/transform/",
    "AWS_REGION": "eu-central-1",
}


def test_batch_transform_is_set_up_by_the_name_of_its_model() -> None:
    assert Settings.from_environment({}).transform is None
    told = Settings.from_environment(TRANSFORM | {"BOOKSEARCH_TRANSFORM_INSTANCES": "4"}).transform
    assert told == TransformSettings(
        "Model-1", "s3://bucket/sagemaker/transform", "eu-central-1", "ml.c5.xlarge", 4
    )


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("BOOKSEARCH_TRANSFORM_STAGING", "", "needs BOOKSEARCH_TRANSFORM_STAGING too"),
        ("AWS_REGION", "", "needs AWS_REGION too"),
        ("BOOKSEARCH_TRANSFORM_STAGING", "/tmp/x", "it must be s3://bucket/prefix"),
        ("BOOKSEARCH_TRANSFORM_INSTANCE", "c5.xlarge", "such as ml.c5.xlarge"),
        ("BOOKSEARCH_TRANSFORM_INSTANCES", "0", "from 1 to 999"),
    ],
)
def test_what_batch_transform_lacks_is_named(name: str, value: str, says: str) -> None:
    with pytest.raises(SettingsError, match=says):
        Settings.from_environment(TRANSFORM | {name: value})
