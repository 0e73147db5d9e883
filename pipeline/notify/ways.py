"""The ways by which a message goes out: a webhook, e-mail, a command. What a way refuses is one line."""

import hashlib
import hmac
import json
import os
import smtplib
import ssl
import subprocess
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from email.message import EmailMessage
from email.utils import format_datetime
from http.client import HTTPException
from typing import Any

from maskline.pipeline.notify import secret
from maskline.pipeline.notify.message import Message
from maskline.pipeline.settings.notify import NotifySettings, is_reference, url_problem, without_secrets
from maskline.transform.errors import InputError

SIGNATURE = "X-Maskline-Signature"


class NotSent(Exception):
    """A way did not take the message; the text says why, in one line and without secrets."""


def send(way: str, settings: NotifySettings, message: Message) -> None:
    """Sends one message by one way.

    Args:
      way: one of `settings.ways`.
      settings: of the notifications.
      message: what to send.

    Raises:
      NotSent: it was not taken.
    """
    try:
        _WAYS[way](settings, message)
    except InputError as error:
        raise NotSent(str(error)) from None


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirected POST would become a GET that sends nothing."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


def _webhook(settings: NotifySettings, message: Message) -> None:
    webhook = settings.webhook
    url = secret.read(webhook.url, "notify.webhook.url") if is_reference(webhook.url) else webhook.url
    if problem := url_problem(url):
        raise NotSent(f"notify.webhook.url: what stands in {webhook.url.split(':')[0]} {problem}")
    text = message.written(settings.template)
    fields = {"text": text} if webhook.format == "slack" else message.model_dump(mode="json") | {"text": text}
    body = json.dumps(fields).encode()
    headers = {"Content-Type": "application/json", "User-Agent": "maskline"}
    if webhook.secret:
        key = secret.read(webhook.secret, "notify.webhook.secret")
        headers[SIGNATURE] = f"sha256={sign(key, body)}"
    request = urllib.request.Request(url, body, headers, method="POST")
    host = without_secrets(url)
    try:
        with urllib.request.build_opener(_NoRedirect).open(request, timeout=settings.timeout) as answer:
            answer.read(1)
    except urllib.error.HTTPError as error:
        error.close()
        raise NotSent(f"{host} answered {error.code} {error.reason}") from None
    except urllib.error.URLError as error:
        raise NotSent(f"{host} cannot be reached ({error.reason})") from None
    except (OSError, HTTPException) as error:
        raise NotSent(f"{host} cannot be reached ({error or type(error).__name__})") from None


def sign(key: str, body: bytes) -> str:
    """The HMAC-SHA256 of a body, 64 hexadecimal digits; see RFC 2104. The receiver computes the same."""
    return hmac.new(key.encode(), body, hashlib.sha256).hexdigest()


def _mail(settings: NotifySettings, message: Message) -> None:
    mail = settings.mail
    letter = EmailMessage()
    text = message.written(settings.template)
    letter["From"], letter["To"] = mail.sender, ", ".join(mail.to)
    letter["Subject"] = " ".join(text.split())[:150]
    letter["Date"] = format_datetime(message.time)
    letter["Message-ID"] = f"<{message.id}@maskline>"  # a receiver drops what it has already
    about = {"span": message.span, "root": message.root, "host": message.host, "time": str(message.time)}
    letter.set_content("\n".join([text, "", *(f"{key}: {value}" for key, value in about.items() if value)]))
    try:
        with _connection(settings) as server:
            if mail.user:
                server.login(mail.user, secret.read(mail.password, "notify.mail.password"))
            server.send_message(letter)
    except smtplib.SMTPAuthenticationError as error:  # its text may hold what was sent
        raise NotSent(f"{mail.host}:{mail.port} refused user and password ({error.smtp_code})") from None
    except smtplib.SMTPRecipientsRefused as error:
        raise NotSent(f"{mail.host}:{mail.port} refused {', '.join(error.recipients)}") from None
    except (OSError, smtplib.SMTPException) as error:
        raise NotSent(f"{mail.host}:{mail.port}: {' '.join(str(error).split())[:200]}") from None


def _connection(settings: NotifySettings) -> smtplib.SMTP:
    """A connection, encrypted where that is asked for; certificates are checked."""
    mail, timeout = settings.mail, settings.timeout
    if mail.security == "tls":
        return smtplib.SMTP_SSL(mail.host, mail.port, timeout=timeout, context=ssl.create_default_context())
    server = smtplib.SMTP(mail.host, mail.port, timeout=timeout)
    if mail.security == "starttls":
        try:
            server.starttls(context=ssl.create_default_context())
        except BaseException:
            server.close()
            raise
    return server


def _command(settings: NotifySettings, message: Message) -> None:
    text = message.written(settings.template)
    body = json.dumps(message.model_dump(mode="json") | {"text": text}).encode()
    environment = os.environ | {"MASKLINE_EVENT": message.kind, "MASKLINE_TEXT": text}
    program = settings.command[0]
    try:
        done = subprocess.run(
            settings.command, input=body, env=environment, timeout=settings.timeout, check=False,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise NotSent(f"{program} took longer than notify.timeout ({settings.timeout:g} s)") from None
    except (OSError, ValueError) as error:
        raise NotSent(f"{program} cannot be started ({getattr(error, 'strerror', error)})") from None
    if done.returncode:
        raise NotSent(f"{program} ended with status {done.returncode}")


_WAYS: Mapping[str, Callable[[NotifySettings, Message], None]] = {
    "webhook": _webhook,
    "mail": _mail,
    "command": _command,
}
