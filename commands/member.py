"""Adding, changing and removing members, one by one or all of a pool at once."""

import ipaddress
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID, uuid4

import falcon
from falcon import Request, Response

from commands import not_yet
from commands.accepted import Accepted, saved
from commands.answer import Row, View, answer, created, empty, row_of_changed, row_of_new, wanted
from commands.body import Parser, Received, invalid_input, unwrapped
from commands.ports import Aggregates, Origin, Places, VipAllocation
from commands.request import id_in_url, is_asked_for, json_of, object_of, origin_of, require_no_arguments
from commands.retry import retried_on_conflict
from commands.turns import Turns
from domain.errors import Invalid, NotAnOption, NotFound, UnknownParent
from domain.fields import Name, OperatingStatus
from domain.load_balancer import Batch, LoadBalancer
from domain.member import Member
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
    """reserved: addresses that nobody may send traffic to, exploded and in upper case."""

    def __init__(self, aggregates: Aggregates, turns: Turns, vips: VipAllocation, reserved: Sequence[str]) -> None:
        self._aggregates = aggregates
        self._turns = turns
        self._vips = vips
        self._reserved = frozenset(address.upper() for address in reserved)

    def add(self, command: AddMember) -> Accepted:
        self._require_usable(command.member.address, command.member.subnet_id)
        return self._add(command)

    @retried_on_conflict
    def _add(self, command: AddMember) -> Accepted:
        load_balancer = self._aggregates.load_balancer(command.load_balancer_id)
        load_balancer.add_member(command.member)
        return saved(self._aggregates, load_balancer, origin=command.origin)

    @retried_on_conflict
    def change(self, command: ChangeMember) -> Accepted:
        load_balancer = self._aggregates.load_balancer(command.load_balancer_id)
        member: Member = wanted(load_balancer, Kind.MEMBER, command.member_id)
        load_balancer.change_member(replace(member, **command.changes))
        return saved(self._aggregates, load_balancer, origin=command.origin)

    @retried_on_conflict
    def remove(self, command: RemoveMember) -> Accepted:
        load_balancer = self._aggregates.load_balancer(command.load_balancer_id)
        load_balancer.remove_member(command.pool_id, command.member_id)
        return saved(self._aggregates, load_balancer, origin=command.origin)

    def replace_all(self, command: ReplaceMembers) -> Accepted:
        for address, subnet_id in {(entry["address"], entry.get("subnet_id")) for entry in command.entries}:
            self._require_usable(address, subnet_id)
        return self._replace_all(command)

    @retried_on_conflict
    def _replace_all(self, command: ReplaceMembers) -> Accepted:
        """Nothing is decided where nothing was named and nothing is there."""
        load_balancer = self._aggregates.load_balancer(command.load_balancer_id)
        wanted(load_balancer, Kind.POOL, command.pool_id)
        batch = batch_of(command, load_balancer)
        if batch != Batch():
            load_balancer.replace_members(command.pool_id, batch)
        return saved(self._aggregates, load_balancer, origin=command.origin)

    def _require_usable(self, address: str, subnet_id: UUID | None) -> None:
        if ipaddress.ip_address(address).exploded.upper() in self._reserved:
            raise NotAnOption(address, "member address")
        if subnet_id is not None and self._vips.find_subnet(subnet_id) is None:
            raise Invalid(f"Subnet {subnet_id} not found.")


_KEPT_IN_A_BATCH = ("name", "tags", "subnet_id")


def batch_of(command: ReplaceMembers, load_balancer: LoadBalancer) -> Batch:
    """What has to be done to get the members that were named. Raises Invalid when one that is there is named twice.

    Members are told apart by address and port. Of one that is there everything that was not named gets its default,
    except for name, tags and subnet.
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
            changed[before.id] = Member(id=before.id, pool_id=command.pool_id, **{**kept, **entry})
    missing = () if command.additive else tuple(each.id for each in present.values() if each.id not in changed)
    return Batch(added=tuple(added), changed=tuple(changed.values()), removed=missing)


PARSER = Parser(
    Member,
    without=("id", "pool_id"),
    ignored={"project_id": Name, "tenant_id": Name},
    not_yet=not_yet.MEMBER,
)


class MembersResource:
    def __init__(self, handler: MemberHandler, view: View, places: Places) -> None:
        self._handler = handler
        self._view = view
        self._places = places

    def on_post(self, req: Request, resp: Response, id: str) -> None:
        pool, load_balancer_id = _parent(self._places, id)
        require_no_arguments(req)
        member = Member(id=uuid4(), pool_id=pool, **PARSER.given(object_of(req, "member_", "member")))
        accepted = self._handler.add(AddMember(load_balancer_id, member, origin_of(req)))
        created(resp, "member", self._view.show(_row_of_new(accepted, member)))

    def on_put(self, req: Request, resp: Response, id: str) -> None:
        pool, load_balancer_id = _parent(self._places, id)
        require_no_arguments(req, "additive_only")
        entries = _entries(json_of(req, "members_"))
        additive = is_asked_for(req, "additive_only")
        self._handler.replace_all(ReplaceMembers(load_balancer_id, pool, entries, additive, origin_of(req)))
        empty(resp, falcon.HTTP_202)


def _entries(body: Any) -> Sequence[Mapping[str, Any]]:
    entries = unwrapped(body, "members_", "members")
    if not isinstance(entries, list):
        raise invalid_input("members_", body, f"Value not a valid list: {entries}")
    return [PARSER.given(_entry(body, entry)) for entry in entries]


def _entry(body: object, entry: object) -> Received:
    if not isinstance(entry, dict):
        raise invalid_input("members", entry, "Value should be an object")
    return Received("members_", "members_.members", body, entry)


def _row_of_new(accepted: Accepted, member: Member) -> Row:
    monitored = accepted.load_balancer.tree.health_monitor_of(member.pool_id) is not None
    status = OperatingStatus.OFFLINE if monitored else OperatingStatus.NO_MONITOR
    return row_of_new(accepted, member.id, member, operating_status=status)


def _parent(places: Places, pool_id: str) -> tuple[UUID, UUID]:
    """The pool that the URL names, and its load balancer. Raises UnknownParent, before anything else is looked at."""
    try:
        id = id_in_url("Pool", pool_id)
        return id, places.place_of(Kind.POOL, id).load_balancer_id
    except NotFound:
        raise UnknownParent("Pool", pool_id) from None


class MemberResource:
    def __init__(self, handler: MemberHandler, view: View, places: Places) -> None:
        self._handler = handler
        self._view = view
        self._places = places

    def on_put(self, req: Request, resp: Response, id: str, member_id: str) -> None:
        pool, load_balancer_id = _parent(self._places, id)
        require_no_arguments(req)
        changes = PARSER.changes(object_of(req, "member_", "member"))
        before = self._view.row(member_id, below=id)
        command = ChangeMember(load_balancer_id, pool, before["id"], changes, origin_of(req))
        accepted = self._handler.change(command)
        member = accepted.load_balancer.tree.members[command.member_id]
        answer(resp, {"member": self._view.show(row_of_changed(before, accepted, member.id, member))})

    def on_delete(self, req: Request, resp: Response, id: str, member_id: str) -> None:
        pool, load_balancer_id = _parent(self._places, id)
        require_no_arguments(req)
        self._handler.remove(RemoveMember(load_balancer_id, pool, id_in_url("Member", member_id), origin_of(req)))
        empty(resp)
