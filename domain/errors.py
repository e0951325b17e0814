"""Why a command is refused. Each error builds its own words; what HTTP makes of it is decided in infra/http.py.

Refused
├── NotFound            no such object, or not below the one that was named
│   └── UnknownParent   the object that the URL names above the wanted one
├── Invalid             the request can never be carried out as it is
│   ├── NotAnOption, ProtocolMismatch, ChildrenNotAllowed
│   └── HasChildren
├── Forbidden           the caller may not do this
│   └── QuotaExceeded
├── Busy                nothing is wrong with it; it may be asked again in a moment
│   ├── ProjectBusy         the counted row of a quota was locked for too long
│   └── ConcurrentChange    another writer was faster; the command is decided again
├── ProviderUnsupported, ProviderNotFound, ProviderFailed   what the provider of the load balancer makes of it
├── PreconditionFailed  the object is not what the caller takes it for
└── Conflicting         right in itself, but not in the present state
    ├── Immutable       the object, or one above it, is being deleted, or too many changes wait
    ├── InUse               something else needs the object
    ├── NameTaken
    ├── ConstraintBroken    a rule that spans aggregates, before it has the contract's words
    ├── DuplicateListener, DuplicateMember, DuplicateHealthMonitor, DuplicateTag, DefaultPoolTaken
    └── NotParked           there is nothing to try again or to leave out
"""

from uuid import UUID


class Refused(Exception):
    """A command that was not carried out; nothing was stored."""


class NotFound(Refused):
    def __init__(self, resource: str, id: object) -> None:
        super().__init__(f"{resource} {id} not found.")


class UnknownParent(NotFound):
    """Found before the request is read any further."""


class Invalid(Refused):
    """The words are sent as they are."""


class NotAnOption(Invalid):
    def __init__(self, value: object, option: str) -> None:
        super().__init__(f"{value} is not a valid option for {option}")


class ProtocolMismatch(Invalid):
    def __init__(self, pool: str, listener: str) -> None:
        super().__init__(
            f"Validation failure: The pool protocol '{pool}' is invalid while the listener protocol is '{listener}'."
        )


class ChildrenNotAllowed(Invalid):
    def __init__(self, protocol: str) -> None:
        super().__init__(f"Protocol {protocol} listeners cannot have child objects.")


class HasChildren(Invalid):
    def __init__(self, load_balancer_id: UUID) -> None:
        super().__init__(f"Validation failure: Cannot delete Load Balancer {load_balancer_id} - it has children")


class Forbidden(Refused):
    def __init__(self, words: str = "Policy does not allow this request to be performed.") -> None:
        super().__init__(words)


class QuotaExceeded(Forbidden):
    """resource: the contract's name for what there would be too many of, "Health Monitor" for one."""

    def __init__(self, resource: str) -> None:
        super().__init__(f"Quota has been met for resources: {resource}")


class Busy(Refused):
    """Others are at what the command needs, for longer than it is waited for."""


class ProjectBusy(Busy):
    def __init__(self) -> None:
        super().__init__("Project busy.  Unable to lock the project.  Please try again.")


class ConcurrentChange(Busy):
    """The stream grew since the aggregate was loaded."""

    def __init__(self) -> None:
        super().__init__("Another change was made at the same time; please try again.")


class ProviderUnsupported(Refused):
    """what: "action" or "option"."""

    def __init__(self, provider: str, what: str, message: str) -> None:
        super().__init__(f"Provider '{provider}' does not support a requested {what}: {message}")


class ProviderNotFound(Refused):
    def __init__(self, provider: str) -> None:
        super().__init__(f"Provider '{provider}' was not found.")


class ProviderFailed(Refused):
    def __init__(self, provider: str, message: str) -> None:
        super().__init__(f"Provider '{provider}' reports error: {message}")


class PreconditionFailed(Refused):
    """`If-Match` names another version of the object than there is."""

    def __init__(self, id: object) -> None:
        super().__init__(f"The object {id} is not what If-Match takes it for: it was changed meanwhile.")


class Conflicting(Refused):
    """A conflict with what is there."""


class Immutable(Conflicting):
    def __init__(self, resource: str, id: UUID) -> None:
        super().__init__(f"{resource} {id} is immutable and cannot be updated.")


class InvalidState(Conflicting):
    def __init__(self, status: str, load_balancer_id: UUID) -> None:
        super().__init__(f"Invalid state {status} of loadbalancer resource {load_balancer_id}")


class InUse(Conflicting):
    """The words are sent as they are."""


class NameTaken(Conflicting):
    """what: "flavor", say; of such things names are unique."""

    def __init__(self, what: str, name: str) -> None:
        super().__init__(f"A {what} of {name} already exists.")


class ConstraintBroken(Conflicting):
    """What was decided does not fit the rows of other aggregates; whoever sent the command has words for it.

    constraint  its name in the database
    """

    def __init__(self, constraint: str) -> None:
        super().__init__("Something else was changed at the same time; please try again.")
        self.constraint = constraint


class DuplicateListener(Conflicting):
    def __init__(self, protocol: str, port: int) -> None:
        super().__init__(
            f"Another Listener on this Load Balancer is already using protocol {protocol} and protocol_port {port}"
        )


class DuplicateMember(Conflicting):
    def __init__(self, address: str, port: int) -> None:
        super().__init__(f"Another member on this pool is already using ip {address} on protocol_port {port}")


class DuplicateHealthMonitor(Conflicting):
    def __init__(self) -> None:
        super().__init__("This pool already has a health monitor")


class DuplicateTag(Conflicting):
    def __init__(self) -> None:
        super().__init__("Already an entity with that specified id.")


class DefaultPoolTaken(Conflicting):
    def __init__(self) -> None:
        super().__init__("This listener already has a default pool")


class AddressTaken(Conflicting):
    def __init__(self, address: str) -> None:
        super().__init__(f"The VIP IP address is already in use: {address} belongs to another port of this network.")


class NotParked(Conflicting):
    def __init__(self, stream_id: UUID) -> None:
        super().__init__(f"Nothing of the stream {stream_id} is parked.")
