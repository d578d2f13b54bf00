"""Start this package's command line: keep the current folder off sys.path, and turn every end into an exit code.

`ie-model` and `ie-crowd`, `python -m PACKAGE` and `python -P FOLDER/__main__.py` (how the recipes start it) all come
here, before anything but sys, os and io is imported, which Python has loaded by itself. A folder of somebody's results
may hold a `yaml.py` or a `random.py`; nothing of it may be imported. With `python -m` Python itself has imported a few
modules before the first line of ours (SECURITY.md lists them), so the console scripts are the entry that is safe.

Exit codes from here: 70 an error that nobody foresaw; 74 the standard output, or a file, could not be written or read;
130 interrupted; 141 nobody reads what is printed. So 1, which is a verdict, is never a crash.

`ie_model/entry.py` and `ie_crowd/entry.py` are the same file: neither package imports the other.
"""

import io
import os
import sys
from _collections_abc import Callable  # what collections.abc is made of

TYPE_CHECKING = False  # as in typing, which is not imported here
if TYPE_CHECKING:
    import argparse

FOLDER = os.path.dirname(os.path.abspath(__file__))  # noqa: PTH100, PTH120 pathlib may be anybody's by now
OWN, PACKAGE = os.path.split(FOLDER)
INTERNAL, LOST, UNREAD = 70, 74, 141
DEBUG = "IE_REPR_DEBUG"


def main(*, by_name: bool = False, by_file: bool = False, module: str = "__main__") -> int:
    """Run the command line and return the exit code. ``by_name``: with `python -m`; ``by_file``: with a file's name."""
    clean_path(by_name=by_name, by_file=by_file)
    return guarded(lambda: _command_line(module), PACKAGE)


def guarded(command: Callable[[], object], program: str) -> int:
    """Run ``command``; the exit code is what it returns, or what became of it. ``program`` is named on stderr."""
    _hold_closed()
    out, err = _Noting(sys.stdout), _Noting(sys.stderr)
    sys.stdout, sys.stderr = out.text(sys.stdout), err.text(sys.stderr)
    try:
        code = _number(command(), program)
    except SystemExit as ended:
        code = _number(ended.code, program)
    except KeyboardInterrupt:
        code = _say(program, "interrupted", 130)
    except MemoryError:
        code = _say(program, "error: out of memory", INTERNAL)
    except OSError as error:
        code = _say(program, f"error: {error.filename or 'a file'}: {error.strerror or error}", LOST, error)
    except Exception as error:
        code = _say(program, f"internal error: {_what(error)}; please report it", INTERNAL, error)
    sys.stdout.flush()
    if out.error is not None and code in (0, 1):
        if isinstance(out.error, BrokenPipeError):  # whoever read has read enough, as `head` does
            return UNREAD  # as for SIGPIPE, which Windows has no name for
        why = out.error.strerror
        code = _say(program, f"error: standard output cannot be written ({why}): what it was to say is lost", LOST)
    sys.stderr.flush()
    return code


def arguments(*words: str) -> list[str]:
    """The argument list that starts this package again as a child, by this interpreter and this copy of the code."""
    return [sys.executable, "-P", os.path.join(FOLDER, "__main__.py"), *words]  # noqa: PTH118


def environment() -> dict[str, str]:
    """This process's environment for a child: an empty part of PYTHONPATH means the current folder, so none is left."""
    made = dict(os.environ)
    parts = list(filter(None, made.pop("PYTHONPATH", "").split(os.pathsep)))
    return {**made, "PYTHONPATH": os.pathsep.join(parts)} if parts else made


def must_reach_reader(text: str) -> None:
    """Print ``text`` to standard output now; ValueError if it could not be written, so that work can be undone."""
    try:
        print(text, flush=True)
        raw = getattr(getattr(sys.stdout, "buffer", None), "raw", None)
        error = raw.error if isinstance(raw, _Noting) else None
    except OSError as caught:
        error = caught
    if error is not None or sys.stdout is None:
        why = (error and error.strerror) or "it is closed"
        raise ValueError(f"standard output cannot be written ({why}), so nothing was done")


def add_completion(parser: "argparse.ArgumentParser") -> None:
    """Give a parser `--print-completion SHELL`, which prints a shell's completion of its commands and flags."""
    import argparse

    class Print(argparse.Action):
        def __call__(
            self, parser: argparse.ArgumentParser, options: object, shell: object, flag: object = None
        ) -> None:
            try:
                import shtab
            except ModuleNotFoundError:
                parser.error("--print-completion needs shtab, which is not installed here; pip install shtab")
            print(shtab.complete(parser, str(shell)))
            parser.exit(0)

    shells = ("bash", "zsh", "tcsh")
    about = "print the completion of this command for a shell (docs/library.md), and end"
    parser.add_argument("--print-completion", action=Print, choices=shells, help=about)


def _command_line(name: str) -> object:
    import importlib
    import importlib.machinery

    module = importlib.import_module(f"{PACKAGE}.{name}")
    # Processes that multiprocessing spawns would run the program's file again; by this name they know better.
    sys.modules["__main__"].__spec__ = importlib.machinery.ModuleSpec(f"{PACKAGE}.__main__", None)
    return module.main()


def clean_path(*, by_name: bool = False, by_file: bool = False) -> None:
    """Take out of sys.path what Python put there because of where the user stands or how this was started."""
    if by_file:  # put there to find this package
        del sys.path[0]
        if not sys.flags.safe_path:  # the folder of the file itself
            del sys.path[0]
    elif by_name and not sys.flags.safe_path:
        del sys.path[0]
    given = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    named = {os.path.abspath(part) for part in given if part}  # noqa: PTH100
    try:
        here = os.getcwd()  # noqa: PTH109
    except OSError:  # it is gone
        here = ""
    if any(given) and "" in given and here not in named and here in sys.path:
        sys.path.remove(here)
    cleaned = environment()
    os.environ.pop("PYTHONPATH", None)
    os.environ.update(cleaned)
    # A checkout that a recipe names goes behind everything: it finds this project's packages, and hides nobody's.
    for folder in (OWN, os.path.dirname(OWN)) if by_file else ():  # noqa: PTH120
        if folder in named and folder in sys.path:
            sys.path.remove(folder)
            sys.path.append(folder)


class _Noting(io.RawIOBase):
    """A standard stream that notes its first error and then swallows what is written, instead of raising."""

    def __init__(self, stream: object) -> None:
        super().__init__()
        buffer = getattr(stream, "buffer", None)
        self._raw = getattr(buffer, "raw", buffer)
        self._stream = stream  # closed with the last reference to it
        self.error: OSError | None = None

    def text(self, stream: object) -> io.TextIOWrapper:
        """A text stream over this one, with the encoding and the buffering of ``stream``."""
        return io.TextIOWrapper(
            io.BufferedWriter(self),
            encoding=getattr(stream, "encoding", "utf-8"),
            errors=getattr(stream, "errors", "backslashreplace"),
            line_buffering=getattr(stream, "line_buffering", False),
            write_through=getattr(stream, "write_through", False),
        )

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        if self._raw is None:
            raise io.UnsupportedOperation("fileno: this stream is closed")
        return int(self._raw.fileno())

    def isatty(self) -> bool:
        return self._raw is not None and bool(self._raw.isatty())

    def write(self, data: object) -> int:
        size = memoryview(data).nbytes  # type: ignore[arg-type]
        if self.error is not None:
            return size
        try:
            if self._raw is None:
                raise OSError(9, "Bad file descriptor")  # as for a stream that was closed before Python began
            while (written := self._raw.write(data)) is None:  # somebody has made it non-blocking, and it is full
                import select

                select.select([], [self._raw], [])
        except OSError as error:
            self.error = error
            return size
        return int(written)


def _hold_closed() -> None:
    """Open standard descriptors that are closed, so that no file of ours gets the number of one and is written over."""
    while (number := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass
    os.close(number)


def _number(code: object, program: str) -> int:
    if code is None:
        return 0
    return code if isinstance(code, int) else _say(program, f"error: {code}", INTERNAL)


def _what(error: BaseException) -> str:
    """Type, text and place of an error, on one line."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    place = f" ({os.path.basename(trace.tb_frame.f_code.co_filename)}:{trace.tb_lineno})" if trace else ""  # noqa: PTH119
    return f"{type(error).__name__}: {str(error)[:300]}{place}"


def _say(program: str, line: str, code: int, error: BaseException | None = None) -> int:
    """Print one line to stderr, and the traceback if it is asked for; returns ``code``."""
    if error is not None and os.environ.get(DEBUG):
        import traceback

        traceback.print_exception(error)
    hint = f". {DEBUG}=1 shows where it happened" if code == INTERNAL and error is not None else ""
    text = " ".join(f"{program}: {line}{hint}".split())
    print("".join(character if character.isprintable() else "?" for character in text), file=sys.stderr)
    return code
