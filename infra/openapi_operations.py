"""One operation of the API as OpenAPI describes it: what it takes, what it answers, and how it may fail."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from commands.schema import Schema
from infra.idempotency import HEADER as IDEMPOTENCY_KEY
from infra.openapi_shown import TEXT, complete, ref

Document = dict[str, Any]

_NULL: Schema = {"type": "null"}
FAULTS: Mapping[str, Schema] = {
    "Fault": complete(faultcode={"enum": ["Client", "Server"]}, faultstring=TEXT, debuginfo=_NULL),
    "RoutingFault": complete(code={"type": "integer"}, title=TEXT, description=TEXT),
    "Unauthorized": complete(error=complete(code={"type": "integer"}, title=TEXT, message=TEXT)),
    "NetworkFault": complete(NeutronError=complete(type=TEXT, message=TEXT, detail=TEXT)),
}
"""Component -> the shape of an error."""

_EITHER = {"anyOf": [ref("Fault"), ref("RoutingFault")]}
_SHAPES: Mapping[int, Schema] = {
    400: _EITHER,
    401: ref("Unauthorized"),
    404: _EITHER,
    406: ref("RoutingFault"),
}
BEFORE_US = (414, 431)
"""What the HTTP server refuses by itself, in its own shape: URLs and headers that are too long."""
OF_ALL = (406, *BEFORE_US, 500)
_OF_READS = (400, 401, 403, 404, *OF_ALL, 501, 503)
_OF_WRITES = (*_OF_READS, 409, 412, 413, 415, 422)
ERRORS = sorted({*_OF_READS, *_OF_WRITES})

HEADERS: Mapping[str, Document] = {
    "RequestId": {"required": True, "schema": TEXT, "description": "The same stands in the log"},
    "ETag": {"schema": TEXT, "description": "Of the object's settings, for If-Match"},
    "RetryAfter": {"schema": TEXT, "description": "Seconds"},
}
_ON_ALL = {"x-openstack-request-id": {"$ref": "#/components/headers/RequestId"}}


@dataclass(frozen=True)
class Argument:
    """Of the query string.

    many  whether it may be repeated
    """

    name: str
    text: str = ""
    type: str = "string"
    many: bool = False

    @property
    def described(self) -> Document:
        schema: Schema = {"type": self.type}
        schema = {"type": "array", "items": schema} if self.many else schema
        text = {"description": self.text} if self.text else {}
        return {"name": self.name, "in": "query", **text, "schema": schema}


DRY_RUN = Argument("dry_run", "Tell what would happen, and do nothing", "boolean")


@dataclass(frozen=True, kw_only=True)
class Operation:
    """What one method of one URL does.

    answers    status -> the schema of the answer, None for one without a body
    body       None for a method that takes none
    arguments  of the query string
    tagged     whether answers with a body have an entity tag
    open       whether everybody may ask, without a token
    faults     instead of those that all have: status -> schema
    """

    id: str
    summary: str
    answers: Mapping[int, Schema | None]
    body: Schema | None = None
    arguments: Sequence[Argument] = ()
    tagged: bool = False
    open: bool = False
    faults: Mapping[int, Schema] | None = None

    def described(self, method: str, parameters: Sequence[Document]) -> Document:
        """parameters: those of the URL"""
        writes = method in ("post", "put", "delete")
        headers = ["IdempotencyKey"] if writes else []
        headers += ["IfMatch"] if method in ("put", "delete") else []
        referred = [{"$ref": f"#/components/parameters/{name}"} for name in headers]
        found: Document = {
            "operationId": self.id,
            "summary": self.summary,
            "parameters": [*parameters, *(each.described for each in self.arguments), *referred],
            "responses": {**self._answers(), **self._errors(writes=writes)},
        }
        if self.body is not None:
            found["requestBody"] = {"required": True, "content": _json(self.body)}
        return {**found, "security": []} if self.open else found

    def _answers(self) -> Document:
        return {str(status): self._answer(status, schema) for status, schema in self.answers.items()}

    def _answer(self, status: int, schema: Schema | None) -> Document:
        answer: Document = {"description": HTTPStatus(status).phrase, "headers": dict(_ON_ALL)}
        if schema is None:
            return answer
        if self.tagged:
            answer["headers"]["ETag"] = {"$ref": "#/components/headers/ETag"}
        return {**answer, "content": _json(schema)}

    def _errors(self, *, writes: bool) -> Document:
        statuses = OF_ALL if self.open else _OF_WRITES if writes else _OF_READS
        common = {str(each): {"$ref": f"#/components/responses/{name_of(each)}"} for each in sorted(statuses)}
        own = {str(status): _fault(status, schema) for status, schema in (self.faults or {}).items()}
        return {**common, **own}


def name_of(status: int) -> str:
    """Of the component that describes this error."""
    return f"Error{status}"


def errors() -> Document:
    """Component -> the answer."""
    ours = {each: _fault(each, _SHAPES.get(each, ref("Fault"))) for each in ERRORS if each not in BEFORE_US}
    page = {"text/html": {"schema": TEXT}}
    theirs = {each: {"description": HTTPStatus(each).phrase, "content": page} for each in BEFORE_US}
    return {name_of(status): answer for status, answer in {**ours, **theirs}.items()}


def _fault(status: int, schema: Schema) -> Document:
    again = {"Retry-After": {"$ref": "#/components/headers/RetryAfter"}} if status in (409, 503) else {}
    return {"description": HTTPStatus(status).phrase, "headers": {**_ON_ALL, **again}, "content": _json(schema)}


def _json(schema: Schema) -> Document:
    return {"application/json": {"schema": schema}}


def in_header(name: str, text: str, **limits: int) -> Document:
    return {"name": name, "in": "header", "description": text, "schema": {**TEXT, **limits}}


REQUEST_HEADERS: Mapping[str, Document] = {
    "IdempotencyKey": in_header(
        IDEMPOTENCY_KEY,
        "A request that is repeated with the same key is carried out once, and answered alike for a day",
        minLength=1,
        maxLength=255,
    ),
    "IfMatch": in_header("If-Match", "Refuse with a 412 when the object has none of these entity tags"),
}
"""Component -> the header."""


def path_parameters(path: str) -> list[Document]:
    """One for each name in braces: what is no id is found nowhere, and refused for nothing else."""
    names = [part[1:-1] for part in path.split("/") if part.startswith("{")]
    return [{"name": name, "in": "path", "required": True, "schema": TEXT} for name in names]
