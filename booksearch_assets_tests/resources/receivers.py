"""Loopback receivers of notices: a webhook and a mail server that keep what they were given.

Belongs here: the two protocols, faults and TLS included. Does not: what a notice should say.
"""

from __future__ import annotations

import json
import socket
import socketserver
import ssl
import subprocess
import threading
from base64 import b64decode
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any


@dataclass
class Webhook:
    """A running webhook, and the (path, JSON) of every POST. It answers `statuses` in turn, then 200."""

    url: str = ""
    statuses: list[int] = field(default_factory=list)
    posts: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    types: set[str] = field(default_factory=set)


@contextmanager
def webhook(*statuses: int) -> Iterator[Webhook]:
    received = Webhook(statuses=list(statuses))

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            received.posts.append((self.path, json.loads(body)))
            received.types.add(self.headers["Content-Type"])
            status = received.statuses.pop(0) if received.statuses else 200
            self.send_response(status, self.path)
            if status == 302:
                self.send_header("Location", f"{received.url}/elsewhere")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server, _serving(server):
        received.url = f"http://127.0.0.1:{server.server_port}"
        yield received


@dataclass
class Mail:
    """One message as it came, and who logged in to send it, over TLS or not."""

    sender: str
    recipients: list[str]
    text: str
    account: str
    encrypted: bool


@dataclass
class MailServer:
    """A running mail server. It does not know the recipients that it `refuses`, and turns connections away with
    `greetings` as long as there are any."""

    port: int = 0
    refuses: tuple[str, ...] = ()
    greetings: list[str] = field(default_factory=list)
    certificate: Path | None = None
    from_first_byte: bool = False
    mails: list[Mail] = field(default_factory=list)
    commands: list[str] = field(default_factory=list)


@contextmanager
def mail_server(**options: Any) -> Iterator[MailServer]:
    """RFC 5321 as far as smtplib speaks it: EHLO, STARTTLS (with a certificate), AUTH PLAIN, one message."""
    service = MailServer(**options)

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            # A client that does not trust the certificate leaves in the middle.
            with suppress(OSError):
                _Conversation(service, self.request).hold()

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True

    with Server(("127.0.0.1", 0), Handler) as server, _serving(server):
        service.port = server.server_address[1]
        yield service


class _Conversation:
    """One connection."""

    def __init__(self, service: MailServer, connection: socket.socket) -> None:
        self.service = service
        self.connection, self.lines = connection, connection.makefile("rb")
        self.encrypted = False
        self.mail = Mail("", [], "", "", False)
        if service.from_first_byte:
            self.encrypt()

    def hold(self) -> None:
        greeting = self.service.greetings.pop(0) if self.service.greetings else "220 loopback"
        self.say(greeting)
        while greeting.startswith("220") and (line := self.lines.readline()):
            command = line.decode().strip()
            self.service.commands.append(command)
            self.say(self.answer(command))
            if command == "STARTTLS":
                self.encrypt()
            if command.upper() == "QUIT":
                return

    def answer(self, command: str) -> str:
        verb, mailbox = command.upper(), command.partition("<")[2].partition(">")[0]
        if verb.startswith("EHLO"):
            offers = ["STARTTLS"] if self.service.certificate and not self.encrypted else []
            return "\r\n".join([*(f"250-{offer}" for offer in ["loopback", *offers]), "250 AUTH PLAIN"])
        if verb.startswith("AUTH PLAIN"):
            self.mail.account = b64decode(command.split()[-1]).decode().replace("\0", " ").strip()
            return "235 welcome" if self.mail.account.endswith("right") else f"535 no {self.mail.account}"
        if verb.startswith("MAIL FROM"):
            self.mail.sender = mailbox
        if verb.startswith("RCPT TO"):
            if mailbox in self.service.refuses:
                return f"550 no {mailbox}"
            self.mail.recipients.append(mailbox)
        if verb == "DATA":
            self.say("354 go on")
            text = b"".join(iter(self.lines.readline, b".\r\n")).decode()
            self.service.mails.append(replace(self.mail, text=text, encrypted=self.encrypted))
        return "221 bye" if verb == "QUIT" else "220 go ahead" if verb == "STARTTLS" else "250 ok"

    def say(self, text: str) -> None:
        self.connection.sendall(text.encode() + b"\r\n")

    def encrypt(self) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(str(self.service.certificate))
        self.connection = context.wrap_socket(self.connection, server_side=True)
        self.lines, self.encrypted = self.connection.makefile("rb"), True


@contextmanager
def _serving(server: socketserver.BaseServer) -> Iterator[None]:
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()


def make_certificate(folder: Path) -> Path:
    """A certificate of 127.0.0.1 with its key in one file; it is its own authority."""
    path = folder / "certificate.pem"
    command = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-nodes",
    ]
    command += ["-days", "1", "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run(
        [*command, "-keyout", path, "-out", folder / "public.pem"], check=True, capture_output=True
    )
    path.write_text(path.read_text() + (folder / "public.pem").read_text())
    return path
