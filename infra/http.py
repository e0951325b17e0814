"""HTTP around the resources: what every request goes through, what each error becomes, and which URL leads where."""

import logging
from collections.abc import Iterable, Mapping, Sequence
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
from domain.errors import (
    Conflicting,
    Forbidden,
    Invalid,
    NotCarriedOut,
    NotFound,
    PreconditionFailed,
    ProviderFailed,
    ProviderNotFound,
    ProviderUnsupported,
    Refused,
    UnknownParent,
)
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
    PreconditionFailed: HTTPStatus.PRECONDITION_FAILED,
    NotCarriedOut: HTTPStatus.NOT_IMPLEMENTED,
    ProviderUnsupported: HTTPStatus.NOT_IMPLEMENTED,
    ProviderNotFound: HTTPStatus.NOT_IMPLEMENTED,
    ProviderFailed: HTTPStatus.INTERNAL_SERVER_ERROR,
    UnknownMediaType: HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    BodyTooLarge: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
}
"""What is wrong with a request: the status of its answer. A class stands for its subclasses, the nearest counts."""

ANSWERED_AS_ROUTING: Mapping[type[Exception], HTTPStatus] = {
    UnknownParent: HTTPStatus.NOT_FOUND,
    MalformedPage: HTTPStatus.BAD_REQUEST,
}
"""Errors that the contract answers in the shape of an unknown route."""

UNAVAILABLE = (StoreUnavailable, PoolTimeout, psycopg.OperationalError, psycopg.InterfaceError)
RETRY_AFTER_SECONDS = "1"


class EveryRequest:
    """Gives each request an id, and takes the two things off it that mean nothing: a suffix, and other media types."""

    def process_request(self, req: Request, resp: Response) -> None:
        req.context.request_id = request_id = f"req-{uuid4()}"
        resp.set_header("x-openstack-request-id", request_id)
        if req.path.endswith(".json"):
            req.path = req.path[:-5]
        elif req.path.startswith("//"):  # Falcon's router would overlook it
            raise falcon.HTTPRouteNotFound
        accept = req.env.get("HTTP_ACCEPT")
        if accept and accept not in ("*/*", "application/json") and not req.client_accepts(falcon.MEDIA_JSON):
            raise falcon.HTTPNotAcceptable(description="Only content type application/json is accepted.")


class Joined:
    """The read side and the write side of one URL: a second `add_route` would replace the first."""

    def __init__(self, *sides: object) -> None:
        for side in sides:
            for name in dir(side):
                if name.startswith("on_"):
                    setattr(self, name, getattr(side, name))


class NotCarriedOutYet:
    """A resource of the contract that this release does not have: its URLs are known, and say so."""

    def __init__(self, title: str, methods: Iterable[str]) -> None:
        self._title = title
        for method in methods:
            setattr(self, f"on_{method.lower()}", self._refuse)

    def _refuse(self, req: Request, resp: Response, **ids: str) -> None:
        raise NotCarriedOut(self._title)


def application(roots: Routes, versioned: Sequence[tuple[str, Routes]]) -> "falcon.App[Any, Any]":
    """The WSGI application.

    roots      path -> what answers there
    versioned  prefixes below both spellings of the version, with their routes
    """
    app = falcon.App(middleware=[EveryRequest()])
    app.req_options.strip_url_path_trailing_slash = True
    app.resp_options.default_media_type = None  # type: ignore[assignment]  # what has no body has no type
    app.set_error_serializer(_answer_as_routing)
    for error in STATUS_OF:
        app.add_error_handler(error, _on_refused)
    for error in ANSWERED_AS_ROUTING:
        app.add_error_handler(error, _on_refused_as_routing)
    app.add_error_handler(UNAVAILABLE, _on_unavailable)
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
    _fault(resp, _status(STATUS_OF, error), str(error))


def _on_refused_as_routing(req: Request, resp: Response, error: Exception, params: Any) -> None:
    _routing_fault(resp, _status(ANSWERED_AS_ROUTING, error), str(error))


def _on_unavailable(req: Request, resp: Response, error: Exception, params: Any) -> None:
    _log.warning("%s: the database is unavailable: %s", req.context.get("request_id", ""), error)
    resp.set_header("Retry-After", RETRY_AFTER_SECONDS)
    _fault(resp, HTTPStatus.SERVICE_UNAVAILABLE, "The database is unavailable. Please try again.")


def _on_unknown(req: Request, resp: Response, error: Exception, params: Any) -> None:
    """Nothing of the inside reaches the client."""
    _log.error("%s: %s %s", req.context.get("request_id", ""), req.method, req.path, exc_info=error)
    _fault(resp, HTTPStatus.INTERNAL_SERVER_ERROR, "Something unknown went wrong")


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
