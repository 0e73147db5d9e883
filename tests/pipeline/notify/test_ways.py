"""Each way against a real server on loopback: what arrives, and what is said where it does not."""

import hashlib
import hmac
import json
import sys
from datetime import UTC, datetime

import pytest

from maskline.pipeline.notify.message import Message
from maskline.pipeline.notify.ways import SIGNATURE, NotSent, send
from maskline.pipeline.settings.load import load
from maskline.pipeline.settings.notify import MessageKind, NotifySettings
from maskline.transform.errors import InputError
from tests.support import maskline

START = datetime(2026, 11, 27, 3, tzinfo=UTC)


@pytest.fixture
def message(tmp_path):
    return Message.of(tmp_path, MessageKind.BLOCKED, "drift:\nids of op", START, span="7")


def settings(**given):
    return NotifySettings.model_validate(given)


def mail_settings(mail, **given):
    base = {"host": "localhost", "port": mail.port, "sender": "me@example.org", "to": ("you@example.org",)}
    known = {"user": "me", "password": "env:MAIL_PASSWORD", "security": mail.security}
    return settings(mail=base | known | given)


def test_webhook_gets_all_fields_and_a_signature_that_the_receiver_can_check(web, message, monkeypatch):
    monkeypatch.setenv("HOOK_KEY", "k")
    send("webhook", settings(webhook={"url": web.url, "secret": "env:HOOK_KEY"}), message)
    [(headers, body)] = web.got
    expected = hmac.new(b"k", body, hashlib.sha256).hexdigest()
    assert headers[SIGNATURE] == f"sha256={expected}"
    assert headers["Content-Type"] == "application/json"
    sent = json.loads(body)
    assert (sent["kind"], sent["span"], sent["text"]) == (
        "blocked", "7", "maskline blocked: drift: ids of op",
    )  # fmt: skip
    assert sent["id"] == message.id


def test_slack_gets_its_format_at_a_secret_address(web, message, tmp_path):
    (tmp_path / "url").write_text(web.url + "\n")
    hook = {"url": f"file:{tmp_path / 'url'}", "format": "slack"}
    send("webhook", settings(webhook=hook, template="$span is $kind"), message)
    [(headers, body)] = web.got
    assert json.loads(body) == {"text": "7 is blocked"}
    assert headers[SIGNATURE] is None


@pytest.mark.parametrize("status", [302, 404, 500])
def test_webhook_that_does_not_take_it_is_named_without_what_is_secret(web, message, status):
    web.answers = [status]
    with pytest.raises(NotSent, match=rf"^127\.0\.0\.1:\d+ answered {status} ") as refused:
        send("webhook", settings(webhook={"url": web.url}), message)
    assert "SECRET" not in str(refused.value)
    assert len(web.got) == 1


def test_webhook_that_is_down_is_one_line(message):
    with pytest.raises(NotSent, match=r"^127\.0\.0\.1:9 cannot be reached \(.*refused\)$"):
        send("webhook", settings(webhook={"url": "http://127.0.0.1:9/SECRET"}), message)


def test_letter_goes_out_encrypted_and_logged_in(mail, message, monkeypatch):
    monkeypatch.setenv("MAIL_PASSWORD", "s3cret-of-mail")
    send("mail", mail_settings(mail), message)
    [letter] = mail.letters
    assert mail.logins == [(b"me", b"s3cret-of-mail")]
    assert letter["Subject"] == "maskline blocked: drift: ids of op"
    assert (letter["From"], letter["To"]) == ("me@example.org", "you@example.org")
    assert letter["Message-ID"] == f"<{message.id}@maskline>"
    assert "span: 7" in letter.get_payload()


def test_a_server_that_speaks_the_other_kind_of_tls_gets_nothing(mail, message, monkeypatch):
    monkeypatch.setenv("MAIL_PASSWORD", "s3cret-of-mail")
    other = {"starttls": "tls", "tls": "starttls"}[mail.security]
    with pytest.raises(NotSent, match=r"^localhost:\d+: ") as refused:
        send("mail", mail_settings(mail, security=other).model_copy(update={"timeout": 1}), message)
    assert "s3cret" not in str(refused.value)
    assert not mail.letters
    assert not mail.logins


def test_wrong_password_is_refused_and_appears_nowhere(mail, message, monkeypatch):
    monkeypatch.setenv("MAIL_PASSWORD", "wrong-pass")
    with pytest.raises(NotSent, match=r"refused user and password \(535\)") as refused:
        send("mail", mail_settings(mail), message)
    assert "wrong-pass" not in str(refused.value)
    assert not mail.letters


def test_certificate_that_nobody_vouches_for_is_refused(mail, message, monkeypatch):
    monkeypatch.setenv("MAIL_PASSWORD", "s3cret-of-mail")
    monkeypatch.delenv("SSL_CERT_FILE")
    with pytest.raises(NotSent, match="CERTIFICATE_VERIFY_FAILED"):
        send("mail", mail_settings(mail), message)
    assert not mail.letters


def test_command_reads_the_message_and_its_failure_is_said(tmp_path, message):
    out = tmp_path / "out"
    program = (
        f"import sys, os; open({str(out)!r}, 'w').write(os.environ['MASKLINE_EVENT'] + sys.stdin.read())"
    )
    send("command", settings(command=[sys.executable, "-c", program]), message)
    assert out.read_text().startswith('blocked{"id": ')
    with pytest.raises(NotSent, match=r"ended with status 3$"):
        send("command", settings(command=[sys.executable, "-c", "raise SystemExit(3)"]), message)
    with pytest.raises(NotSent, match=r"^/no/program cannot be started \(No such file or directory\)$"):
        send("command", settings(command=["/no/program"]), message)
    with pytest.raises(NotSent, match=r"took longer than notify.timeout \(0.2 s\)"):
        send("command", settings(command=["sleep", "9"], timeout=0.2), message)


def test_secret_that_is_not_there_is_named_by_its_place(web, message, tmp_path):
    for place, words in (
        ("env:NO_SUCH_KEY", "NO_SUCH_KEY is not set"),
        (f"file:{tmp_path}/no", "No such file"),
    ):
        with pytest.raises(NotSent, match=rf"^notify\.webhook\.secret: .*{words}"):
            send("webhook", settings(webhook={"url": web.url, "secret": place}), message)
    assert not web.got


@pytest.mark.parametrize(
    ("option", "words"),
    [
        ("webhook.url=hooks.example.org", "is not a URL"),
        ("webhook.url=ftp://example.org", "is not a URL"),
        ("webhook.url=http://", "is not a URL"),
        ("webhook.url=http://[::1", "is not a URL"),
        ("webhook.url=https://me:PASS@example.org/x", "holds a password"),
        ("webhook.secret=PASS", "env:NAME or file:PATH"),
        ("mail.host=mx", "sender"),
        ("mail={host: mx, sender: a@b, to: [nobody]}", "'nobody' is not an address"),
        (
            "mail={host: mx, sender: a@b, to: [a@b], user: me}",
            "user: is given without password; they go together",
        ),
        ("mail={host: mx, sender: a@b, to: [a@b], user: me, password: PASS}", "env:NAME or file:PATH"),
        ("mail={user: me, password: 'env:P', security: none}", "is encrypted"),
        ("template=$nobody", "$nobody is unknown"),
        ("template=5 $", "a $ stands alone"),
        ("on=[weather]", "weather"),
    ],
)
def test_wrong_settings_are_refused_when_they_are_read(tmp_path, option, words):
    with pytest.raises(InputError, match="notify") as refused:
        load(None, [f"notify.{option}"], root=tmp_path)
    assert words in str(refused.value)
    assert "PASS" not in str(refused.value).replace("env:NAME or file:PATH", "")
    assert "\n" not in str(refused.value)


def test_notify_test_sends_one_message_and_says_what_became_of_it(web, tmp_path):
    options = ("--root", tmp_path / "root", "--set", f"notify.webhook.url={web.url}")
    done = maskline("notify", "--test", *options)
    assert (done.returncode, done.stdout, done.stderr) == (0, "webhook: sent\n", "")
    assert json.loads(web.got[0][1])["kind"] == "test"
    web.answers = [500]
    failed = maskline("notify", "--test", *options)
    assert failed.returncode == 1
    assert failed.stderr.startswith("webhook: not sent: 127.0.0.1:")
    without = maskline("notify", "--test", "--root", tmp_path / "root")
    assert without.returncode == 2
    assert without.stderr.startswith("maskline: notify: no way is set")
