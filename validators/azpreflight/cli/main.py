"""The commands, and the one place where errors become exit codes."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Any, NoReturn

import click

from azpreflight.cli import options as opt
from azpreflight.cli.catalogue import rules_group
from azpreflight.cli.output import (
    complain,
    leave,
    prepare_streams,
    progress_bar,
    require_writable,
    show,
    write_whole,
)
from azpreflight.credentials import (
    DIRECTORY_PASSWORD_VARIABLE,
    DIRECTORY_USERNAME_VARIABLE,
    USERNAME_VARIABLE,
    Credential,
    password_from_environment,
    read_password_file,
    read_password_stdin,
)
from azpreflight.engine.run import Preflight, tool_info
from azpreflight.errors import InputError
from azpreflight.facts.collection import Collection
from azpreflight.facts.observation import Status
from azpreflight.facts.recording import Recording, require_new_folder
from azpreflight.model import Problem, Report
from azpreflight.redact import Redactor, plain
from azpreflight.site import LoadedSite, load_site

BAD_INPUT = 2
INCONCLUSIVE = 3
INTERRUPTED = 130
SAMPLE = Path(__file__).parents[1] / "sample"


def main() -> NoReturn:
    """Run the command line and leave with its exit code."""
    # A job scheduler's TERM cleans up as Ctrl-C does.
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    prepare_streams()
    try:
        code = cli.main(standalone_mode=False)
        sys.stdout.flush()
    except InputError as error:
        complain(error.problems, Redactor())
        code = BAD_INPUT
    except click.ClickException as error:
        error.show()
        code = BAD_INPUT
    except (click.Abort, KeyboardInterrupt):
        sys.stderr.write("interrupted; no report was written\n")
        code = INTERRUPTED
    except BrokenPipeError:
        # The reader of the pipe has left; there is nobody to tell.
        code = INTERRUPTED
    except OSError as error:
        sys.stderr.write(f"error: the output could not be written: {error.strerror or error}\n")
        code = BAD_INPUT
    leave(code)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(tool_info().version, prog_name="azpreflight")
def cli() -> None:
    """Will this Azure Local or Azure Arc deployment succeed, and if not, what exactly must be fixed?

    azpreflight only reads. Exit codes: 0 ready, 1 not ready, 2 bad input, 3 could not be judged.
    """


cli.add_command(rules_group)


@cli.command()
@opt.judging_options
@opt.output_options
def demo(**values: Any) -> int:
    """Judge the sample that comes along: a two-node site with the mistakes that people really make."""
    values |= {"phase": "pre-deploy", "packs": (), "pack_folders": (), "rules": (), "skip": ()}
    require_writable(values["json_file"])
    recording = Recording(SAMPLE / "recording")
    if values["now"] is None:
        # The sample is judged as of the day it was made, so that it reads the same next year.
        values["now"] = recording.manifest.collected_at
    preflight = Preflight(load_site(SAMPLE / "site.yaml"), opt.options_from(values))
    return _finish(preflight.run_recording(recording), values, Redactor())


@cli.command()
@click.argument("site", type=click.Path(path_type=Path))
@opt.selection_options
@click.option("--json", "json_file", metavar="FILE", help="Write the plan as JSON; '-' is standard output.")
def plan(site: Path, json_file: str | None, **values: Any) -> int:
    """Show what would be judged, and every request that each node would get. Contacts nobody."""
    # Describing requests loads the network libraries, which other commands do without.
    from azpreflight.cli.plan import print_plan

    require_writable(json_file)
    print_plan(Preflight(load_site(site), opt.options_from(values)).plan, json_file)
    return 0


@cli.command()
@click.option("--from-arm", type=click.Path(path_type=Path), metavar="FILE", help="Begin with an ARM parameter file.")
@click.option("-o", "--output", default="site.yaml", show_default=True, metavar="FILE", help="'-' is standard output.")
@click.option("--force", is_flag=True, help="Replace FILE when it exists.")
def init(from_arm: Path | None, output: str, force: bool) -> int:
    """Write a commented site.yaml."""
    from azpreflight.site.template import from_site, template

    loaded = load_site(from_arm) if from_arm is not None else None
    text = from_site(loaded) if loaded is not None else template()
    for problem in loaded.problems if loaded is not None else ():
        sys.stderr.write(f"note: {plain(str(problem))}\n")
    if output == "-":
        click.echo(text, nl=False)
        return 0
    path = Path(output)
    if path.exists() and not force:
        message = "exists already; name another file with -o, or replace it with --force"
        raise InputError(Problem(code="exists", message=message, where=output))
    require_writable(output)
    write_whole(path, text.encode())
    click.echo(f"wrote {output}; fill it in, then: azpreflight run {output} --site-only", err=True)
    return 0


@cli.command()
@click.argument("site", type=click.Path(path_type=Path))
@opt.selection_options
@click.option("--recording", type=click.Path(path_type=Path), metavar="DIR", help="Judge a recording.")
@click.option("--site-only", is_flag=True, help="Only rules that need nothing but the declaration. Contacts nobody.")
@opt.judging_options
@opt.output_options
@opt.connection_options
def run(site: Path, recording: Path | None, site_only: bool, **values: Any) -> int:
    """Judge SITE, a site.yaml or an Azure Local ARM parameter file."""
    if recording is not None and site_only:
        raise opt.refuse_together("--recording", "--site-only", "one judges facts, the other none")
    require_writable(values["json_file"])
    loaded = load_site(site)
    preflight = Preflight(loaded, opt.options_from(values, site_only=site_only))
    if site_only:
        return _finish(preflight.run_site_only(), values, Redactor())
    if recording is not None:
        return _finish(preflight.run_recording(Recording(recording)), values, Redactor())
    credential, directory, redact = _credentials(loaded, preflight, values)
    with progress_bar(_targets(preflight.plan.collection), wanted=not values["no_progress"]) as progress:
        report = preflight.run(credential, progress, directory=directory)
    return _finish(report, values, redact)


@cli.command()
@click.argument("site", type=click.Path(path_type=Path))
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True, metavar="DIR", help="A new folder.")
@click.option(
    "--raw",
    type=click.Path(path_type=Path),
    metavar="RAWDIR",
    help="Keep the answers of the nodes as they come, too, in another new folder; its README.txt says what is in it.",
)
@opt.selection_options
@opt.connection_options
def collect(site: Path, output: Path, raw: Path | None, **values: Any) -> int:
    """Record the facts of SITE into a new folder, and judge nothing."""
    loaded = load_site(site)
    preflight = Preflight(loaded, opt.options_from(values))
    collection = preflight.plan.collection
    require_new_folder(output)
    credential, directory, redact = _credentials(loaded, preflight, values)
    with progress_bar(_targets(collection), wanted=not values["no_progress"]) as progress:
        facts = preflight.collect(credential, output, progress, raw=raw, directory=directory)
    missing = 0
    for target in dict.fromkeys(target for target, _ in facts):
        found = [observation for (owner, _), observation in facts.items() if owner == target]
        absent = [o for o in found if o.status not in (Status.OBSERVED, Status.NOT_PRESENT, Status.NOT_ASKED)]
        missing += len(absent)
        observed = sum(o.status is Status.OBSERVED for o in found)
        click.echo(f"{target}: {observed} of {len(found)} facts observed", err=True)
        for reason in dict.fromkeys(o.reason or "" for o in absent):
            names = ", ".join(o.fact for o in absent if (o.reason or "") == reason)
            click.echo(redact(plain(f"  not observed: {reason} ({names})")), err=True)
    return INCONCLUSIVE if missing else 0


def _targets(collection: Collection) -> int:
    return len(collection.site.nodes) + len({type(query.read) for query in collection.of_site.values()})


def _finish(report: Report, values: dict[str, Any], redact: Redactor) -> int:
    show(report, json_file=values["json_file"], quiet=values["quiet"], redact=redact)
    return report.exit_code


def _credentials(
    loaded: LoadedSite, preflight: Preflight, values: dict[str, Any]
) -> tuple[Credential, Credential | None, Redactor]:
    """The credential for nodes, the one for the directory if there is one, and what keeps both out of every text."""
    nodes, directory = _credential(loaded, preflight, values), _directory_credential(loaded, values)
    return nodes, directory, Redactor(nodes.password, directory.password if directory is not None else "")


def _directory_credential(loaded: LoadedSite, values: dict[str, Any]) -> Credential | None:
    """The credential for the directory; None when nobody is named, or the site has none."""
    file: Path | None = values["directory_password_file"]
    if not loaded.site.directory.domain:
        if values["directory_username"] or file is not None:
            message = "is of no use: the site declares no directory.domain"
            raise InputError(Problem(code="no-effect", message=message, where="--directory-username"))
        return None
    username = values["directory_username"] or os.environ.get(DIRECTORY_USERNAME_VARIABLE)
    if not username:
        if file is not None:
            message = f"whose password? give --directory-username, or set {DIRECTORY_USERNAME_VARIABLE}"
            raise InputError(Problem(code="no-credential", message=message, where="--directory-username"))
        return None
    if file is not None:
        return Credential(username, read_password_file(file))
    password = password_from_environment(DIRECTORY_PASSWORD_VARIABLE)
    if password is None:
        if not sys.stdin.isatty():
            message = f"no password: give --directory-password-file, or set {DIRECTORY_PASSWORD_VARIABLE}"
            raise InputError(Problem(code="no-credential", message=message, where="--directory-password-file"))
        password = click.prompt(f"Password of {username} in the directory", hide_input=True, err=True)
    return Credential(username, password)


def _credential(loaded: LoadedSite, preflight: Preflight, values: dict[str, Any]) -> Credential:
    """The credential: what needs no password, or one from a file, standard input, the environment, or the prompt."""
    if values["password_file"] is not None and values["password_stdin"]:
        raise opt.refuse_together("--password-file", "--password-stdin", "there is one password")
    username = values["username"] or os.environ.get(USERNAME_VARIABLE)
    given = values["password_file"] is not None or values["password_stdin"] or password_from_environment() is not None
    if (credential := preflight.passwordless(username, has_password=given)) is not None:
        return credential
    username = username or loaded.site.administrator.name
    if not username:
        message = f"nobody to log on as: give --username, set {USERNAME_VARIABLE}, or declare administrator.name"
        raise InputError(Problem(code="no-credential", message=message, where="--username"))
    if values["password_file"] is not None:
        return Credential(username, read_password_file(values["password_file"]))
    if values["password_stdin"]:
        return Credential(username, read_password_stdin())
    password = password_from_environment()
    if password is None:
        if not sys.stdin.isatty():
            message = "no password: give --password-file or --password-stdin, or set AZPREFLIGHT_PASSWORD"
            raise InputError(Problem(code="no-credential", message=message, where="--password-file"))
        password = click.prompt(f"Password of {username}", hide_input=True, err=True)
    return Credential(username, password)
