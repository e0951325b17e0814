"""Adding, changing and removing L7 rules."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from falcon import Request, Response

from commands.accepted import Accepted
from commands.answer import View, changed, created, removed, row_of_changed, row_of_new, wanted
from commands.body import Parser
from commands.deciding import Deciding
from commands.ports import Origin, Place, Places
from commands.request import ON_WRITES, caller_of, id_in_url, new_id, object_of, origin_of, require_no_arguments
from domain.errors import NotFound, UnknownParent
from domain.fields import ProjectId
from domain.l7_rule import L7Rule
from domain.load_balancer import LoadBalancer
from domain.progress import Kind


@dataclass(frozen=True)
class AddL7Rule:
    load_balancer_id: UUID
    l7_rule: L7Rule
    origin: Origin


@dataclass(frozen=True)
class ChangeL7Rule:
    """changes: the new values of those settings that were named."""

    load_balancer_id: UUID
    l7_policy_id: UUID
    l7_rule_id: UUID
    changes: Mapping[str, Any]
    origin: Origin


@dataclass(frozen=True)
class RemoveL7Rule:
    load_balancer_id: UUID
    l7_policy_id: UUID
    l7_rule_id: UUID
    origin: Origin


class L7RuleHandler:
    def __init__(self, deciding: Deciding) -> None:
        self._deciding = deciding
        self._providers = deciding.providers

    def add(self, command: AddL7Rule) -> Accepted:
        rule = command.l7_rule

        def decide(load_balancer: LoadBalancer) -> None:
            load_balancer.add_l7_rule(rule)
            self._providers.ask(load_balancer.provider, "l7rule_create", rule)

        return self._deciding.carry_out(command, decide, below=[rule.l7policy_id])

    def change(self, command: ChangeL7Rule) -> Accepted:
        def decide(load_balancer: LoadBalancer) -> None:
            rule: L7Rule = wanted(load_balancer, Kind.L7_RULE, command.l7_rule_id)
            changed = rule.changed_by(command.changes)
            load_balancer.change_l7_rule(changed)
            self._providers.ask(load_balancer.provider, "l7rule_update", changed)

        return self._deciding.carry_out(command, decide, of=command.l7_rule_id, below=[command.l7_policy_id])

    def remove(self, command: RemoveL7Rule) -> Accepted:
        def decide(load_balancer: LoadBalancer) -> None:
            load_balancer.remove_l7_rule(command.l7_policy_id, command.l7_rule_id)
            self._providers.ask(load_balancer.provider, "l7rule_delete", command.l7_rule_id)

        return self._deciding.carry_out(command, decide, of=command.l7_rule_id, below=[command.l7_policy_id])


_ROOT = "rule"
PARSER = Parser(L7Rule, without=("id", "l7policy_id"), ignored={"project_id": ProjectId, "tenant_id": ProjectId})


def _parent(places: Places, policy_id: str) -> tuple[UUID, Place]:
    """The policy that the URL names, and where it is. Raises UnknownParent, before anything else is looked at."""
    try:
        id = id_in_url("L7Policy", policy_id)
        return id, places.place_of(Kind.L7_POLICY, id)
    except NotFound:
        raise UnknownParent("L7Policy", policy_id) from None


class L7RulesResource:
    def __init__(self, handler: L7RuleHandler, view: View, places: Places) -> None:
        self._handler = handler
        self._view = view
        self._places = places

    def on_post(self, req: Request, resp: Response, id: str) -> None:
        policy_id, place = _parent(self._places, id)
        require_no_arguments(req, *ON_WRITES)
        rule = L7Rule(id=new_id(req), l7policy_id=policy_id, **PARSER.given(object_of(req, "rule_", _ROOT)))
        caller_of(req).require("l7rule:post", place.project_id)
        accepted = self._handler.add(AddL7Rule(place.load_balancer_id, rule, origin_of(req)))
        created(resp, accepted, _ROOT, self._view.show(row_of_new(accepted, rule.id, rule)))


class L7RuleResource:
    def __init__(self, handler: L7RuleHandler, view: View, places: Places) -> None:
        self._handler = handler
        self._view = view
        self._places = places

    def on_put(self, req: Request, resp: Response, id: str, rule_id: str) -> None:
        policy_id, place = _parent(self._places, id)
        require_no_arguments(req, *ON_WRITES)
        changes = PARSER.changes(object_of(req, "l7rule_", _ROOT))
        caller_of(req).require("l7rule:put", place.project_id)
        before = self._view.row(rule_id, below=id)
        command = ChangeL7Rule(place.load_balancer_id, policy_id, before["id"], changes, origin_of(req))
        accepted = self._handler.change(command)
        rule = accepted.load_balancer.tree.l7_rules[command.l7_rule_id]
        changed(resp, accepted, _ROOT, self._view.show(row_of_changed(before, accepted, rule.id, rule)))

    def on_delete(self, req: Request, resp: Response, id: str, rule_id: str) -> None:
        policy_id, place = _parent(self._places, id)
        require_no_arguments(req, *ON_WRITES)
        caller_of(req).require("l7rule:delete", place.project_id)
        command = RemoveL7Rule(place.load_balancer_id, policy_id, id_in_url("L7 Rule", rule_id), origin_of(req))
        removed(resp, self._handler.remove(command))
