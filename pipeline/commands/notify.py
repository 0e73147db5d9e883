"""`maskline notify`: what waits to be sent, and a message to try the ways with."""

from pathlib import Path

import click

from maskline.pipeline.commands.options import config_option, root_option, set_option


@click.command()
@config_option
@root_option
@set_option
@click.option("--test", is_flag=True, help="Send one message by each way of the settings.")
def notify(config_file: Path | None, root: Path | None, overrides: tuple[str, ...], test: bool) -> int:
    """Show the messages that wait to be sent, or send one with --test.

    Scheduled ticks send messages by themselves.
    """
    from datetime import UTC, datetime

    from maskline.pipeline.notify import outbox
    from maskline.pipeline.notify.message import Message
    from maskline.pipeline.notify.ways import NotSent, send
    from maskline.pipeline.settings.load import load
    from maskline.pipeline.settings.notify import MessageKind
    from maskline.transform.errors import InputError
    from maskline.transform.names import Exit

    settings = load(config_file, overrides, root=root)
    if not settings.notify.ways:
        raise InputError("notify: no way is set; set notify.webhook.url, notify.mail.host or notify.command")
    if not test:
        waiting = outbox.waiting(settings.root)
        for entry in waiting:
            message = entry.message
            click.echo(f"{message.time:%Y-%m-%d %H:%M:%S} UTC  {message.kind}: {message.text}")
        click.echo(f"{len(waiting)} messages wait; ways: {', '.join(settings.notify.ways)}")
        return Exit.OK
    text = "this is a test; the schedule sends its messages here"
    message = Message.of(settings.root, MessageKind.TEST, text, datetime.now(UTC))
    status = Exit.OK
    for way in settings.notify.ways:
        try:
            send(way, settings.notify, message)
            click.echo(f"{way}: sent")
        except NotSent as error:
            click.echo(f"{way}: not sent: {error}", err=True)
            status = Exit.ERROR
    return status
