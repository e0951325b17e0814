"""What the agent answers when it does not do what it was asked for."""

from typing import Any


class Refused(Exception):
    """The answer to a request that was not carried out: an HTTP status and its JSON body."""

    def __init__(self, status: int, **body: Any) -> None:
        super().__init__(str(body.get("details") or body.get("message")))
        self.status = status
        self.body = body


class InvalidRequest(Refused):
    """The request itself is wrong; sent again it will be refused again."""

    def __init__(self, details: str, **more: Any) -> None:
        super().__init__(400, message="Invalid request", details=details, **more)


class Outdated(Refused):
    """The file was rendered from an older state of the load balancer than the one on disk."""

    def __init__(self, offered: int, held: int) -> None:
        details = f"revision {offered} is older than revision {held}, which this amphora holds"
        super().__init__(409, message="Outdated configuration", details=details, offered=offered, held=held)


class DiskFull(Refused):
    """Nothing was changed."""

    def __init__(self, details: str) -> None:
        super().__init__(507, message="Insufficient storage", details=details)


class HAProxyFault(Refused):
    """HAProxy did not do what it should; to be tried again. `details` are its last words."""

    def __init__(self, message: str, details: str) -> None:
        super().__init__(500, message=message, details=details)


class Busy(Refused):
    """Another call works on the same load balancer; to be tried again."""

    def __init__(self) -> None:
        super().__init__(503, message="Busy", details="another call works on this load balancer")


class NotFound(Refused):
    def __init__(self, message: str) -> None:
        super().__init__(404, message=message)
