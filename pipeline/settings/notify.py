"""Settings of notifications: what they report, and by which way. No secret stands here."""

import re
from enum import StrEnum
from string import Template
from typing import Literal, Self
from urllib.parse import urlsplit

from pydantic import model_validator

from maskline.transform.settings import Section, refusal, setting
from maskline.transform.shown import shown

_PLACES = ("env:", "file:")
FIELDS = ("kind", "text", "span", "root", "host", "time")  # what a template may name


class MessageKind(StrEnum):
    """What a message is about."""

    RELEASED = "released"
    NOT_BLESSED = "not_blessed"
    BLOCKED = "blocked"
    FAILED = "failed"
    ROLLED_BACK = "rolled_back"
    STALE = "stale"
    WEAK = "weak"
    PAUSED = "paused"
    SETTINGS = "settings"
    RECOVERED = "recovered"
    TEST = "test"


def is_reference(text: str) -> bool:
    """True for `env:NAME` and `file:PATH`, which name the place of a secret."""
    return any(text.startswith(place) and len(text) > len(place) for place in _PLACES)


def url_problem(url: str) -> str | None:
    """Says why a text is no address of the web, or None."""
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError as error:
        return f"is not a URL ({error})"
    if parts.scheme not in ("http", "https") or not parts.hostname or not url.isprintable() or " " in url:
        return "is not a URL; https://example.org/hook is one"
    if parts.username or parts.password:
        return "holds a password; write env:NAME or file:PATH, and keep the whole URL there"
    return None


def _check_place(key: str, value: str) -> None:
    if value and not is_reference(value):
        raise refusal(key, "a secret stands in the environment or in a file: write env:NAME or file:PATH")


class WebhookSettings(Section):
    """A message as an HTTP POST."""

    url: str = setting(
        "",
        "address, or the place of a secret one: `env:NAME` or `file:PATH`; empty: no webhook",
        max_length=2000,
    )
    format: Literal["json", "slack"] = setting("json", "all fields as JSON, or the text as Slack takes it")
    secret: str = setting(
        "",
        "place of the key that signs the body: `env:NAME` or `file:PATH`; empty: no signature",
        max_length=1000,
    )

    @model_validator(mode="after")
    def _is_address(self) -> Self:
        if self.url and not is_reference(self.url) and (problem := url_problem(self.url)):
            raise refusal("url", f"{shown(without_secrets(self.url))} {problem}")
        _check_place("secret", self.secret)
        return self


class MailSettings(Section):
    """A message by e-mail."""

    host: str = setting("", "the SMTP server; empty: no e-mail", max_length=253)
    port: int = setting(587, "its port", unit="port", ge=1, le=65535)
    security: Literal["starttls", "tls", "none"] = setting("starttls", "how the connection is encrypted")
    user: str = setting("", "whom to log in as; empty: nobody", max_length=320)
    password: str = setting("", "place of the password: `env:NAME` or `file:PATH`", max_length=1000)
    sender: str = setting("", "address of the sender", max_length=320)
    to: tuple[str, ...] = setting((), "addresses of the receivers")

    @model_validator(mode="after")
    def _is_complete(self) -> Self:
        if self.host:
            for key, addresses in (("sender", [self.sender]), ("to", self.to)):
                if not any(addresses):
                    raise refusal("host", f"e-mail needs {key}, too")
                for address in addresses:
                    name, at, domain = address.rpartition("@")
                    if not (name and at and domain) or not address.isprintable() or " " in address:
                        raise refusal(key, f"{shown(address)} is not an address such as me@example.org")
        if bool(self.user) != bool(self.password):
            given, other = ("user", "password") if self.user else ("password", "user")
            raise refusal(given, f"is given without {other}; they go together")
        if self.user and self.security == "none":
            raise refusal("security", "a password is sent only where the connection is encrypted")
        _check_place("password", self.password)
        return self


class NotifySettings(Section):
    """Messages about what became of a schedule."""

    on: tuple[MessageKind, ...] = setting(
        tuple(kind for kind in MessageKind if kind is not MessageKind.TEST), "what messages are sent about"
    )
    webhook: WebhookSettings = WebhookSettings()
    mail: MailSettings = MailSettings()
    command: tuple[str, ...] = setting(
        (), "a program and its arguments; it gets the message as JSON on its standard input"
    )
    template: str = setting(
        "maskline $kind: $text",
        "the text of a message; `$kind`, `$text`, `$span`, `$root`, `$host` and `$time` are filled in",
        min_length=1,
        max_length=10_000,
    )
    timeout: float = setting(10, "one attempt may take so long", unit="seconds", gt=0, le=600)
    per_hour: int = setting(20, "further messages wait for the next hour", unit="messages", ge=1, le=10_000)
    give_up_days: float = setting(
        14, "a message that could not be sent for so long is dropped", unit="days", gt=0, le=3650
    )

    @model_validator(mode="after")
    def _template_is_known(self) -> Self:
        template = Template(self.template)
        unknown = sorted(set(template.get_identifiers()) - set(FIELDS)) if template.is_valid() else []
        if unknown or not template.is_valid():
            found = f"${unknown[0]} is unknown" if unknown else "a $ stands alone; $$ is a dollar sign"
            raise refusal("template", f"{found}; there are {', '.join(f'${name}' for name in FIELDS)}")
        return self

    @property
    def ways(self) -> tuple[str, ...]:
        """The ways by which messages go out."""
        asked = (("webhook", self.webhook.url), ("mail", self.mail.host), ("command", self.command))
        return tuple(name for name, given in asked if given)


def without_secrets(url: str) -> str:
    """The server and port of an address, without what may be secret: path, query and password."""
    return re.split(r"[/?#]", url.partition("://")[2] or url)[0].rpartition("@")[2]
