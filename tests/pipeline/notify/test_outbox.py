"""The queue: nothing is lost, nothing is sent twice, and nobody is flooded."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from maskline.pipeline.notify import outbox
from maskline.pipeline.notify.message import Message
from maskline.pipeline.schedule.alone import alone
from maskline.pipeline.settings.notify import MessageKind, NotifySettings

START = datetime(2026, 11, 27, 3, tzinfo=UTC)


class Post:
    def __init__(self, root, web):
        self.root, self.web, self.said = root, web, []
        self.options = {"webhook": {"url": web.url}, "template": "$text"}

    @property
    def settings(self):
        return NotifySettings.model_validate(self.options)

    def put(self, text, kind=MessageKind.FAILED, after=timedelta()):
        outbox.put(self.root, self.settings, Message.of(self.root, kind, text, START + after))

    def deliver(self, after=timedelta()):
        outbox.deliver(self.root, self.settings, START + after, self.said.append)
        return [json.loads(body)["text"] for _, body in self.web.got]


@pytest.fixture
def post(tmp_path, web):
    return Post(tmp_path, web)


def test_messages_go_out_in_order_and_once(post):
    post.put("a")
    post.put("b", after=timedelta(seconds=1))
    assert post.deliver(timedelta(seconds=2)) == ["a", "b"]
    assert post.deliver(timedelta(days=1)) == ["a", "b"]
    assert not outbox.waiting(post.root)


def test_what_a_server_does_not_take_is_tried_again_with_growing_distance(post):
    post.put("a")
    post.put("b")
    post.web.answers = [500] * 2
    post.deliver()
    assert len(post.web.got) == 1, "a server that is down is asked once, not for each message"
    assert "answered 500" in post.said[0]
    post.deliver(timedelta(seconds=59))
    assert len(post.web.got) == 1
    post.deliver(timedelta(seconds=60))
    post.deliver(timedelta(seconds=179))
    assert len(post.web.got) == 2
    assert sorted(post.deliver(timedelta(seconds=180))[2:]) == ["a", "b"]
    assert not outbox.waiting(post.root)


def test_week_without_a_server_costs_no_message_and_a_month_is_given_up(post):
    post.put("a")
    post.web.answers = [500] * 8
    for day in range(8):
        post.deliver(timedelta(days=day))
    post.deliver(timedelta(days=8))
    assert len(post.web.got) == 9
    assert not outbox.waiting(post.root)
    post.put("b")
    post.deliver(timedelta(days=15))
    assert post.said[-1] == "message dropped, as notify.give_up_days have passed: b"
    assert len(post.web.got) == 9


def test_other_ways_go_on_where_one_fails_and_none_sends_twice(post, tmp_path):
    out = tmp_path / "out"
    post.options["command"] = ["sh", "-c", f"cat >> {out}"]
    post.put("a")
    post.web.answers = [500]
    post.deliver()
    assert out.read_text().count('"id"') == 1
    post.deliver(timedelta(hours=1))
    assert out.read_text().count('"id"') == 1
    assert len(post.web.got) == 2


def test_no_more_messages_in_an_hour_than_the_settings_say(post):
    post.options["per_hour"] = 2
    for text in "abc":
        post.put(text)
    assert len(post.deliver()) == 2
    assert len(post.deliver(timedelta(minutes=59))) == 2
    assert len(post.deliver(timedelta(minutes=61))) == 3


def test_kind_that_nobody_asked_for_is_not_kept(post):
    post.options["on"] = ["released"]
    post.put("a")
    assert not outbox.waiting(post.root)


def test_beside_another_process_nothing_is_sent_and_half_a_file_is_no_message(post):
    post.put("a")
    with alone(post.root / "schedule/outbox/lock"):
        assert post.deliver() == []
    file = next((post.root / "schedule/outbox").glob("2*.json"))
    file.write_bytes(file.read_bytes()[:20])
    assert post.deliver() == []
    assert not post.said
