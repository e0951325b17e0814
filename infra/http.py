"""HTTP around the resources: what every request goes through, what each error becomes, and which URL leads where."""

import logging
import re
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any
from uuid import uuid4

import falcon
import msgspec
import psycopg
from falcon import Request, Response
from psycopg_pool import PoolTimeout

from commands.ports import StoreUnavailable
from commands.request import BodyTooLarge, UnknownMediaType
from commands.tracing import serves
from domain.errors import (
    Busy,
    Conflicting,
    Forbidden,
    Invalid,
    NotFound,
    PreconditionFailed,
    ProviderFailed,
    ProviderNotFound,
    ProviderUnsupported,
    Refused,
    UnknownParent,
)
from infra.gates import REQUEST_ID
from infra.idempotency import KeyInUse, KeyUsedOtherwise
from processes.ports import ReleaseTooOld
from projections.listing import MalformedPage

_log = logging.getLogger(__name__)

Routes = Mapping[str, object]
"""Path below a version -> what answers there."""

STATUS_OF: Mapping[type[Exception], HTTPStatus] = {
    Refused: HTTPStatus.BAD_REQUEST,
    Invalid: HTTPStatus.BAD_REQUEST,
    NotFound: HTTPStatus.NOT_FOUND,
    Conflicting: HTTPStatus.CONFLICT,
    Forbidden: HTTPStatus.FORBIDDEN,
    Busy: HTTPStatus.SERVICE_UNAVAILABLE,
    PreconditionFailed: HTTPStatus.PRECONDITION_FAILED,
    ProviderUnsupported: HTTPStatus.NOT_IMPLEMENTED,
    ProviderNotFound: HTTPStatus.NOT_IMPLEMENTED,
    ProviderFailed: HTTPStatus.INTERNAL_SERVER_ERROR,
    UnknownMediaType: HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    KeyUsedOtherwise: HTTPStatus.UNPROCESSABLE_ENTITY,
    BodyTooLarge: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
}
"""What is wrong with a request: the status of its answer. A class stands for its subclasses, the nearest counts."""

ANSWERED_AS_ROUTING: Mapping[type[Exception], HTTPStatus] = {
    UnknownParent: HTTPStatus.NOT_FOUND,
    MalformedPage: HTTPStatus.BAD_REQUEST,
}
"""Errors that the contract answers in the shape of an unknown route."""

UNAVAILABLE = (StoreUnavailable, ReleaseTooOld, PoolTimeout, psycopg.OperationalError, psycopg.InterfaceError)
RETRY_AFTER_SECONDS = "1"
HEALTHCHECK = "/healthcheck"
_OF_OTHER_MEDIA = frozenset({HEALTHCHECK, "/v2/events", "/v2.0/events"})
_READS = frozenset({"GET", "HEAD", "OPTIONS"})

_GLOBAL_ID = re.compile(r"req-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)


class EveryRequest:
    """Gives each request an id, and takes the two things off it that mean nothing: a suffix, and other media types."""

    def process_request(self, req: Request, resp: Response) -> None:
        req.context.request_id = request_id = req.env.get(REQUEST_ID) or f"req-{uuid4()}"
        serves(request_id)
        resp.set_header("x-openstack-request-id", request_id)
        if req.path.endswith(".json"):
            req.path = req.path[:-5]
        elif req.path.startswith("//"):  # Falcon's router would overlook it
            raise falcon.HTTPRouteNotFound
        accept = req.env.get("HTTP_ACCEPT")
        if accept and accept not in ("*/*", "application/json") and not req.client_accepts(falcon.MEDIA_JSON):
            if req.path in _OF_OTHER_MEDIA:
                return
            raise falcon.HTTPNotAcceptable(description="Only content type application/json is accepted.")

    def process_response(self, req: Request, resp: Response, resource: object, req_succeeded: bool) -> None:
        """A line for each write; reads are counted only."""
        if req.method not in _READS:
            _log.info("%s %s: %s", req.method, req.path, resp.status)


class BodyLimit:
    """Says to whoever reads a body how many bytes it may have."""

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes

    def process_request(self, req: Request, resp: Response) -> None:
        req.context.most_bytes = self._most_bytes


class Joined:
    """The read side and the write side of one URL: a second `add_route` would replace the first."""

    def __init__(self, *sides: object) -> None:
        for side in sides:
            for name in dir(side):
                if name.startswith("on_"):
                    setattr(self, name, getattr(side, name))


def application(
    middleware: Sequence[Any], roots: Routes, versioned: Sequence[tuple[str, Routes]]
) -> "falcon.App[Any, Any]":
    """The WSGI application.

    middleware what every request goes through once it has an id
    roots      path -> what answers there
    versioned  prefixes below both spellings of the version, with their routes
    """
    app: falcon.App[Any, Any] = falcon.App(middleware=(EveryRequest(), *middleware))
    app.req_options.strip_url_path_trailing_slash = True
    app.resp_options.default_media_type = None  # type: ignore[assignment]  # what has no body has no type
    app.set_error_serializer(_answer_as_routing)
    for error in STATUS_OF:
        app.add_error_handler(error, _on_refused)
    for error in ANSWERED_AS_ROUTING:
        app.add_error_handler(error, _on_refused_as_routing)
    app.add_error_handler(UNAVAILABLE, _on_unavailable)
    app.add_error_handler(KeyInUse, _on_key_in_use)
    app.add_error_handler(Exception, _on_unknown)
    for path, resource in roots.items():
        app.add_route(path, resource)
    for prefix, routes in versioned:
        for version in ("/v2", "/v2.0"):
            for path, resource in routes.items():
                app.add_route(f"{version}{prefix}{path}", resource)
    return app


def _status(table: Mapping[type[Exception], HTTPStatus], error: Exception) -> HTTPStatus:
    return next(table[kind] for kind in type(error).__mro__ if kind in table)


def _on_refused(req: Request, resp: Response, error: Exception, params: Any) -> None:
    status = _status(STATUS_OF, error)
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        resp.set_header("Retry-After", RETRY_AFTER_SECONDS)
    _fault(resp, status, str(error))


def _on_refused_as_routing(req: Request, resp: Response, error: Exception, params: Any) -> None:
    _routing_fault(resp, _status(ANSWERED_AS_ROUTING, error), str(error))


def _on_unavailable(req: Request, resp: Response, error: Exception, params: Any) -> None:
    _log.warning("%s: the database is unavailable: %s", _ids_of(req), error)
    resp.set_header("Retry-After", RETRY_AFTER_SECONDS)
    _fault(resp, HTTPStatus.SERVICE_UNAVAILABLE, "The database is unavailable. Please try again.")


def _on_key_in_use(req: Request, resp: Response, error: Exception, params: Any) -> None:
    resp.set_header("Retry-After", RETRY_AFTER_SECONDS)
    _fault(resp, HTTPStatus.CONFLICT, str(error))


def _on_unknown(req: Request, resp: Response, error: Exception, params: Any) -> None:
    """Nothing of the inside reaches the client."""
    _log.error("%s: %s %s", _ids_of(req), req.method, req.path, exc_info=error)
    _fault(resp, HTTPStatus.INTERNAL_SERVER_ERROR, "Something unknown went wrong")


def _ids_of(req: Request) -> str:
    """What a request is called in the log: our id, and the one that it had in the service that sent it."""
    ours = str(req.context.get("request_id", ""))
    theirs = req.env.get("HTTP_X_OPENSTACK_REQUEST_ID", "")
    return f"{ours}, global {theirs}" if _GLOBAL_ID.fullmatch(theirs) else ours


def _fault(resp: Response, status: HTTPStatus, text: str) -> None:
    """The shape of errors from within: clients read `faultstring`."""
    code = "Client" if status < HTTPStatus.INTERNAL_SERVER_ERROR else "Server"
    _send(resp, status, {"faultcode": code, "faultstring": text, "debuginfo": None})


def _routing_fault(resp: Response, status: HTTPStatus, text: str) -> None:
    _send(resp, status, {"code": status.value, "title": status.phrase, "description": text})


def _send(resp: Response, status: HTTPStatus, content: object) -> None:
    resp.status = f"{status.value} {status.phrase}"
    resp.content_type = falcon.MEDIA_JSON
    resp.data = msgspec.json.encode(content)


def _answer_as_routing(req: Request, resp: Response, error: falcon.HTTPError) -> None:
    status = HTTPStatus(error.status_code)
    _routing_fault(resp, status, error.description or "" if status != HTTPStatus.METHOD_NOT_ALLOWED else "")
