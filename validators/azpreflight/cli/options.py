"""Options that several commands share, and what they are read into."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from azpreflight.connect import Redirections
from azpreflight.engine.gather import Limits
from azpreflight.engine.plan import Selection
from azpreflight.engine.run import Options
from azpreflight.errors import InputError, nearest
from azpreflight.model import Phase, Problem, Severity
from azpreflight.site.model import Transport

F = TypeVar("F", bound=Callable[..., Any])


class Choice(click.Choice[str]):
    """A choice that names the nearest valid word."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The word, or a usage error."""
        try:
            return super().convert(value, param, ctx)
        except click.BadParameter as error:
            guess = nearest(str(value), self.choices)
            hint = f" Did you mean {guess!r}?" if guess is not None else ""
            raise click.BadParameter(f"{error.message}{hint}", ctx=ctx, param=param) from None


class Moment(click.ParamType[datetime.datetime]):
    """A moment in ISO 8601, with a time zone or in UTC."""

    name = "ISO8601"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime.datetime:
        """The moment in UTC."""
        try:
            moment = datetime.datetime.fromisoformat(value)
        except ValueError:
            self.fail(f"{value!r} is no moment in ISO 8601, such as 2026-11-21T12:00:00Z", param, ctx)
        try:
            return (moment if moment.tzinfo else moment.replace(tzinfo=datetime.UTC)).astimezone(datetime.UTC)
        except OverflowError:
            self.fail(f"{value!r} lies outside the calendar", param, ctx)


def combined(*options: Callable[[F], F]) -> Callable[[F], F]:
    """Several option decorators as one, in the order of the help text."""

    def decorate(command: F) -> F:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


_phases = [phase.value for phase in Phase]

selection_options: Callable[[Any], Any] = combined(
    click.option("--phase", type=Choice(_phases), default=Phase.PRE_DEPLOY.value, show_default=True),
    click.option("--pack", "packs", multiple=True, metavar="NAME", help="Only rules of this pack. Repeatable."),
    click.option(
        "--pack-dir",
        "pack_folders",
        multiple=True,
        metavar="DIR",
        type=click.Path(path_type=Path),
        help="A further pack, by its folder. Repeatable.",
    ),
    click.option(
        "--endpoints",
        type=click.Path(path_type=Path),
        metavar="FILE",
        help="A newer table of endpoints, in place of the one that comes along.",
    ),
    click.option("--rule", "rules", multiple=True, metavar="GLOB", help="Only rules whose id matches. Repeatable."),
    click.option("--skip", multiple=True, metavar="GLOB", help="Leave rules out whose id matches. Repeatable."),
)

judging_options: Callable[[Any], Any] = combined(
    click.option(
        "--fail-on",
        type=Choice([severity.value for severity in Severity]),
        default=Severity.BLOCKER.value,
        show_default=True,
        help="From which severity on a failure makes the site not ready.",
    ),
    click.option("--now", type=Moment(), metavar="ISO8601", help="Judge by this moment instead of the present."),
)

output_options: Callable[[Any], Any] = combined(
    click.option("--json", "json_file", metavar="FILE", help="Write the JSON report; '-' is standard output."),
    click.option("--quiet", is_flag=True, help="Only the verdict and the counts on the terminal."),
)

connection_options: Callable[[Any], Any] = combined(
    click.option(
        "--connect-to",
        "connect_to",
        multiple=True,
        metavar="DECLARED=HOST[:PORT]",
        help="Reach a declared node or DNS server there instead. Repeatable.",
    ),
    click.option("--jobs", type=click.IntRange(1, 256), default=Limits.jobs, show_default=True, help="Nodes at once."),
    click.option(
        "--node-timeout",
        type=click.FloatRange(1, 7200),
        default=Limits.node_seconds,
        show_default=True,
        metavar="SECONDS",
        help="For all questions to one node.",
    ),
    click.option("--username", help="The account to log on to nodes with; the site's administrator by default."),
    click.option("--password-file", type=click.Path(path_type=Path), metavar="F", help="Password: first line of F."),
    click.option("--password-stdin", is_flag=True, help="Password: first line of standard input."),
    click.option("--transport", type=Choice([way.value for way in Transport]), help="How to authenticate."),
    click.option("--try-all-nodes", is_flag=True, help="Go on after a node has rejected the credential."),
    click.option("--no-progress", is_flag=True, help="No progress on the terminal."),
)


def options_from(values: dict[str, Any], *, site_only: bool = False) -> Options:
    """The options of a run from the values of a command.

    Raises:
        InputError: one is malformed.
    """
    transport = values.get("transport")
    return Options(
        selection=Selection(Phase(values["phase"]), values["rules"], values["skip"], site_only),
        packs=values["packs"],
        pack_folders=values["pack_folders"],
        fail_on=Severity(values.get("fail_on", Severity.BLOCKER.value)),
        now=values.get("now"),
        redirections=Redirections(values.get("connect_to", ())),
        limits=Limits(
            jobs=values.get("jobs", Limits.jobs), node_seconds=values.get("node_timeout", Limits.node_seconds)
        ),
        transport=Transport(transport) if transport else None,
        try_all_nodes=values.get("try_all_nodes", False),
        endpoints=values.get("endpoints"),
    )


def refuse_together(first: str, second: str, reason: str) -> InputError:
    """The error of two options that exclude each other."""
    message = f"{first} and {second} exclude each other: {reason}"
    return InputError(Problem(code="bad-option", message=message, where=first))
