"""Where output goes: results to standard output or files, everything else to standard error, nothing by halves."""

from __future__ import annotations

import contextlib
import errno
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NoReturn, TextIO

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from azpreflight.errors import InputError
from azpreflight.model import Problem, Report
from azpreflight.redact import Redactor, plain
from azpreflight.reports.console import render

STDOUT = "-"


def prepare_streams() -> None:
    """Make standard output and error fit for whatever comes: closed ones swallow it, poor encodings escape it."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, _nowhere())
        elif hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def _nowhere() -> TextIO:
    """A stream that swallows everything, open as long as the process lives."""
    return Path(os.devnull).open("w", encoding="utf-8")


def leave(code: int) -> NoReturn:
    """End the process. What Python would still flush to a broken stream is thrown away first."""
    for name in ("stdout", "stderr"):
        try:
            getattr(sys, name).flush()
        except OSError:
            # The exit code has been decided; Python would replace it by its own when it flushes again.
            setattr(sys, name, _nowhere())
    sys.exit(code)


def write_whole(path: Path, content: bytes) -> None:
    """Write a file whole or not at all. What is no regular file, such as a pipe or a device, is written to as it is.

    Raises:
        InputError: it cannot be written.
    """
    try:
        if path.is_symlink():
            path = path.resolve()
        if path.exists() and not path.is_file():
            path.write_bytes(content)
            return
        if path.exists() and not os.access(path, os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        temporary = Path(name)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
            # mkstemp makes files that only the owner reads; a report is as readable as any other file.
            mask = os.umask(0)
            os.umask(mask)
            temporary.chmod(0o666 & ~mask)
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
    except OSError as error:
        message = f"cannot be written: {error.strerror or error}"
        raise InputError(Problem(code="unwritable", message=message, where=str(path))) from error


def require_writable(file: str | None) -> None:
    """Raise `InputError` when a report could not be written to `file`: before a long run, not after it."""
    if file is None or file == STDOUT:
        return
    path = Path(file)
    if path.is_dir():
        raise InputError(Problem(code="unwritable", message="is a folder; name a file", where=file))
    if not path.parent.is_dir():
        message = f"cannot be written: the folder {path.parent} does not exist"
        raise InputError(Problem(code="unwritable", message=message, where=file))


def show(report: Report, *, json_file: str | None, quiet: bool, redact: Redactor) -> None:
    """Write a report where the user wants it: the terminal, and JSON to a file or to standard output."""
    if json_file is not None:
        # Facts were freed of secrets where they came in; masking words of this text would only break it.
        content = report.to_json().encode()
        if json_file == STDOUT:
            sys.stdout.buffer.write(content)
            sys.stdout.buffer.flush()
        else:
            write_whole(Path(json_file), content)
    # With the JSON on standard output, people read on standard error.
    stream = sys.stderr if json_file == STDOUT else sys.stdout
    # A file or a pipe has no width of its own.
    console = Console(file=stream, highlight=False, width=None if stream.isatty() else 110)
    with console.capture() as captured:
        render(report, console, details=not quiet)
    # Tables are filled up with blanks, which nobody wants in a file.
    text = "\n".join(line.rstrip() for line in captured.get().split("\n"))
    stream.write(redact(text))
    stream.flush()


def complain(problems: tuple[Problem, ...], redact: Redactor) -> None:
    """Every mistake in the input, one line each, on standard error."""
    for problem in problems:
        sys.stderr.write(f"error: {redact(plain(str(problem)))}\n")


@contextlib.contextmanager
def progress_bar(total: int, *, wanted: bool) -> Iterator[Callable[[str, bool], None]]:
    """A progress bar on standard error, only when that is a terminal."""
    if not (wanted and sys.stderr.isatty()):
        yield lambda target, done: None
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("reading", total=total)

        def advance(target: str, done: bool) -> None:
            bar.update(task, advance=1 if done else 0, description=f"reading {plain(target)}")

        yield advance
