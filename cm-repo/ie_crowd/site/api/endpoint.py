"""Dispatch a request to an operation of the API: token, parameters, body, ETag, errors.

One route for each address, so that a wrong method is told which ones there are.
Own code instead of a framework: it starts within 1 s (0.90-0.98 s; with Litestar 1.20-1.44 s), refuses unknown and
repeated query parameters, and answers HEAD and 304 for every operation.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import re
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any

import anyio
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from ie_crowd.formats import strict
from ie_crowd.site.api.operations import JSON, PREFIX, Call, Operation, read_parameters
from ie_crowd.site.middleware import guard, problem_details, writers
from ie_crowd.site.middleware.problem_details import Problem
from ie_crowd.store import audit, rate_limit, rejected_uploads
from ie_crowd.store.people import accounts

WRONG_TOKENS = (20, 900)  # of one address: so many, in so many seconds; counted in memory, for reading writes nothing
UPLOADS = (240, 3600)  # of one account
EVIDENCE = (2400, 3600)  # files that results rest on, of one account
WORDS = (60, 3600)  # comments, objections and withdrawals of one account
OPEN = {"Access-Control-Allow-Origin": "*", "Access-Control-Expose-Headers": "ETag, Link"}


def routes_of(operations: Iterable[Operation]) -> list[Route]:
    """A route for each address, with its methods."""
    by_path: dict[str, dict[str, Operation]] = {}
    for operation in operations:
        by_path.setdefault(operation.path, {})[operation.method] = operation
    return [
        Route(PREFIX + path, _endpoint(methods), methods=list(methods), name=f"api {path}")
        for path, methods in by_path.items()
    ]


def _endpoint(methods: Mapping[str, Operation]) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        operation = methods["GET" if request.method == "HEAD" else request.method]
        headers = OPEN if operation.method == "GET" else {}
        try:
            response = await _answer(operation, request)
        except Problem as problem:
            response = problem_details.response(problem.status, problem.detail, problem.headers, **problem.more)
        for name, value in headers.items():
            response.headers[name] = value
        if request.method == "HEAD":
            response.body = b""  # the headers stay those of GET
        return response

    return endpoint


async def _answer(operation: Operation, request: Request) -> Response:
    account = None
    if operation.role or operation.viewer:
        account = await run_in_threadpool(_account, operation, request)
    content = b""
    try:
        if operation.role:
            _allowed(operation, account)
        if operation.method != "GET":
            assert account is not None
            await writers.write(request, _not_too_often, operation, request, account)
        values = read_parameters(operation, request)
        content = await _body(operation, request) if operation.body else b""
        call = Call(request, values, account, content, _parsed(operation, content))
        if operation.method != "GET":
            return await writers.write(request, _run, operation, call)
        return await run_in_threadpool(_run, operation, call)
    except Problem as problem:
        if operation.kept and account is not None:
            await writers.write(request, _keep, request, account["name"], problem, content)
        raise


def _keep(request: Request, name: str, problem: Problem, content: bytes) -> None:
    """Note a refusal for reviewers; of a body that came to its end with its hash.

    Of the reason what stands before the first quotation mark: behind it may be what was sent.
    """
    digest = hashlib.sha256(content).hexdigest() if content else ""
    read = len(content) or problem.read
    reason = re.split("['\"]", problem.detail, maxsplit=1)
    told = reason[0] + "…" * (len(reason) > 1)
    rejected_uploads.record(request.app.state.store, name, problem.status, told, read, digest)


def _run(operation: Operation, call: Call) -> Response:
    """The operation's own answer; the store's words for what cannot be become problems."""
    try:
        if operation.method != "GET":
            return operation.run(call)
        if call.account is not None:
            response = operation.run(call)
            response.headers["Cache-Control"] = "private, no-store"
            return response
        tag = operation.etag(call) if operation.etag else f'W/"{audit.revision(call.engine)}-{VERSION}"'
        if _has(call.request.headers.get("if-none-match", ""), tag):
            return Response(status_code=304, headers={"ETag": tag, "Cache-Control": "no-cache"})
        response = operation.run(call)
        response.headers.setdefault("ETag", tag)
        response.headers.setdefault("Cache-Control", "no-cache")
        if operation.viewer:
            response.headers.add_vary_header("Authorization")
        return response
    except PermissionError as error:
        raise _said(403, error) from None
    except LookupError as error:
        raise _said(404, error) from None
    except ValueError as error:  # of a question: what was asked for is not there; of a change: it cannot be made
        raise _said(404 if operation.method == "GET" else 422, error) from None


def _said(status: int, error: Exception) -> Problem:
    """A problem with the store's words. An exception of another class is a mistake of ours, and stays one."""
    if type(error) not in (PermissionError, LookupError, ValueError):
        raise error
    return Problem(status, f"{error}")


try:
    VERSION = hashlib.sha256(importlib.metadata.version("ie-repr").encode()).hexdigest()[:8]
except importlib.metadata.PackageNotFoundError:
    VERSION = "checkout"


def _has(header: str, tag: str) -> bool:
    """Whether If-None-Match names the tag, or any (RFC 9110: weak comparison)."""
    plain = tag.removeprefix("W/")
    return header.strip() == "*" or plain in (one.strip().removeprefix("W/") for one in header.split(","))


# Who asks


def _account(operation: Operation, request: Request) -> dict[str, Any] | None:
    """The account of the token that came along. A wrong one is never as good as none."""
    given = request.headers.get("authorization")
    if given is None:
        return None
    scheme, _, token = given.partition(" ")
    found = accounts.by_token(request.app.state.store, token.strip()) if scheme.lower() == "bearer" else None
    if found is not None:
        return found
    wait = request.app.state.wrong_tokens.wait(guard.client(request.scope))
    if wait:
        raise Problem(429, f"too many wrong tokens; try again in {wait} s", {"Retry-After": str(wait)})
    raise Problem(401, "the token is not, or no longer, good; ask the operator for one", CHALLENGE)


CHALLENGE = {"WWW-Authenticate": 'Bearer realm="ie_crowd"'}


def _allowed(operation: Operation, account: Mapping[str, Any] | None) -> None:
    if account is None:
        raise Problem(401, "this needs a token: send Authorization: Bearer TOKEN", CHALLENGE)
    try:
        accounts.need(account, operation.role)
    except PermissionError as error:
        raise Problem(403, f"{error}") from None


def _not_too_often(operation: Operation, request: Request, account: Mapping[str, Any]) -> None:
    what, (most, seconds) = ("upload", UPLOADS) if operation.kept else ("words", WORDS)
    if operation.body is not None and operation.body.media != JSON:
        what, (most, seconds) = "evidence", EVIDENCE
    wait = rate_limit.allow(request.app.state.store, what, account["name"], most=most, seconds=seconds)
    if wait:
        raise Problem(
            429, f"at most {most} in {seconds // 60} minutes; try again in {wait} s", {"Retry-After": str(wait)}
        )


# What was sent


async def _body(operation: Operation, request: Request) -> bytes:
    """The body, as JSON was announced, while it is no longer than it may be. Raises Problem 408, 413 or 415."""
    assert operation.body is not None
    headers, most = request.headers, operation.body.limits.size
    kind, _, rest = headers.get("content-type", "").partition(";")
    wanted, seconds = operation.body.media, operation.body.seconds
    if kind.strip().lower() != wanted or rest.strip().lower() not in ("", "charset=utf-8", 'charset="utf-8"'):
        raise Problem(415, f"Content-Type: {headers.get('content-type', 'none')[:80]!r}; expected {wanted}")
    if headers.get("content-encoding", "identity").strip().lower() != "identity":
        raise Problem(415, "a body with Content-Encoding is not read; send it plain", {"Accept-Encoding": "identity"})
    length = headers.get("content-length", "")
    if length.isascii() and length.isdecimal() and int(length[:15]) > most:
        raise Problem(413, f"{int(length[:15]):,} bytes; at most {most:,} are read")
    content = bytearray()
    try:
        with anyio.fail_after(seconds):
            async for piece in request.stream():
                content += piece
                if len(content) > most:
                    raise Problem(413, f"more than {most:,} bytes; at most so many are read", read=len(content))
    except TimeoutError:
        raise Problem(408, f"the body did not come within {seconds} s", read=len(content)) from None
    except ClientDisconnect:
        raise Problem(400, "the body ended too early", read=len(content)) from None
    return bytes(content)


def _parsed(operation: Operation, content: bytes) -> Any:
    """The JSON document in the body. Raises Problem 400 for none, 422 for one of another form."""
    if operation.body is None or operation.body.media != JSON:
        return None
    try:
        found = strict.parse_json(content, operation.body.limits, "the body")
    except ValueError as error:
        raise Problem(400, f"{error}") from None
    if operation.body.raw:
        return found
    from jsonschema import Draft202012Validator

    for wrong in Draft202012Validator(operation.body.schema).iter_errors(found):
        where = "/" + "/".join(map(str, wrong.absolute_path))
        raise Problem(422, f"{where[:80]}: {wrong.message[:300]}")
    return found
