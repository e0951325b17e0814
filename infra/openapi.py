"""The OpenAPI document of what this very service answers: one operation for each method of each route."""

from collections.abc import Mapping, Sequence
from functools import cache
from importlib.metadata import version
from typing import Any

import falcon
import msgspec
from falcon import Request, Response

from commands.schema import Schema
from infra.discovery import VERSIONS
from infra.http import Routes
from infra.openapi_operations import FAULTS, HEADERS, REQUEST_HEADERS, Document, Operation, errors, path_parameters
from infra.openapi_paths import ABOVE, BELOW_A_VERSION, KINDS
from infra.openapi_shown import SHOWN

DOCUMENT = "/openapi"
"""Below the version; like any other URL it may end in `.json`."""

VERSION = "/v2"
_METHODS = ("get", "head", "post", "put", "delete")
_ABOUT = """\
The Octavia API v2. Every path below `/v2/` is also there below `/v2.0/`, those below `/v2/lbaas/` also without `lbaas`.
Numbers and truths are also read from text. `fields` leaves attributes of answers away. Errors of the URL itself have
another shape than those of what was asked."""


class OpenApi:
    """Answers the GET of the document, which is made when somebody asks for it the first time.

    roots      path -> what answers there
    versioned  prefixes below the version, with their routes; other spellings of the same URLs left out
    """

    def __init__(self, roots: Routes, versioned: Sequence[tuple[str, Routes]]) -> None:
        self._roots = roots
        self._versioned = versioned
        self._encoded = cache(self._encode)

    def on_get(self, req: Request, resp: Response) -> None:
        resp.content_type = falcon.MEDIA_JSON
        resp.data = msgspec.json.encode({"servers": [{"url": req.prefix}], **self._encoded()})

    def _encode(self) -> Mapping[str, msgspec.Raw]:
        document = document_of(self._roots, [*self._versioned, ("", {DOCUMENT: self})])
        return {name: msgspec.Raw(msgspec.json.encode(value)) for name, value in document.items()}


def document_of(roots: Routes, versioned: Sequence[tuple[str, Routes]]) -> Document:
    """Raises KeyError for a method that is served and not described."""
    paths = {path: _described(path, resource, ABOVE[path]) for path, resource in roots.items()}
    for prefix, routes in versioned:
        for route, resource in routes.items():
            path = f"{prefix}{route}"
            paths[f"{VERSION}{path}"] = _described(path, resource, BELOW_A_VERSION[path])
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Tacitus",
            "summary": "Load balancing as a service",
            "description": _ABOUT,
            "version": VERSIONS[-1][0],
            "x-release": version("tacitus"),
        },
        "security": [{"token": []}],
        "paths": {path: operations for path, operations in paths.items() if operations},
        "components": _components(),
    }


def _described(path: str, resource: object, operations: Mapping[str, Operation]) -> Document:
    parameters = path_parameters(path)
    served = [method for method in _METHODS if hasattr(resource, f"on_{method}")]
    return {method: operations[method].described(method, parameters) for method in served}


def _components() -> Document:
    bodies: dict[str, Schema] = {name: schema for kind in KINDS for name, schema in kind.bodies.items()}
    token = {"type": "apiKey", "in": "header", "name": "X-Auth-Token", "description": "Of Keystone"}
    components: dict[str, Any] = {
        "schemas": {**SHOWN, **bodies, **FAULTS},
        "responses": errors(),
        "parameters": REQUEST_HEADERS,
        "headers": HEADERS,
        "securitySchemes": {"token": token},
    }
    return components
