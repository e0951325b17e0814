"""Which request of a user the present work goes back to, for logs and for whoever is called outside."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_request_id: ContextVar[str] = ContextVar("request_id", default="")


def request_id() -> str:
    """The id that the API gave the request; empty for what nobody asked for."""
    return _request_id.get()


def serves(request_id: str) -> None:
    """What follows in this thread goes back to this request."""
    _request_id.set(request_id)


@contextmanager
def serving(request_id: str) -> Iterator[None]:
    token = _request_id.set(request_id)
    try:
        yield
    finally:
        _request_id.reset(token)
