"""What a request that changes something carries besides its URL: a body, query arguments, and where it comes from."""

from typing import Any
from uuid import UUID

import msgspec
from falcon import Request

from commands.body import Received, received
from commands.ports import Origin
from domain.errors import Invalid, NotFound

MOST_BYTES = 114_688
_MOST_BYTES_DRAINED = 32 * 1_024 * 1_024
_LOOSELY_TRUE = frozenset({"true", "1", "yes", "on", "t", "y"})
UNNAMED_PROJECT = "default"


class UnknownMediaType(Exception):
    def __init__(self, media_type: str) -> None:
        super().__init__(f"Unknown mimetype: {media_type}")


class BodyTooLarge(Exception):
    def __init__(self) -> None:
        super().__init__("Request is too large.")


def object_of(request: Request, argument: str, root: str) -> Received:
    """The object that the body wraps under `root`. Raises Invalid in the contract's words."""
    return received(json_of(request, argument), argument, root)


def json_of(request: Request, argument: str) -> Any:
    """The body as JSON. Raises Invalid, UnknownMediaType, BodyTooLarge."""
    raw = _bytes_of(request)
    if not raw:
        raise Invalid(f'Missing argument: "{argument}"')
    _require_json(request.content_type)
    try:
        return msgspec.json.decode(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise Invalid("Request is not in valid JSON format") from None


def _require_json(content_type: str | None) -> None:
    media_type = (content_type or "application/json").partition(";")[0].strip().lower()
    if media_type == "application/x-www-form-urlencoded":
        raise Invalid("Unknown argument: a form instead of JSON")
    if media_type != "application/json":
        raise UnknownMediaType(media_type)


def _bytes_of(request: Request) -> bytes:
    said = request.content_length
    stream = request.bounded_stream if said is not None else request.stream
    if said is None and "chunked" not in request.get_header("Transfer-Encoding", default=""):
        return b""
    raw = stream.read(MOST_BYTES + 1)
    if len(raw) > MOST_BYTES:
        _drain(stream)
        raise BodyTooLarge
    return raw


def _drain(stream: Any) -> None:
    """A client that is still sending when the connection closes sees a reset instead of the answer."""
    read = 0
    while read < _MOST_BYTES_DRAINED and (chunk := stream.read(65_536)):
        read += len(chunk)


def require_no_arguments(request: Request, *known: str) -> None:
    """Raises Invalid for a query argument that means nothing here."""
    for name in request.params if request.query_string else ():
        if name not in known:
            raise Invalid(f'Unknown argument: "{name}"')


def is_asked_for(request: Request, argument: str) -> bool:
    """A query argument's loose boolean: what is not clearly yes is no."""
    said = request.params.get(argument) if request.query_string else None
    return isinstance(said, str) and said.lower() in _LOOSELY_TRUE


def id_in_url(resource: str, text: str) -> UUID:
    """Ids in URLs are never checked for their form: one that is none belongs to nothing."""
    try:
        return UUID(text)
    except ValueError:
        raise NotFound(resource, text) from None


def project_of(request: Request) -> str:
    """The caller's project; empty when there is none.

    The `none` plugin of OpenStack's clients cannot name a project: it sends a token that nobody checks, nothing else.
    """
    named: str = request.get_header("X-Project-Id", default="")
    return named or (UNNAMED_PROJECT if request.get_header("X-Auth-Token") else "")


def origin_of(request: Request) -> Origin:
    return Origin(project_id=project_of(request), request_id=request.context.request_id)
