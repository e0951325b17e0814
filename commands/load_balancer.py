"""Creating, changing, deleting and failing over load balancers."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Annotated, Any
from uuid import UUID, uuid4

import falcon
from falcon import Request, Response

from commands.accepted import Accepted, saved
from commands.answer import Row, View, changed, created, removed, row_of_changed, row_of_new
from commands.body import Parser, ReadBy, Received
from commands.certificates import Certificates
from commands.deciding import Deciding, require_match
from commands.graph import LISTENER, POOL, Graph, GraphReader
from commands.member import require_vnic_types_allowed
from commands.ports import Aggregates, Catalogue, Choice, Origin, Resolved, VipAllocation, VipRequest
from commands.request import ON_WRITES, caller_of, is_asked_for, new_id, object_of, origin_of, require_no_arguments
from domain.amphora import Amphora
from domain.deployment import NotAllowed
from domain.errors import AddressTaken, ConstraintBroken, DuplicateTag, Invalid
from domain.fields import IpAddress, Length, Name, ProjectId, ProvisioningStatus
from domain.listener import Listener
from domain.load_balancer import LoadBalancer
from domain.load_balancer_events import LoadBalancerSettings, document_of
from domain.member import VnicType
from domain.pool import Pool
from domain.vip import AdditionalVip

_MOST_ADDRESSES_TRIED = 100
_AT_REST = (ProvisioningStatus.ACTIVE,)
_AT_REST_OR_FAILED = (ProvisioningStatus.ACTIVE, ProvisioningStatus.ERROR)
_FAILOVER = "failover was asked for"
_OF_NULL = "amphora"
"""The provider that an explicit null stands for, whatever the default is."""


@dataclass(frozen=True)
class CreateLoadBalancer:
    """What somebody wants.

    provider  as the user named it, None to leave it to the flavor or the deployment
    nulls     what null was said for: of a flavor or zone that is none of them
    """

    load_balancer_id: UUID
    vip: VipRequest
    provider: str | None
    settings: LoadBalancerSettings
    graph: Graph
    flavor_id: UUID | None
    availability_zone: str | None
    origin: Origin
    nulls: Collection[str] = frozenset()


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


@dataclass(frozen=True)
class FailOver:
    """Give a load balancer new amphorae."""

    load_balancer_id: UUID
    origin: Origin


_NO_FLAVOR = "Validation failure: Invalid flavor_id."
_NO_ZONE = "Validation failure: Invalid availability zone."
_GONE = {"load_balancers_flavor": _NO_FLAVOR, "load_balancers_availability_zone": _NO_ZONE}


class LoadBalancerHandler:
    def __init__(self, deciding: Deciding, vips: VipAllocation, catalogue: Catalogue) -> None:
        self._deciding = deciding
        self._aggregates = deciding.aggregates
        self._providers = deciding.providers
        self._vips = vips
        self._catalogue = catalogue

    def create(self, command: CreateLoadBalancer) -> Accepted:
        """An address that was not asked for is chosen again when somebody else was faster; the provider is asked once.

        The order of the checks is the contract's.
        """
        place = self._vips.locate(command.vip)
        flavor, zone = self._chosen(command)
        provider = self._provider(command, flavor)
        self._require_data_fits(provider, flavor, zone)
        vip = replace(_vip_asked_for(command.vip, flavor, zone), provider=provider)
        asked: list[LoadBalancerSettings] = []

        def created() -> Accepted:
            for attempt in range(_MOST_ADDRESSES_TRIED):
                try:
                    load_balancer = self._planned(command, provider, self._vips.allocate(vip, place, attempt))
                    if load_balancer.settings not in asked:
                        self._ask(provider, command.graph, load_balancer.settings)
                        asked.append(load_balancer.settings)
                    return self._saved(command, load_balancer)
                except AddressTaken as error:
                    if vip.names_addresses:
                        raise
                    taken = error
            raise taken

        try:
            return self._deciding.in_turn(command, created)
        except ConstraintBroken as error:  # deleted since it was looked up
            raise Invalid(_GONE[error.constraint]) from error

    def _chosen(self, command: CreateLoadBalancer) -> tuple[Choice | None, Choice | None]:
        """Raises Invalid for what is not there, or not to be had any more."""
        flavor = zone = None
        if "flavor_id" in command.nulls:
            raise Invalid(_NO_FLAVOR)
        if command.flavor_id is not None:
            flavor = self._catalogue.flavor(command.flavor_id)
            if flavor is None:
                raise Invalid(_NO_FLAVOR)
            if not flavor.enabled:
                raise NotAllowed("flavor", command.flavor_id)
        if "availability_zone" in command.nulls:
            raise Invalid(_NO_ZONE)
        if command.availability_zone is not None:
            zone = self._catalogue.availability_zone(command.availability_zone)
            if zone is None:
                raise Invalid(_NO_ZONE)
            if not zone.enabled:
                raise NotAllowed("availability_zone", command.availability_zone)
        return flavor, zone

    def _provider(self, command: CreateLoadBalancer, flavor: Choice | None) -> str:
        if flavor is not None and command.provider not in (None, flavor.provider):
            raise Invalid(f"Flavor '{command.flavor_id}' is not compatible with provider '{command.provider}'")
        provider = command.provider or (flavor.provider if flavor is not None else self._providers.default)
        self._providers.require_enabled(provider)
        return provider

    def _require_data_fits(self, provider: str, flavor: Choice | None, zone: Choice | None) -> None:
        if flavor is not None:
            self._providers.require_flavor_data(provider, flavor.data)
        if zone is not None:
            self._providers.require_zone_data(provider, zone.data)

    def _planned(self, command: CreateLoadBalancer, provider: str, resolved: Resolved) -> LoadBalancer:
        amphora_ids = (uuid4(),) if self._providers.keeps_amphorae(provider) else ()
        qos_policy_id = command.settings.vip_qos_policy_id or resolved.qos_policy_id
        load_balancer = LoadBalancer.create(
            command.load_balancer_id,
            project_id=command.vip.project_id,
            provider=provider,
            vip=resolved.vip,
            settings=replace(command.settings, vip_qos_policy_id=qos_policy_id),
            amphora_ids=amphora_ids,
            flavor_id=command.flavor_id,
            availability_zone=command.availability_zone,
        )
        require_vnic_types_allowed(self._catalogue, command.flavor_id, command.graph.members)
        command.graph.add_to(load_balancer)
        return load_balancer

    def _ask(self, provider: str, graph: Graph, settings: LoadBalancerSettings) -> None:
        self._providers.ask(provider, "loadbalancer_create", settings, *graph.objects)
        for policy, listener in graph.policies:
            self._providers.ask(provider, "l7policy_create", policy, listener)

    def _saved(self, command: CreateLoadBalancer, load_balancer: LoadBalancer) -> Accepted:
        amphorae = [Amphora.request(id, load_balancer_id=load_balancer.id) for id in load_balancer.amphora_ids]
        return saved(self._aggregates, load_balancer, *amphorae, origin=command.origin)

    def change(self, command: ChangeLoadBalancer) -> Accepted:
        if "vip_qos_policy_id" in command.changes:
            self._vips.require_qos_policy(command.changes["vip_qos_policy_id"])
        self._vips.require_security_groups(command.changes.get("vip_sg_ids", ()))

        def decide(load_balancer: LoadBalancer) -> None:
            changed = replace(load_balancer.settings, **command.changes)
            load_balancer.change(changed)
            self._providers.ask(load_balancer.provider, "loadbalancer_update", changed)

        return self._deciding.carry_out(command, decide, of=command.load_balancer_id, states=_AT_REST)

    def delete(self, command: DeleteLoadBalancer) -> Accepted:
        """That it has children is said before anything about its state."""
        if not command.cascade:
            self._aggregates.load_balancer(command.load_balancer_id).require_childless()

        def decide(load_balancer: LoadBalancer) -> None:
            load_balancer.delete(cascade=command.cascade)
            self._providers.ask(load_balancer.provider, "loadbalancer_delete", load_balancer.id)

        return self._deciding.carry_out(command, decide, of=command.load_balancer_id, states=_AT_REST_OR_FAILED)

    def fail_over(self, command: FailOver) -> Accepted:
        """Every amphora is replaced; a provider without amphorae is asked to confirm once more."""

        def failed_over() -> Accepted:
            load_balancer = self._aggregates.load_balancer(command.load_balancer_id)
            require_match(load_balancer, load_balancer.id, command.origin)
            if self._deciding.deployment.strict_immutability:
                load_balancer.require_state(*_AT_REST_OR_FAILED)
            load_balancer.request_failover()
            self._providers.ask(load_balancer.provider, "loadbalancer_failover", load_balancer.id)
            changed = [
                each for id in load_balancer.amphora_ids for each in replaced(self._aggregates, load_balancer, id)
            ]
            return saved(self._aggregates, load_balancer, *changed, origin=command.origin)

        return self._deciding.in_turn(command, failed_over)


def replaced(aggregates: Aggregates, load_balancer: LoadBalancer, amphora_id: UUID) -> Sequence[Amphora]:
    """Puts a new amphora in the place of one that somebody wants replaced; both are still to be saved."""
    replacement_id = uuid4()
    if not load_balancer.replace_amphora(amphora_id, replacement_id, _FAILOVER):
        return []
    lost = aggregates.amphora(amphora_id)
    lost.left_service(_FAILOVER)
    return [lost, Amphora.request(replacement_id, load_balancer_id=load_balancer.id, replaces=amphora_id)]


def _vip_asked_for(vip: VipRequest, flavor: Choice | None, zone: Choice | None) -> VipRequest:
    """With what the flavor and the zone say about it."""
    if flavor is not None and flavor.data.get("sriov_vip"):
        vip = replace(vip, vnic_type=VnicType.DIRECT)
    networks = None if zone is None else zone.data.get("valid_vip_networks")
    if isinstance(networks, list):
        vip = replace(vip, valid_networks=tuple(str(network) for network in networks))
    return vip


_ARGUMENT, _ROOT = "load_balancer", "loadbalancer"
_VIP = {"vip_subnet_id": UUID | None, "vip_port_id": UUID | None, "vip_network_id": UUID | None}
_ADDITIONAL_VIP = Parser(AdditionalVip, without=())
PARSER = Parser(
    LoadBalancerSettings,
    extra={
        **_VIP,
        "vip_address": IpAddress | None,
        "additional_vips": Annotated[list | None, ReadBy(_ADDITIONAL_VIP)],
        "project_id": ProjectId | None,
        "tenant_id": ProjectId | None,
        "provider": Annotated[str | None, Length(64)],
        "flavor_id": UUID | None,
        "availability_zone": Name | None,
        "listeners": Annotated[list | None, ReadBy(LISTENER)],
        "pools": Annotated[list | None, ReadBy(POOL)],
    },
)


class LoadBalancersResource:
    def __init__(
        self, handler: LoadBalancerHandler, view: View, graphs: GraphReader, certificates: Certificates
    ) -> None:
        self._handler = handler
        self._view = view
        self._graphs = graphs
        self._certificates = certificates

    def on_post(self, req: Request, resp: Response) -> None:
        require_no_arguments(req, *ON_WRITES)
        said = object_of(req, _ARGUMENT, _ROOT)
        given = PARSER.given(said)
        _require_readable_below(said)
        command = self._command(said, given, req)
        for thing in command.graph.objects:
            if isinstance(thing, Listener | Pool):
                self._certificates.require(vars(thing), caller_of(req))
        accepted = self._handler.create(command)
        below = self._graphs.shown(accepted, command.graph)
        created(resp, accepted, _ROOT, {**self._view.show(_row_of_new(accepted)), **below})

    def _command(self, said: Received, given: dict[str, Any], req: Request) -> CreateLoadBalancer:
        own = {name: given.pop(name, None) for name in PARSER.extra}
        project_id = own["tenant_id"] or own["project_id"] or caller_of(req).project_id
        if not project_id:
            raise Invalid(
                "Validation failure: Missing project ID in request where one is required. An administrator should"
                " check the keystone settings in the Octavia configuration."
            )
        caller_of(req).require("loadbalancer:post", project_id)
        if "vip_sg_ids" in said.attributes:
            caller_of(req).require("loadbalancer:post:vip_sg_ids", project_id)
        _require_no_tag_twice(said.attributes.get("tags"))
        settings = LoadBalancerSettings(**given)
        id = new_id(req)
        vip = VipRequest(
            load_balancer_id=id,
            project_id=project_id,
            port_id=own["vip_port_id"],
            subnet_id=own["vip_subnet_id"],
            network_id=own["vip_network_id"],
            address=own["vip_address"],
            qos_policy_id=settings.vip_qos_policy_id,
            security_group_ids=settings.vip_sg_ids,
            additional=_additional_vips(said, own["additional_vips"] or ()),
        )
        provider = _OF_NULL if said.attributes.get("provider", "") is None else own["provider"]
        return CreateLoadBalancer(
            id,
            vip,
            provider,
            settings,
            self._graphs.read(said, own["listeners"] or (), own["pools"] or (), partial(new_id, req)),
            own["flavor_id"],
            own["availability_zone"],
            origin_of(req),
            nulls={name for name, value in said.attributes.items() if value is None},
        )


def _additional_vips(said: Received, entries: Sequence[Any]) -> tuple[AdditionalVip, ...]:
    """The port of each is the VIP's, whatever was said."""
    read = [_ADDITIONAL_VIP.given(said.inside("additional_vips", entry)) for entry in entries]
    return tuple(AdditionalVip(subnet_id=each["subnet_id"], ip_address=each.get("ip_address")) for each in read)


def _require_readable_below(said: Received) -> None:
    """Of a pool nothing has to be there yet: what is missing is told in other words, once its name is known."""
    for name, parser in (("additional_vips", _ADDITIONAL_VIP), ("listeners", LISTENER), ("pools", POOL)):
        for entry in said.attributes.get(name) or ():
            parser.require_readable(said.inside(name, entry), partly=parser is POOL)


def _require_no_tag_twice(tags: Sequence[str] | None) -> None:
    """The contract minds repetition here only; everywhere else one of them goes."""
    if tags is not None and len(set(tags)) < len(tags):
        raise DuplicateTag


def _row_of_new(accepted: Accepted) -> Row:
    load_balancer = accepted.load_balancer
    document = document_of(load_balancer)
    return row_of_new(accepted, load_balancer.id, document, listeners=(), pools=())


class LoadBalancerResource:
    def __init__(self, handler: LoadBalancerHandler, view: View) -> None:
        self._handler = handler
        self._view = view

    def on_put(self, req: Request, resp: Response, id: str) -> None:
        require_no_arguments(req, *ON_WRITES)
        said = object_of(req, _ARGUMENT, _ROOT)
        changes = PARSER.changes(said)
        before = self._view.row(id)
        caller_of(req).require("loadbalancer:put", before["project_id"])
        if "vip_sg_ids" in said.attributes:
            caller_of(req).require("loadbalancer:put:vip_sg_ids", before["project_id"])
        accepted = self._handler.change(ChangeLoadBalancer(before["id"], changes, origin_of(req)))
        settings = accepted.load_balancer.settings
        changed(resp, accepted, _ROOT, self._view.show(row_of_changed(before, accepted, before["id"], settings)))

    def on_delete(self, req: Request, resp: Response, id: str) -> None:
        require_no_arguments(req, "cascade", *ON_WRITES)
        row = self._view.row(id)
        caller_of(req).require("loadbalancer:delete", row["project_id"])
        command = DeleteLoadBalancer(row["id"], is_asked_for(req, "cascade"), origin_of(req))
        removed(resp, self._handler.delete(command))


class LoadBalancerFailoverResource:
    def __init__(self, handler: LoadBalancerHandler, view: View) -> None:
        self._handler = handler
        self._view = view

    def on_put(self, req: Request, resp: Response, id: str) -> None:
        """A body means nothing here."""
        require_no_arguments(req, *ON_WRITES)
        row = self._view.row(id)
        caller_of(req).require("loadbalancer:put_failover", row["project_id"])
        removed(resp, self._handler.fail_over(FailOver(row["id"], origin_of(req))), falcon.HTTP_202)
