"""Amphorae as the control API of the noop profile makes them look, and what is asked of those."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Literal
from uuid import UUID, uuid4

import msgspec
from falcon import Request, Response

from commands.accepted import Accepted
from commands.amphora import AmphoraHandler, ConfigureAmphora, DeleteAmphora, FailOverAmphora
from commands.answer import answer
from commands.control import ControlHandler, Said, read, said_in
from commands.deciding import Deciding
from commands.request import origin_of
from domain.errors import Immutable, Invalid, NotFound
from domain.load_balancer import LoadBalancer

DELETED = "DELETED"
"""A status that hides an amphora."""


class _AmphoraChange(Said, frozen=True):
    op: Literal["create", "update", "delete"]
    id: UUID | None = None
    amphora: dict[str, Any] = msgspec.field(default_factory=dict)


class AmphoraRecord(Said, frozen=True):
    """Everything that the API shows of an amphora; times in ISO 8601."""

    id: UUID | msgspec.UnsetType = msgspec.UNSET
    load_balancer_id: UUID | msgspec.UnsetType | None = msgspec.UNSET
    compute_id: str | msgspec.UnsetType | None = msgspec.UNSET
    lb_network_ip: str | msgspec.UnsetType | None = msgspec.UNSET
    vrrp_ip: str | msgspec.UnsetType | None = msgspec.UNSET
    ha_ip: str | msgspec.UnsetType | None = msgspec.UNSET
    vrrp_port_id: UUID | msgspec.UnsetType | None = msgspec.UNSET
    ha_port_id: UUID | msgspec.UnsetType | None = msgspec.UNSET
    cert_expiration: datetime | msgspec.UnsetType | None = msgspec.UNSET
    cert_busy: bool | msgspec.UnsetType = msgspec.UNSET
    role: Literal["STANDALONE", "MASTER", "BACKUP", None] | msgspec.UnsetType = msgspec.UNSET
    status: (
        Literal[
            "BOOTING",
            "READY",
            "ALLOCATED",
            "PENDING_CREATE",
            "PENDING_DELETE",
            "ERROR",
            "FAILOVER_STOPPED",
            "DELETED",
        ]
        | msgspec.UnsetType
    ) = msgspec.UNSET
    vrrp_interface: str | msgspec.UnsetType | None = msgspec.UNSET
    vrrp_id: int | msgspec.UnsetType | None = msgspec.UNSET
    vrrp_priority: int | msgspec.UnsetType | None = msgspec.UNSET
    cached_zone: str | msgspec.UnsetType | None = msgspec.UNSET
    image_id: str | msgspec.UnsetType | None = msgspec.UNSET
    compute_flavor: str | msgspec.UnsetType | None = msgspec.UNSET
    created_at: datetime | msgspec.UnsetType | None = msgspec.UNSET
    updated_at: datetime | msgspec.UnsetType | None = msgspec.UNSET


_OF_A_NEW_AMPHORA: Mapping[str, Any] = {"status": "ALLOCATED", "cert_busy": False}


class AmphoraRecordsResource:
    def __init__(self, handler: ControlHandler) -> None:
        self._handler = handler

    def on_post(self, req: Request, resp: Response) -> None:
        said = said_in(req, _AmphoraChange)
        document = msgspec.to_builtins(read(said.amphora, AmphoraRecord))
        if said.op == "create":
            document = {**_OF_A_NEW_AMPHORA, "created_at": datetime.now(UTC).isoformat(), **document}
        if said.op == "delete":
            document = {"status": DELETED}
        id = said.id or document.get("id") or (uuid4() if said.op == "create" else None)
        if id is None:
            raise Invalid("Object missing required field `id`")
        amphora_id = UUID(str(id))
        record = {**document, "id": str(amphora_id)}
        self._handler.tell(lambda control: control.report_amphora(amphora_id, record), origin_of(req))
        answer(resp, {"id": amphora_id})


class ReportedAmphorae(AmphoraHandler):
    """Amphorae that look as they were told to: what is asked of one that is nowhere else is done by saying so."""

    def __init__(self, deciding: Deciding, control: ControlHandler) -> None:
        super().__init__(deciding)
        self._control = control

    def fail_over(self, command: FailOverAmphora) -> Accepted | None:
        """Its load balancer is PENDING until the provider confirms it once more. Raises Immutable, NotFound."""
        try:
            return super().fail_over(command)
        except NotFound:
            self._require_told(command.amphora_id)
        return self._deciding.carry_out(command, LoadBalancer.request_failover)

    def configure(self, command: ConfigureAmphora) -> Accepted | None:
        try:
            return super().configure(command)
        except NotFound:
            self._require_told(command.amphora_id)
        return None

    def delete(self, command: DeleteAmphora) -> Accepted | None:
        told = self._control.reported_amphora(command.amphora_id)
        if told is None or "status" not in told:
            return super().delete(command)
        if told["status"] != "ERROR":
            raise Immutable("amphora", command.amphora_id)
        gone = {"status": DELETED}
        self._control.tell(lambda control: control.report_amphora(command.amphora_id, gone), command.origin)
        return None

    def _require_told(self, amphora_id: UUID) -> None:
        """Raises NotFound."""
        if self._control.reported_amphora(amphora_id) is None:
            raise NotFound("Amphora", amphora_id)
