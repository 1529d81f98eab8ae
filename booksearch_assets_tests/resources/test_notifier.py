"""Notices to real receivers on loopback, and what is never told when they do not arrive."""

from __future__ import annotations

import logging
import shutil
import sys
from pathlib import Path

import dagster as dg
import pytest
from dagster._utils.error import serializable_error_info_from_exc_info

from booksearch_assets.resources.notifier import (
    EmailNotifier,
    LogNotifier,
    Notice,
    NotificationError,
    Notifier,
    NotifierResource,
    WebhookNotifier,
    notify_all,
)
from booksearch_assets_tests.graph.deployment import free_port
from booksearch_assets_tests.resources.receivers import mail_server, make_certificate, webhook

NOTICE = Notice(
    "books failed", "books failed: é\nresume: booksearch materialize", {"run_id": "r1", "steps": ["a"]}
)
SECRET = "T0P-S3CRET"
AT_ONCE = (0.0, 0.0)


def failure(notifier: Notifier) -> str:
    """Everything that a log, a tick or a run page could show of a notice that did not arrive."""
    try:
        notifier.notify(NOTICE)
    except NotificationError as error:
        shown = serializable_error_info_from_exc_info(sys.exc_info()).to_string()
        assert str(error) in shown
        assert SECRET not in shown + repr(error) + repr(notifier)
        return str(error)
    raise AssertionError("the notice arrived")


def test_the_log_is_told(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR):
        LogNotifier(logging.getLogger("told")).notify(NOTICE)
    assert [record.message for record in caplog.records] == [NOTICE.text]


def test_a_webhook_is_given_text_and_fields() -> None:
    with webhook() as received:
        WebhookNotifier(f"{received.url}/services/{SECRET}").notify(NOTICE)
    assert received.types == {"application/json"}
    assert received.posts == [
        (
            f"/services/{SECRET}",
            {"text": NOTICE.text, "subject": "books failed", "details": {"run_id": "r1", "steps": ["a"]}},
        )
    ]


@pytest.mark.parametrize("status", [500, 503, 429, 408])
def test_a_webhook_is_asked_again_while_that_may_help(status: int) -> None:
    with webhook(status, status) as received:
        WebhookNotifier(received.url, pauses=AT_ONCE).notify(NOTICE)
    assert len(received.posts) == 3


@pytest.mark.parametrize(("statuses", "asked"), [((500, 502, 503), 3), ((404,), 1), ((403,), 1), ((302,), 1)])
def test_a_webhook_that_refuses_is_told_of_without_its_address(statuses: tuple[int, ...], asked: int) -> None:
    with webhook(*statuses) as received:
        message = failure(WebhookNotifier(f"{received.url}/{SECRET}", pauses=AT_ONCE))
    assert f"(HTTP {statuses[-1]})" in message
    assert "BOOKSEARCH_NOTIFY_WEBHOOK" in message
    assert len(received.posts) == asked


@pytest.mark.parametrize(
    "url",
    [
        f"http://127.0.0.1:1/{SECRET}",
        # A label of a host name has 63 characters at the most.
        f"http://{SECRET * 20}/",
        f"http://127.0.0.1:{SECRET}/",
        f"http://[{SECRET}/",
        f"{SECRET}://127.0.0.1/",
        f"http://127.0.0.1/\x7f{SECRET}",
        SECRET,
    ],
)
def test_no_error_of_urllib_gives_an_address_away(url: str) -> None:
    assert "the webhook did not take the notice" in failure(WebhookNotifier(url, pauses=AT_ONCE))


def test_mail_is_sent_with_a_log_in() -> None:
    with mail_server() as server:
        url = f"smtp://me%40example.org:{SECRET}right@127.0.0.1:{server.port}?starttls=off"
        EmailNotifier(["a@example.org", "b@example.org"], url).notify(NOTICE)
    (mail,) = server.mails
    assert (mail.sender, mail.recipients) == ("me@example.org", ["a@example.org", "b@example.org"])
    assert mail.account == f"me@example.org {SECRET}right"
    assert "Subject: books failed" in mail.text
    assert "To: a@example.org, b@example.org" in mail.text
    assert "resume: booksearch materialize" in mail.text


def test_a_relay_without_accounts_gets_a_sender_of_ours() -> None:
    with mail_server() as server:
        EmailNotifier(["a@example.org"], f"smtp://127.0.0.1:{server.port}?starttls=off").notify(NOTICE)
    assert [(mail.sender, mail.account) for mail in server.mails] == [("a@example.org", "")]


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if not shutil.which("openssl"):
        pytest.skip("no openssl to make a certificate with")
    return make_certificate(tmp_path_factory.mktemp("certificate"))


@pytest.mark.parametrize("scheme", ["smtp", "smtps"])
def test_mail_goes_over_tls_to_a_server_that_proves_who_it_is(
    scheme: str, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with mail_server(certificate=certificate, from_first_byte=scheme == "smtps") as server:
        notifier = EmailNotifier(
            ["a@example.org"], f"{scheme}://me:{SECRET}right@127.0.0.1:{server.port}", pauses=AT_ONCE
        )
        assert "SSLCertVerificationError" in failure(notifier)
        assert not any(command.startswith("AUTH") for command in server.commands)
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        notifier.notify(NOTICE)
    assert [mail.encrypted for mail in server.mails] == [True]


def test_a_password_is_not_sent_in_clear_to_a_server_without_tls() -> None:
    with mail_server() as server:
        message = failure(EmailNotifier(["a@example.org"], f"smtp://me:{SECRET}@127.0.0.1:{server.port}"))
    assert "no STARTTLS" in message
    assert not any(command.startswith("AUTH") for command in server.commands)


def test_a_mail_server_that_is_busy_is_asked_again() -> None:
    with mail_server(greetings=["421 busy", "451 later"]) as server:
        url = f"smtp://127.0.0.1:{server.port}?starttls=off"
        EmailNotifier(["a@example.org"], url, pauses=AT_ONCE).notify(NOTICE)
    assert len(server.mails) == 1


@pytest.mark.parametrize(
    ("url", "words"),
    [
        (f"smtp://me:{SECRET}wrong@127.0.0.1:PORT?starttls=off", "SMTPAuthenticationError 535"),
        (f"smtp://{SECRET}:right@127.0.0.1:1?starttls=off", "ConnectionRefusedError"),
        (f"smtp://me:{SECRET}@{SECRET * 20}?starttls=off", "UnicodeError"),
        (f"smtp://me:a/{SECRET}@127.0.0.1", "ValueError"),
        (f"{SECRET}://127.0.0.1", "KeyError"),
    ],
)
def test_no_error_of_smtplib_gives_a_password_away(url: str, words: str) -> None:
    with mail_server() as server:
        url = url.replace("PORT", str(server.port))
        message = failure(EmailNotifier(["a@example.org"], url, pauses=AT_ONCE))
    assert words in message
    assert "BOOKSEARCH_SMTP_URL" in message


def test_a_recipient_that_is_refused_is_not_passed_over_in_silence() -> None:
    with mail_server(refuses=("b@example.org",)) as server:
        url = f"smtp://127.0.0.1:{server.port}?starttls=off"
        message = failure(EmailNotifier(["a@example.org", "b@example.org"], url, pauses=AT_ONCE))
    assert "SMTPRecipientsRefused" in message
    assert [mail.recipients for mail in server.mails] == [["a@example.org"]]


def test_everyone_is_told_also_after_one_could_not_be(caplog: pytest.LogCaptureFixture) -> None:
    with mail_server() as server, webhook(404) as received:
        resource = NotifierResource(
            webhook=f"{received.url}/{SECRET}",
            recipients=["a@example.org"],
            smtp_url=f"smtp://127.0.0.1:{server.port}?starttls=off",
        )
        with pytest.raises(NotificationError, match="HTTP 404"):
            notify_all(resource.open(logging.getLogger("told")), NOTICE)
    assert NOTICE.text in caplog.text
    assert len(server.mails) == 1
    assert SECRET not in caplog.text


def test_the_log_alone_is_told_by_default() -> None:
    log = logging.getLogger("told")
    assert NotifierResource().open(log) == [LogNotifier(log)]


def test_secrets_are_in_the_environment_and_not_in_the_definitions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BOOKSEARCH_NOTIFY_WEBHOOK", f"http://127.0.0.1:{free_port()}/{SECRET}")
    resource = NotifierResource(webhook=dg.EnvVar("BOOKSEARCH_NOTIFY_WEBHOOK"))
    assert SECRET not in repr(resource) + resource.model_dump_json()
    opened = resource.process_config_and_initialize().open(logging.getLogger("told"))
    assert isinstance(opened[1], WebhookNotifier) and opened[1].url.endswith(SECRET)
