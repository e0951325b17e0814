"""Creating, changing and deleting load balancers."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Annotated, Any
from uuid import UUID, uuid4

from falcon import Request, Response

from commands import not_yet
from commands.accepted import Accepted, saved
from commands.answer import Row, View, answer, created, empty, row_of_changed, row_of_new
from commands.body import Parser, Received
from commands.ports import Aggregates, Origin, VipAllocation, VipRequest
from commands.request import id_in_url, is_asked_for, object_of, origin_of, project_of, require_no_arguments
from commands.retry import retried_on_conflict
from commands.turns import Turns
from domain.amphora import Amphora
from domain.errors import AddressTaken, DuplicateTag, Invalid
from domain.fields import IpAddress, Length
from domain.load_balancer import LoadBalancer, LoadBalancerSettings

_MOST_ADDRESSES_TRIED = 100


@dataclass(frozen=True)
class CreateLoadBalancer:
    load_balancer_id: UUID
    vip: VipRequest
    provider: str
    settings: LoadBalancerSettings
    origin: Origin


@dataclass(frozen=True)
class ChangeLoadBalancer:
    """changes: the new values of those settings that were named."""

    load_balancer_id: UUID
    changes: Mapping[str, Any]
    origin: Origin


@dataclass(frozen=True)
class DeleteLoadBalancer:
    load_balancer_id: UUID
    cascade: bool
    origin: Origin


class LoadBalancerHandler:
    def __init__(self, aggregates: Aggregates, turns: Turns, vips: VipAllocation) -> None:
        self._aggregates = aggregates
        self._turns = turns
        self._vips = vips

    @retried_on_conflict
    def create(self, command: CreateLoadBalancer) -> Accepted:
        """An address that was not asked for is chosen again when somebody else was faster."""
        for attempt in range(_MOST_ADDRESSES_TRIED):
            try:
                return self._created(command, attempt)
            except AddressTaken as error:
                if command.vip.address is not None or command.vip.port_id is not None:
                    raise
                taken = error
        raise taken

    def _created(self, command: CreateLoadBalancer, attempt: int) -> Accepted:
        amphora_id = uuid4()
        load_balancer = LoadBalancer.create(
            command.load_balancer_id,
            project_id=command.vip.project_id,
            provider=command.provider,
            vip=self._vips.resolve(command.vip, attempt),
            settings=command.settings,
            amphora_ids=(amphora_id,),
        )
        amphora = Amphora.request(amphora_id, load_balancer_id=load_balancer.id)
        return saved(self._aggregates, load_balancer, amphora, origin=command.origin)

    @retried_on_conflict
    def change(self, command: ChangeLoadBalancer) -> Accepted:
        load_balancer = self._aggregates.load_balancer(command.load_balancer_id)
        load_balancer.change(replace(load_balancer.settings, **command.changes))
        return saved(self._aggregates, load_balancer, origin=command.origin)

    @retried_on_conflict
    def delete(self, command: DeleteLoadBalancer) -> Accepted:
        load_balancer = self._aggregates.load_balancer(command.load_balancer_id)
        load_balancer.delete(cascade=command.cascade)
        return saved(self._aggregates, load_balancer, origin=command.origin)


_ARGUMENT, _ROOT = "load_balancer", "loadbalancer"
_PROJECT = Annotated[str | None, Length(36)]
_VIP = {"vip_subnet_id": UUID | None, "vip_port_id": UUID | None, "vip_network_id": UUID | None}
PARSER = Parser(
    LoadBalancerSettings,
    extra={
        **_VIP,
        "vip_address": IpAddress | None,
        "project_id": _PROJECT,
        "tenant_id": _PROJECT,
        "provider": Annotated[str | None, Length(64)],
    },
    not_yet=not_yet.LOAD_BALANCER,
)


class LoadBalancersResource:
    """providers: the names that a load balancer may be created with; the first is the default."""

    def __init__(self, handler: LoadBalancerHandler, view: View, providers: tuple[str, ...]) -> None:
        self._handler = handler
        self._view = view
        self._providers = providers

    def on_post(self, req: Request, resp: Response) -> None:
        require_no_arguments(req)
        said = object_of(req, _ARGUMENT, _ROOT)
        _require_sensible(said)
        command = self._command(PARSER.given(said), req)
        created(resp, _ROOT, self._view.show(_row_of_new(self._handler.create(command))))

    def _command(self, given: dict[str, Any], req: Request) -> CreateLoadBalancer:
        own = {name: given.pop(name, None) for name in (*_VIP, "vip_address", "project_id", "tenant_id", "provider")}
        project_id = own["tenant_id"] or own["project_id"] or project_of(req)
        if not project_id:
            raise Invalid(
                "Validation failure: Missing project ID in request where one is required. An administrator should"
                " check the keystone settings in the Octavia configuration."
            )
        if not any(own[name] for name in _VIP):
            raise Invalid("Validation failure: VIP must contain one of: vip_port_id, vip_network_id, vip_subnet_id.")
        provider = own["provider"] or self._providers[0]
        if provider not in self._providers:
            raise Invalid(f"Provider '{provider}' is not enabled.")
        id = uuid4()
        vip = VipRequest(
            load_balancer_id=id,
            project_id=project_id,
            port_id=own["vip_port_id"],
            subnet_id=own["vip_subnet_id"],
            network_id=own["vip_network_id"],
            address=own["vip_address"],
        )
        return CreateLoadBalancer(id, vip, provider, LoadBalancerSettings(**given), origin_of(req))


def _require_sensible(said: Received) -> None:
    """What the contract makes of null and of repetition, here only."""
    attributes = said.attributes
    for name, text in (("flavor_id", "Invalid flavor_id."), ("availability_zone", "Invalid availability zone.")):
        if name in attributes and attributes[name] is None:
            raise Invalid(f"Validation failure: {text}")
    tags = attributes.get("tags")
    if isinstance(tags, list):
        texts = [tag for tag in tags if isinstance(tag, str)]
        if len(set(texts)) < len(texts):
            raise DuplicateTag


def _row_of_new(accepted: Accepted) -> Row:
    load_balancer = accepted.load_balancer
    document = {
        **asdict(load_balancer.settings),
        "vip_address": load_balancer.vip.address,
        "vip_port_id": load_balancer.vip.port_id,
        "vip_subnet_id": load_balancer.vip.subnet_id,
        "vip_network_id": load_balancer.vip.network_id,
        "provider": load_balancer.provider,
    }
    return row_of_new(accepted, load_balancer.id, document, listeners=(), pools=())


class LoadBalancerResource:
    def __init__(self, handler: LoadBalancerHandler, view: View) -> None:
        self._handler = handler
        self._view = view

    def on_put(self, req: Request, resp: Response, id: str) -> None:
        require_no_arguments(req)
        changes = PARSER.changes(object_of(req, _ARGUMENT, _ROOT))
        before = self._view.row(id)
        accepted = self._handler.change(ChangeLoadBalancer(before["id"], changes, origin_of(req)))
        settings = accepted.load_balancer.settings
        answer(resp, {_ROOT: self._view.show(row_of_changed(before, accepted, before["id"], settings))})

    def on_delete(self, req: Request, resp: Response, id: str) -> None:
        require_no_arguments(req, "cascade")
        command = DeleteLoadBalancer(id_in_url("Load Balancer", id), is_asked_for(req, "cascade"), origin_of(req))
        self._handler.delete(command)
        empty(resp)
