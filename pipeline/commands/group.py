"""What we add to click: whole descriptions in lists, the command `help`, exit statuses in help."""

import click

from maskline.transform.names import Exit

# The same table is in the README; tests/docs/test_readme.py compares them.
EXIT_STATUSES = {
    Exit.OK: "success: a model was released, or there was nothing new to do",
    Exit.ERROR: "failure for any other reason; the log has the details",
    Exit.BAD_INPUT: "wrong input: one line says what, where, and what to do",
    Exit.BLOCKED: "a gate stopped the run, before training or before release; the summary says why",
    Exit.BUSY: "another process works on the root; try again later",
    Exit.HANGUP: "ended by SIGHUP",
    Exit.INTERRUPTED: "interrupted by Ctrl-C",
    Exit.TERMINATED: "ended by SIGTERM",
}


class Group(click.Group):
    """Lists commands with their whole first sentence, which click cuts off with an ellipsis."""

    def format_commands(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        """Writes the list of commands; long descriptions continue on the next line."""
        shown = [(name, self.get_command(context, name)) for name in self.list_commands(context)]
        rows = [(name, c.get_short_help_str(limit=1000)) for name, c in shown if c and not c.hidden]
        if rows:
            with formatter.section("Commands"):
                formatter.write_dl(rows)


Group.group_class = Group


class WithExitStatuses(click.Command):
    """A command whose help ends with the table of exit statuses."""

    def format_epilog(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        """Writes the table."""
        with formatter.section("Exit status"):
            formatter.write_dl([(str(int(status)), meaning) for status, meaning in EXIT_STATUSES.items()])


@click.command("help")
@click.argument("command", nargs=-1)
@click.pass_context
def help_(context: click.Context, command: tuple[str, ...]) -> None:
    """Show this help, or the help of a command: maskline help data stats."""
    assert context.parent is not None
    found: click.Command = context.parent.command
    parent = context.parent
    for name in command:
        inner = found.get_command(parent, name) if isinstance(found, click.Group) else None
        if inner is None:
            raise click.UsageError(f"No such command '{name}'.", parent)
        parent = click.Context(inner, info_name=name, parent=parent)
        found = inner
    click.echo(found.get_help(parent))
