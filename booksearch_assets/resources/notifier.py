"""Telling people: a notice in the log, at a webhook, by e-mail.

Belongs here: what a notice is and how it is delivered. Does not: what is worth telling (`automation.run_failures`).

The addresses of webhook and mail server hold secrets. What urllib and smtplib raise may quote them, so nothing of
such an error is told but its kind and its number.
"""

from __future__ import annotations

import json
import logging
import smtplib
import ssl
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from email.message import EmailMessage
from http.client import HTTPMessage
from typing import IO, Any, Protocol
from urllib.error import HTTPError, URLError
from urllib.parse import SplitResult, parse_qs, unquote, urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

import dagster as dg
from pydantic import Field

_TIMEOUT_SECONDS = 5.0
# With its time-outs, short enough for the minute that a sensor has.
_PAUSES_SECONDS = (1.0, 3.0)
_SUBMISSION_PORTS = {"smtp": 587, "smtps": 465}


class NotificationError(Exception):
    """A notice did not arrive; the message says by which way and what to check, and holds no secret."""


@dataclass(frozen=True)
class Notice:
    """`subject` is one line, `text` is for people, `details` are JSON values for machines."""

    subject: str
    text: str
    details: Mapping[str, Any] = field(default_factory=dict)


class Notifier(Protocol):
    """One way of telling people."""

    def notify(self, notice: Notice) -> None:
        """Deliver a notice. Raises `NotificationError`."""


@dataclass(frozen=True)
class LogNotifier:
    """Writes notices to a log, as errors."""

    log: logging.Logger

    def notify(self, notice: Notice) -> None:
        self.log.error(notice.text)


@dataclass(frozen=True)
class WebhookNotifier:
    """Posts notices as JSON: `text`, which Slack and Mattermost show, `subject` and `details`."""

    url: str = field(repr=False)
    timeout: float = _TIMEOUT_SECONDS
    pauses: Sequence[float] = _PAUSES_SECONDS

    def notify(self, notice: Notice) -> None:
        body = json.dumps({"text": notice.text, "subject": notice.subject, "details": dict(notice.details)})
        problem = _repeated(lambda: self._post(body.encode()), self.pauses)
        if problem:
            raise NotificationError(
                f"the webhook did not take the notice ({problem}); check BOOKSEARCH_NOTIFY_WEBHOOK"
            )

    def _post(self, body: bytes) -> None:
        request = Request(self.url, body, {"Content-Type": "application/json"}, method="POST")
        with build_opener(_NoRedirects).open(request, timeout=self.timeout):
            pass


@dataclass(frozen=True)
class EmailNotifier:
    """Sends notices as plain text through `smtp://` (with STARTTLS) or `smtps://` (TLS from the first byte).

    The URL is `scheme://[user:password@]host[:port]`; `?starttls=off` is for a relay that has no TLS.
    """

    recipients: Sequence[str]
    url: str = field(repr=False)
    timeout: float = _TIMEOUT_SECONDS
    pauses: Sequence[float] = _PAUSES_SECONDS

    def notify(self, notice: Notice) -> None:
        problem = _repeated(lambda: self._send(notice), self.pauses)
        if problem:
            raise NotificationError(
                f"the mail server did not take the notice ({problem}); check BOOKSEARCH_SMTP_URL and "
                "BOOKSEARCH_NOTIFY_EMAIL"
            )

    def _send(self, notice: Notice) -> None:
        server = urlsplit(self.url)
        user, password = unquote(server.username or ""), unquote(server.password or "")
        message = EmailMessage()
        message["Subject"] = notice.subject
        # Relays refuse a sender they do not know: the account's own address, or one that is theirs anyway.
        message["From"] = user if "@" in user else self.recipients[0]
        message["To"] = ", ".join(self.recipients)
        message.set_content(notice.text)
        with self._connect(server) as connection:
            if user:
                connection.login(user, password)
            refused = connection.send_message(message)
        if refused:
            raise smtplib.SMTPRecipientsRefused(refused)

    def _connect(self, server: SplitResult) -> smtplib.SMTP:
        host, port = server.hostname or "", server.port or _SUBMISSION_PORTS[server.scheme]
        context = ssl.create_default_context()
        if server.scheme == "smtps":
            return smtplib.SMTP_SSL(host, port, timeout=self.timeout, context=context)
        connection = smtplib.SMTP(host, port, timeout=self.timeout)
        if parse_qs(server.query).get("starttls") != ["off"]:
            try:
                connection.starttls(context=context)
            except BaseException:
                connection.close()
                raise
        return connection


class NotifierResource(dg.ConfigurableResource):  # type: ignore[type-arg]
    """Whom to tell. The log is always told, so that a dead address loses nothing."""

    webhook: str = Field(
        default="", description="Address that notices are posted to. Set it with BOOKSEARCH_NOTIFY_WEBHOOK."
    )
    recipients: list[str] = Field(
        default_factory=list,
        description="Whom notices are mailed to. Change them with BOOKSEARCH_NOTIFY_EMAIL.",
    )
    smtp_url: str = Field(
        default="", description="Mail server with its account. Set it with BOOKSEARCH_SMTP_URL."
    )

    def open(self, log: logging.Logger) -> list[Notifier]:
        """The notifiers that are configured, the log first."""
        notifiers: list[Notifier] = [LogNotifier(log)]
        if self.webhook:
            notifiers.append(WebhookNotifier(self.webhook))
        if self.recipients:
            notifiers.append(EmailNotifier(self.recipients, self.smtp_url))
        return notifiers


def notify_all(notifiers: Sequence[Notifier], notice: Notice) -> None:
    """Tell everyone, also after one could not be told. Raises `NotificationError` that names each failure."""
    problems = []
    for notifier in notifiers:
        try:
            notifier.notify(notice)
        except NotificationError as error:
            problems.append(str(error))
    if problems:
        raise NotificationError("; ".join(problems))


def _repeated(deliver: Callable[[], None], pauses: Sequence[float]) -> str | None:
    """Deliver, again after each pause while that may help. What went wrong in the end, or None.

    The error is not raised on: neither its text nor its chain may be seen.
    """
    problem: str | None = None
    for pause in (0.0, *pauses):
        time.sleep(pause)
        try:
            deliver()
            return None
        except Exception as error:  # noqa: BLE001 - whatever it is, it may quote the address
            problem, passing = _described(error)
            if not passing:
                break
    return problem


def _described(error: Exception) -> tuple[str, bool]:
    """What kind of error it is, without a word of its own, and whether it may pass."""
    if isinstance(error, HTTPError):
        error.close()
        return f"HTTP {error.code}", error.code >= 500 or error.code in (408, 429)
    if isinstance(error, URLError) and isinstance(error.reason, Exception):
        return _described(error.reason)
    if isinstance(error, smtplib.SMTPResponseException):
        return f"{type(error).__name__} {error.smtp_code}", error.smtp_code < 500
    if isinstance(error, smtplib.SMTPNotSupportedError):
        return "it offers no STARTTLS or no log-in; ?starttls=off is for a relay without", False
    if isinstance(error, OSError) and not isinstance(error, URLError | smtplib.SMTPException):
        passing = not isinstance(error, ssl.SSLCertVerificationError)
        return f"{type(error).__name__}" + (f" {error.errno}" if error.errno else ""), passing
    return type(error).__name__, isinstance(error, smtplib.SMTPServerDisconnected)


class _NoRedirects(HTTPRedirectHandler):
    """A redirected POST would become a GET that delivers nothing, perhaps to somewhere else."""

    def redirect_request(
        self, req: Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> Any:
        return None
