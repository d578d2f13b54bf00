"""The commands of ``ie-crowd`` that make the site: serve and site."""

from __future__ import annotations

import argparse
import gc
import importlib.util
import os
import signal
import socket
import sys
from pathlib import Path
from typing import Any

from ie_crowd.cli.store import _Bar, _command, _open, _say
from ie_crowd.formats import gc_pause

PORT = 8019
MOST_WORKERS = 64
SERVE = """examples:
  ie-crowd serve                                     http://127.0.0.1:8019, for this machine only
  ie-crowd serve --port=8080 --ingest=ie-repr-results
                                                     with the results of this machine taken in first
  ie-crowd serve --base-url=https://example.org/crowd
                                                     behind a web server that speaks TLS (docs/site.md)
  ie-crowd serve --workers=4 --store=postgresql://crowd@db.example.org/crowd
                                                     four processes that serve the same site

Reference results that come along are taken in first. Ctrl-C ends it.
exit status: 0 ended as asked, 2 bad usage"""

SITE = """examples:
  ie-crowd site --out=public                         the site of the user's store
  ie-crowd site --out=public --ingest=cm-repo/experiment --store=/tmp/site.sqlite3
                                                     of a git checkout of results, in a job of a repository

The files lie in --out all at once, in the place of an earlier site. They open from disk, too.
exit status: 0 all pages written, 1 some pages could not be, 2 bad usage"""


def add(commands: Any) -> None:
    """Add the parsers of these commands to ``argparse``'s sub-commands; each sets ``run``."""
    serve = _command(commands, "serve", "serve the site of a store on this machine", SERVE, _serve, json=False)
    serve.add_argument("--port", type=_port, default=PORT, help=f"(default: {PORT}; 0: any free one)")
    serve.add_argument("--host", default="127.0.0.1", help="the address to listen on (default: 127.0.0.1)")
    serve.add_argument("--base-url", default="", metavar="URL", help="the public address, behind another server")
    serve.add_argument(
        "--contact", default="", metavar="WORDS", help="how to reach you, shown where content is reported"
    )
    serve.add_argument("--workers", type=_workers, default=1, metavar="N", help="processes that serve (default: 1)")
    _shared(serve)
    site = _command(commands, "site", "write the site of a store as files, for any web server", SITE, _site, json=False)
    site.add_argument("--out", type=Path, required=True, metavar="DIR", help="a new folder, or an earlier site")
    site.add_argument("--base-url", default="", metavar="URL", help="where the files will be found, for the feed")
    _shared(site)


def _shared(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--ingest", type=Path, action="append", default=[], metavar="DIR", help="take these results in first"
    )
    parser.add_argument(
        "--challenge", type=Path, action="append", default=[], metavar="FOLDER", help="be about this rules.yaml"
    )
    parser.add_argument("--quiet", action="store_true", help="say only what went wrong")


def _port(text: str) -> int:
    if not text.isdecimal() or len(text) > 5 or not 0 <= int(text) <= 65535:
        raise argparse.ArgumentTypeError(f"{text[:20]!r} is not a port; expected 0 to 65535")
    return int(text)


def _workers(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text[:6]) <= MOST_WORKERS:
        raise argparse.ArgumentTypeError(f"{text[:20]!r} is no number of processes; expected 1 to {MOST_WORKERS}")
    return int(text)


def reference() -> Path | None:
    """The reference results that come along: beside the library in a checkout, else in the installed crowd package."""
    from ie_crowd.challenge import load

    return next((home for one in load.homes() if (home := one.parent / "experiment").is_dir()), None)


def folders_of(arguments: argparse.Namespace) -> tuple[Path, ...]:
    """The folders to take results in from: those that come along, then those of --ingest."""
    return tuple(folder for folder in (reference(), *arguments.ingest) if folder is not None)


def take_in(arguments: argparse.Namespace) -> Any:
    """The opened store, with the reference results and those of --ingest in it."""
    engine = _open(arguments, create=True)
    from ie_crowd.evidence import files, folders
    from ie_crowd.store import ingest

    for folder in folders_of(arguments):
        report = ingest.ingest(engine, folder, challenges=arguments.challenge)
        if not arguments.quiet and report.files:
            new = report.published + report.valid
            _say(f"{folder.name}: {report.files:,} results, {new:,} new, {report.quarantined:,} quarantined")
        for path, what in report.remarks[:20]:
            print(f"ie_crowd: {folder.name}/{path}: {what}", file=sys.stderr)
        folders.take(engine, files.of(engine), folder, lambda line: print(f"ie_crowd: {line}", file=sys.stderr))
    return engine


def _settings(arguments: argparse.Namespace) -> Any:
    from ie_crowd.site.settings import Settings

    host = getattr(arguments, "host", "127.0.0.1")
    if host in ("0.0.0.0", "::", "") and not arguments.base_url:  # noqa: S104 looked at, not listened on
        raise ValueError(
            f"--host={host}: listens on every address; say by which one it is asked for with --base-url=URL"
        )
    return Settings(
        hosts=(*Settings.hosts, f"[{host}]" if ":" in host else host),
        store=arguments.store,
        challenges=tuple(arguments.challenge),
        folders=folders_of(arguments),
        base_url=arguments.base_url,
        contact=getattr(arguments, "contact", "")[:200],
    )


def _site(arguments: argparse.Namespace) -> int:
    engine = take_in(arguments)
    try:
        from ie_crowd.site import static_export
    except ModuleNotFoundError as error:
        raise ValueError(f"{error.name} is missing: pip install '.[site]' in a checkout") from None
    with _Bar("pages") as bar:
        try:
            written = static_export.export(engine, arguments.out, _settings(arguments), bar)
        finally:
            engine.dispose()
    for status, path in written.failed:
        print(f"ie_crowd: {path}: no page ({status})", file=sys.stderr)
    if not arguments.quiet:
        print(f"{written.files:,} files, {written.size / 2**20:,.1f} MiB in {arguments.out}")
    return 1 if written.failed else 0


def _serve(arguments: argparse.Namespace) -> int:
    if arguments.workers > 1 and not hasattr(os, "fork"):
        raise ValueError(f"--workers={arguments.workers}: this system cannot fork processes; leave --workers out")
    with gc_pause.rare():
        config, listening, engine = _prepared(arguments)
    gc.freeze()  # all of this stays: no collection looks at it again while somebody waits for a page
    try:
        if arguments.workers > 1:
            _serve_by_several(arguments.workers, config, listening, engine)
        else:
            _server(config).run(sockets=[listening])
    except KeyboardInterrupt:
        pass
    except SystemExit as ended:  # how __main__ ends on SIGTERM, after the last answers are given
        if ended.code != 128 + signal.SIGTERM:
            raise
    finally:
        listening.close()
        engine.dispose()
    return 0


def _serve_by_several(count: int, config: Any, listening: socket.socket, engine: Any) -> None:
    from ie_crowd.site import supervisor

    config.app.middleware_stack = config.app.build_middleware_stack()  # now, so that they count requests together
    engine.dispose()  # no connection is carried into another process

    def serve() -> None:
        engine.dispose(close=False)
        _server(config).run(sockets=[listening])

    supervisor.run(count, serve, listening.close)


def _server(config: Any) -> Any:
    import uvicorn

    return uvicorn.Server(config)


def _prepared(arguments: argparse.Namespace) -> tuple[Any, socket.socket, Any]:
    """How to serve which application, the socket to listen on, and the store: migrated, and with what came along."""
    if importlib.util.find_spec("uvicorn") is None:
        raise ValueError("uvicorn is missing: pip install '.[site]' in a checkout")
    engine = take_in(arguments)
    from ie_crowd.store import database

    database.check_whole(engine)
    from ie_crowd.site.app import create_app
    from ie_crowd.site.middleware import connections

    settings = _settings(arguments)
    app = create_app(settings, engine)
    listening = connections.listen(arguments.host, arguments.port)
    shown = f"[{arguments.host}]" if ":" in arguments.host else arguments.host
    if not arguments.quiet:
        print(f"http://{shown}:{listening.getsockname()[1]}{settings.base_path}/  (Ctrl-C ends it)", flush=True)
    config = connections.config(app, proxies=settings.trusted_proxies if arguments.base_url else ())
    return config, listening, engine
