"""Adding, changing and removing members, one by one or all of a pool at once."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID, uuid4

import falcon
from falcon import Request, Response

from commands.accepted import Accepted
from commands.answer import Row, View, changed, created, removed, row_of_changed, row_of_new, wanted
from commands.body import Parser, Received, invalid_input, unwrapped
from commands.deciding import Deciding
from commands.ports import Catalogue, Origin, Place, Places, VipAllocation
from commands.request import (
    ON_WRITES,
    caller_of,
    id_in_url,
    is_asked_for,
    json_of,
    new_id,
    object_of,
    origin_of,
    require_no_arguments,
)
from domain.errors import Invalid, NotFound, UnknownParent
from domain.fields import OperatingStatus, ProjectId
from domain.load_balancer import LoadBalancer
from domain.load_balancer_events import Batch
from domain.member import Member, VnicType
from domain.progress import Kind


@dataclass(frozen=True)
class AddMember:
    load_balancer_id: UUID
    member: Member
    origin: Origin


@dataclass(frozen=True)
class ChangeMember:
    """changes: the new values of those settings that were named."""

    load_balancer_id: UUID
    pool_id: UUID
    member_id: UUID
    changes: Mapping[str, Any]
    origin: Origin


@dataclass(frozen=True)
class RemoveMember:
    load_balancer_id: UUID
    pool_id: UUID
    member_id: UUID
    origin: Origin


@dataclass(frozen=True)
class ReplaceMembers:
    """What the members of a pool shall be.

    entries   settings of members as they were named, address and port among them
    additive  leave members alone that are not named
    """

    load_balancer_id: UUID
    pool_id: UUID
    entries: Sequence[Mapping[str, Any]]
    additive: bool
    origin: Origin


class MemberHandler:
    def __init__(self, deciding: Deciding, vips: VipAllocation, catalogue: Catalogue) -> None:
        self._deciding = deciding
        self._providers = deciding.providers
        self._deployment = deciding.deployment
        self._vips = vips
        self._catalogue = catalogue

    def add(self, command: AddMember) -> Accepted:
        member = command.member
        self._require_usable(vars(member))

        def decide(load_balancer: LoadBalancer) -> None:
            require_vnic_types_allowed(self._catalogue, load_balancer.flavor_id, [member])
            load_balancer.add_member(member)
            self._providers.ask(load_balancer.provider, "member_create", member)

        return self._deciding.carry_out(command, decide, below=[member.pool_id])

    def change(self, command: ChangeMember) -> Accepted:
        self._require_monitor_usable(command.changes)

        def decide(load_balancer: LoadBalancer) -> None:
            member: Member = wanted(load_balancer, Kind.MEMBER, command.member_id)
            changed = replace(member, **command.changes)
            load_balancer.change_member(changed)
            self._providers.ask(load_balancer.provider, "member_update", changed)

        return self._deciding.carry_out(command, decide, of=command.member_id, below=[command.pool_id])

    def remove(self, command: RemoveMember) -> Accepted:
        def decide(load_balancer: LoadBalancer) -> None:
            load_balancer.remove_member(command.pool_id, command.member_id)
            self._providers.ask(load_balancer.provider, "member_delete", command.member_id)

        return self._deciding.carry_out(command, decide, of=command.member_id, below=[command.pool_id])

    def replace_all(self, command: ReplaceMembers) -> Accepted:
        """Nothing is decided where nothing was named and nothing is there."""
        for entry in command.entries:
            self._require_usable(entry)

        def decide(load_balancer: LoadBalancer) -> None:
            wanted(load_balancer, Kind.POOL, command.pool_id)
            batch = batch_of(command, load_balancer)
            if batch != Batch():
                require_vnic_types_allowed(self._catalogue, load_balancer.flavor_id, batch.added)
                load_balancer.replace_members(command.pool_id, batch)
                self._providers.ask(load_balancer.provider, "member_batch_update", *batch.added, *batch.changed)

        return self._deciding.carry_out(command, decide, of=command.pool_id, below=[command.pool_id])

    def _require_usable(self, settings: Mapping[str, Any]) -> None:
        self._deployment.require_address_allowed(settings["address"], "member address")
        self._require_monitor_usable(settings)
        subnet_id = settings.get("subnet_id")
        if subnet_id is not None and self._vips.find_subnet(subnet_id) is None:
            raise Invalid(f"Subnet {subnet_id} not found.")

    def _require_monitor_usable(self, settings: Mapping[str, Any]) -> None:
        address = settings.get("monitor_address")
        if address is not None:
            self._deployment.require_address_allowed(address, "monitor address")


def require_vnic_types_allowed(catalogue: Catalogue, flavor_id: UUID | None, members: Iterable[Member]) -> None:
    """Raises Invalid where the flavor does not let members have SR-IOV ports."""
    if all(member.vnic_type == VnicType.NORMAL for member in members):
        return
    flavor = None if flavor_id is None else catalogue.flavor(flavor_id)
    if flavor is None or flavor.data.get("allow_member_sriov") is not True:
        raise Invalid("The load balancer flavor does not allow SR-IOV member ports.")


_KEPT_IN_A_BATCH = ("name", "tags", "subnet_id")


def batch_of(command: ReplaceMembers, load_balancer: LoadBalancer) -> Batch:
    """What has to be done to get the members that were named. Raises Invalid when one that is there is named twice.

    Members are told apart by address and port. Of one that is there everything that was not named gets its default,
    except for name, tags and subnet. How its port is attached stays, whatever was said.
    """
    present = {member.socket: member for member in load_balancer.tree.members_of(command.pool_id)}
    added: list[Member] = []
    changed: dict[UUID, Member] = {}
    for entry in command.entries:
        before = present.get((entry["address"], entry["protocol_port"]))
        if before is None:
            added.append(Member(id=uuid4(), pool_id=command.pool_id, **entry))
        elif before.id in changed:
            raise Invalid("Validation failure: Member must be updated only once in the same request.")
        else:
            kept = {name: getattr(before, name) for name in _KEPT_IN_A_BATCH}
            fixed = {"vnic_type": before.vnic_type}
            changed[before.id] = Member(id=before.id, pool_id=command.pool_id, **{**kept, **entry, **fixed})
    missing = () if command.additive else tuple(each.id for each in present.values() if each.id not in changed)
    return Batch(added=tuple(added), changed=tuple(changed.values()), removed=missing)


PARSER = Parser(
    Member,
    without=("id", "pool_id", "vnic_type"),
    extra={"request_sriov": bool | None},
    ignored={"project_id": ProjectId, "tenant_id": ProjectId},
)


class MembersResource:
    def __init__(self, handler: MemberHandler, view: View, places: Places) -> None:
        self._handler = handler
        self._view = view
        self._places = places

    def on_post(self, req: Request, resp: Response, id: str) -> None:
        pool_id, place = _parent(self._places, id)
        require_no_arguments(req, *ON_WRITES)
        member = Member(
            id=new_id(req), pool_id=pool_id, **settings_of(PARSER.given(object_of(req, "member_", "member")))
        )
        caller_of(req).require("member:post", place.project_id)
        accepted = self._handler.add(AddMember(place.load_balancer_id, member, origin_of(req)))
        created(resp, accepted, "member", self._view.show(_row_of_new(accepted, member)))

    def on_put(self, req: Request, resp: Response, id: str) -> None:
        pool_id, place = _parent(self._places, id)
        require_no_arguments(req, "additive_only", *ON_WRITES)
        entries = _entries(json_of(req, "members_"))
        additive = is_asked_for(req, "additive_only")
        for rule in ("member:post", "member:put", *(() if additive else ("member:delete",))):
            caller_of(req).require(rule, place.project_id)
        command = ReplaceMembers(place.load_balancer_id, pool_id, entries, additive, origin_of(req))
        removed(resp, self._handler.replace_all(command), falcon.HTTP_202)


def _entries(body: Any) -> Sequence[Mapping[str, Any]]:
    entries = unwrapped(body, "members_", "members")
    if not isinstance(entries, list):
        raise invalid_input("members_", body, f"Value not a valid list: {entries}")
    return [settings_of(PARSER.given(_entry(body, entry))) for entry in entries]


def settings_of(given: dict[str, Any]) -> dict[str, Any]:
    """What is asked for by one name is shown by another."""
    if given.pop("request_sriov", None):
        given["vnic_type"] = VnicType.DIRECT
    return given


def _entry(body: object, entry: object) -> Received:
    if not isinstance(entry, dict):
        raise invalid_input("members", entry, "Value should be an object")
    return Received("members_", "members_.members", body, entry)


def _row_of_new(accepted: Accepted, member: Member) -> Row:
    monitored = accepted.load_balancer.tree.health_monitor_of(member.pool_id) is not None
    status = OperatingStatus.OFFLINE if monitored else OperatingStatus.NO_MONITOR
    return row_of_new(accepted, member.id, member, operating_status=status)


def _parent(places: Places, pool_id: str) -> tuple[UUID, Place]:
    """The pool that the URL names, and where it is. Raises UnknownParent, before anything else is looked at."""
    try:
        id = id_in_url("Pool", pool_id)
        return id, places.place_of(Kind.POOL, id)
    except NotFound:
        raise UnknownParent("Pool", pool_id) from None


class MemberResource:
    def __init__(self, handler: MemberHandler, view: View, places: Places) -> None:
        self._handler = handler
        self._view = view
        self._places = places

    def on_put(self, req: Request, resp: Response, id: str, member_id: str) -> None:
        pool_id, place = _parent(self._places, id)
        require_no_arguments(req, *ON_WRITES)
        changes = PARSER.changes(object_of(req, "member_", "member"))
        caller_of(req).require("member:put", place.project_id)
        before = self._view.row(member_id, below=id)
        command = ChangeMember(place.load_balancer_id, pool_id, before["id"], changes, origin_of(req))
        accepted = self._handler.change(command)
        member = accepted.load_balancer.tree.members[command.member_id]
        changed(resp, accepted, "member", self._view.show(row_of_changed(before, accepted, member.id, member)))

    def on_delete(self, req: Request, resp: Response, id: str, member_id: str) -> None:
        pool_id, place = _parent(self._places, id)
        require_no_arguments(req, *ON_WRITES)
        caller_of(req).require("member:delete", place.project_id)
        command = RemoveMember(place.load_balancer_id, pool_id, id_in_url("Member", member_id), origin_of(req))
        removed(resp, self._handler.remove(command))
