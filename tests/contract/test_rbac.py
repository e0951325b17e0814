"""Who may do what, in which order that is asked, and what whoever may list something sees."""

from dataclasses import dataclass
from typing import Any

import pytest

from tests.contract.conftest import PROJECT, Answer, ContractApi

pytestmark = [pytest.mark.postgres, pytest.mark.slow]

FORBIDDEN = (403, "Policy does not allow this request to be performed.")
NOBODY = "5a1c0f6e-9d0b-4c1e-8f27-6f3a0c2b9d11"  # nothing has this id
ROLES = ("", "reader", "member", "service", "admin")
NONE: frozenset[str] = frozenset()
ADMIN = frozenset({"admin"})
READ, WRITE = frozenset({"reader", "member", "admin"}), frozenset({"member", "admin"})


@dataclass(frozen=True)
class Tree:
    """One object of each kind in PROJECT, and who is in the way of the next call."""

    api: ContractApi
    ids: dict[str, str]

    def path(self, template: str) -> str:
        return template.format(**self.ids)

    def ask(self, method: str, template: str, body: object, project: str, roles: str) -> Answer:
        return self.api(method, self.path(template), body, project=project, roles=roles)


@pytest.fixture
def tree(api: ContractApi) -> Tree:
    """Below a provider that has amphorae."""
    load_balancer = api.load_balancer(provider="amphora")
    listener = api.listener(load_balancer)
    pool = api.pool(load_balancer, listener_id=listener["id"])
    policy = api.l7_policy(load_balancer, listener)
    profile = {"name": "p", "provider_name": "amphora"}
    flavor_profile = api.create("/flavorprofiles", "flavorprofile", flavor_data="{}", **profile)
    zone_profile = api.create(
        "/availabilityzoneprofiles", "availability_zone_profile", availability_zone_data="{}", **profile
    )
    zone = {"name": "z", "availability_zone_profile_id": zone_profile["id"]}
    ids = {
        "lb": load_balancer["id"],
        "listener": listener["id"],
        "pool": pool["id"],
        "member": api.member(load_balancer, pool)["id"],
        "monitor": api.health_monitor(load_balancer, pool)["id"],
        "policy": policy["id"],
        "rule": api.l7_rule(load_balancer, policy)["id"],
        "flavor_profile": flavor_profile["id"],
        "flavor": api.create("/flavors", "flavor", name="f", flavor_profile_id=flavor_profile["id"])["id"],
        "zone_profile": zone_profile["id"],
        "zone": api.create("/availabilityzones", "availability_zone", **zone)["name"],
        "amphora": api("GET", "/v2/octavia/amphorae").object[0]["id"],
    }
    return Tree(api, ids)


READS = {
    "/loadbalancers/{lb}": READ,
    "/loadbalancers/{lb}/status": READ,
    "/loadbalancers/{lb}/statuses": READ,
    "/loadbalancers/{lb}/stats": READ,
    "/listeners/{listener}": READ,
    "/listeners/{listener}/stats": READ,
    "/pools/{pool}": READ,
    "/pools/{pool}/members": READ | {"service"},
    "/pools/{pool}/members/{member}": READ,
    "/healthmonitors/{monitor}": READ,
    "/l7policies/{policy}": READ,
    "/l7policies/{policy}/rules": READ,
    "/l7policies/{policy}/rules/{rule}": READ,
    "/quotas/" + PROJECT: READ,
    "/quotas/" + PROJECT + "/default": READ,
}
OF_NO_PROJECT = {
    "/providers": READ,
    "/providers/amphora/flavor_capabilities": ADMIN,
    "/providers/amphora/availability_zone_capabilities": ADMIN,
    "/flavors": READ,
    "/flavors/{flavor}": READ,
    "/flavorprofiles": ADMIN,
    "/flavorprofiles/{flavor_profile}": ADMIN,
    "/availabilityzones": READ,
    "/availabilityzones/{zone}": READ,
    "/availabilityzoneprofiles": ADMIN,
    "/availabilityzoneprofiles/{zone_profile}": ADMIN,
    "/v2/octavia/amphorae": ADMIN,
    "/v2/octavia/amphorae/{amphora}": ADMIN,
    "/v2/octavia/amphorae/{amphora}/stats": ADMIN,
}


def who_may(tree: Tree, project: str, method: str, path: str, body: object = None) -> set[str]:
    """The roles that are not forbidden it; whether it succeeds then is another matter."""
    answers = {roles: tree.ask(method, path, body, project, roles) for roles in ROLES}
    refused = {roles for roles, answer in answers.items() if answer.status == 403}
    assert {answers[roles].fault for roles in refused} <= {FORBIDDEN}, (path, answers)
    return set(ROLES) - refused


def test_what_a_project_has_is_shown_to_its_readers_and_to_administrators(tree: Tree) -> None:
    assert {path: who_may(tree, PROJECT, "GET", path) for path in READS} == READS


def test_what_others_have_is_shown_to_administrators_alone(tree: Tree) -> None:
    found = {path: who_may(tree, "other", "GET", path) for path in READS}

    assert found == {path: {"admin", "service"} if path.endswith("/members") else ADMIN for path in READS}


def test_what_belongs_to_no_project_is_shown_by_the_callers_own(tree: Tree) -> None:
    assert {path: who_may(tree, "other", "GET", path) for path in OF_NO_PROJECT} == OF_NO_PROJECT


WRITES: list[tuple[str, str, object, frozenset[str]]] = [
    ("PUT", "/loadbalancers/{lb}", {"loadbalancer": {}}, WRITE),
    ("PUT", "/loadbalancers/{lb}", {"loadbalancer": {"vip_sg_ids": []}}, WRITE),
    ("PUT", "/loadbalancers/{lb}/failover", None, ADMIN),
    ("PUT", "/listeners/{listener}", {"listener": {}}, WRITE),
    ("PUT", "/pools/{pool}", {"pool": {}}, WRITE),
    ("PUT", "/pools/{pool}/members/{member}", {"member": {}}, WRITE),
    ("PUT", "/pools/{pool}/members", {"members": [{"address": "10.0.0.7", "protocol_port": 80}]}, WRITE),
    ("PUT", "/pools/{pool}/members?additive_only=true", {"members": []}, WRITE),
    ("PUT", "/healthmonitors/{monitor}", {"healthmonitor": {}}, WRITE),
    ("PUT", "/l7policies/{policy}", {"l7policy": {"name": "n"}}, WRITE),
    ("PUT", "/l7policies/{policy}/rules/{rule}", {"rule": {}}, WRITE),
    ("PUT", "/quotas/" + PROJECT, {"quota": {}}, ADMIN),
    ("POST", "/loadbalancers", {"loadbalancer": {"project_id": PROJECT, "vip_subnet_id": NOBODY}}, WRITE),
    ("POST", "/listeners", {"listener": {"loadbalancer_id": "{lb}", "protocol": "TCP", "protocol_port": 1}}, WRITE),
    ("POST", "/pools", {"pool": {"loadbalancer_id": "{lb}", "protocol": "TCP", "lb_algorithm": "ROUND_ROBIN"}}, WRITE),
    ("POST", "/pools/{pool}/members", {"member": {"address": "10.0.0.8", "protocol_port": 80}}, WRITE),
    (
        "POST",
        "/healthmonitors",
        {"healthmonitor": {"pool_id": "{pool}", "type": "TCP", "delay": 1, "timeout": 1, "max_retries": 1}},
        WRITE,
    ),
    ("POST", "/l7policies", {"l7policy": {"listener_id": "{listener}", "action": "REJECT"}}, WRITE),
    ("POST", "/l7policies/{policy}/rules", {"rule": {"type": "PATH", "compare_type": "EQUAL_TO", "value": "/"}}, WRITE),
]


def filled(tree: Tree, body: Any) -> Any:
    if isinstance(body, dict):
        return {key: filled(tree, value) for key, value in body.items()}
    return tree.path(body) if isinstance(body, str) else body


def test_what_a_project_has_is_changed_by_its_members_and_by_administrators(tree: Tree) -> None:
    for method, path, body, roles in WRITES:
        assert who_may(tree, PROJECT, method, path, filled(tree, body)) == roles, (method, path)


def test_what_others_have_is_changed_by_administrators_alone(tree: Tree) -> None:
    for method, path, body, _ in WRITES:
        assert who_may(tree, "other", method, path, filled(tree, body)) == ADMIN, (method, path)


DELETIONS = (
    *("/l7policies/{policy}/rules/{rule}", "/l7policies/{policy}", "/pools/{pool}/members/{member}"),
    *("/healthmonitors/{monitor}", "/listeners/{listener}", "/pools/{pool}"),
    "/loadbalancers/{lb}?cascade=true",
)


def test_what_a_project_has_is_deleted_by_its_members(tree: Tree) -> None:
    for path in DELETIONS:
        for project, roles in ((PROJECT, ""), (PROJECT, "reader"), (PROJECT, "service"), ("other", "member")):
            assert tree.ask("DELETE", path, None, project, roles).fault == FORBIDDEN, (path, roles)
        assert tree.ask("DELETE", path, None, PROJECT, "member").status == 204, path
        tree.api.gone(tree.path(path).partition("?")[0])


OPERATORS = {
    ("POST", "/flavors"): {"flavor": {"name": "n", "flavor_profile_id": NOBODY}},
    ("PUT", "/flavors/{flavor}"): {"flavor": {}},
    ("DELETE", "/flavors/" + NOBODY): None,
    ("POST", "/flavorprofiles"): {"flavorprofile": {"name": "n", "provider_name": "none", "flavor_data": "{}"}},
    ("PUT", "/flavorprofiles/{flavor_profile}"): {"flavorprofile": {}},
    ("DELETE", "/flavorprofiles/" + NOBODY): None,
    ("POST", "/availabilityzones"): {"availability_zone": {"name": "n", "availability_zone_profile_id": NOBODY}},
    ("PUT", "/availabilityzones/{zone}"): {"availability_zone": {}},
    ("DELETE", "/availabilityzones/nowhere"): None,
    ("PUT", "/availabilityzoneprofiles/{zone_profile}"): {"availability_zone_profile": {}},
    ("DELETE", "/availabilityzoneprofiles/" + NOBODY): None,
    ("DELETE", "/quotas/" + PROJECT): None,
    ("PUT", "/v2/octavia/amphorae/{amphora}/config"): None,
    ("PUT", "/v2/octavia/amphorae/{amphora}/failover"): None,
    ("DELETE", "/v2/octavia/amphorae/{amphora}"): None,
}


def test_what_is_the_operators_is_changed_by_administrators_alone(tree: Tree) -> None:
    found = {key: who_may(tree, PROJECT, *key, body) for key, body in OPERATORS.items()}

    assert found == dict.fromkeys(OPERATORS, ADMIN)


# The order of the questions


LOOKED_UP_FIRST = (
    *("/loadbalancers/x", "/listeners/x", "/pools/x", "/healthmonitors/x", "/l7policies/x"),
    *("/loadbalancers/x/status", "/loadbalancers/x/stats", "/listeners/x/stats", "/v2/octavia/amphorae/x"),
)


@pytest.mark.parametrize("path", LOOKED_UP_FIRST)
def test_an_object_is_looked_up_before_its_policy_is_asked(api: ContractApi, path: str) -> None:
    assert api("GET", path, roles="").status == 404


@pytest.mark.parametrize("action", ["failover", "config"])
def test_an_amphora_is_looked_up_before_something_is_done_to_it(api: ContractApi, action: str) -> None:
    assert api("PUT", f"/v2/octavia/amphorae/{NOBODY}/{action}", roles="").status == 404


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/flavors/x", None),
        ("GET", "/flavorprofiles/x", None),
        ("GET", "/availabilityzones/x", None),
        ("GET", "/availabilityzoneprofiles/x", None),
        ("PUT", "/flavors/x", {"flavor": {}}),
        ("DELETE", "/flavorprofiles/x", None),
        ("GET", "/providers/x/flavor_capabilities", None),
        ("GET", "/providers/x/availability_zone_capabilities", None),
        ("GET", "/quotas/x", None),
        ("DELETE", "/quotas/x", None),
        ("GET", "/v2/octavia/amphorae/x/stats", None),
        ("DELETE", "/v2/octavia/amphorae/x", None),
    ],
)
def test_policy_is_asked_first_where_there_is_no_project_to_find(
    api: ContractApi, method: str, path: str, body: object
) -> None:
    assert api(method, path, body, roles="", project="p").fault == FORBIDDEN


def test_a_malformed_body_is_told_to_everybody(tree: Tree) -> None:
    for method, path, body, _ in WRITES:
        if body is not None:
            (root,) = body  # type: ignore[misc]
            answer = tree.ask(method, path, {root: {"colour": "red"}}, "other", "")
            assert answer.status == 400, (method, path)


def test_policy_is_asked_before_anything_else_about_a_body_that_can_be_read(tree: Tree) -> None:
    clash = {"listener": {"loadbalancer_id": tree.ids["lb"], "protocol": "HTTP", "protocol_port": 80}}
    nowhere = {"loadbalancer": {"project_id": PROJECT}}
    twice = {"loadbalancer": {"project_id": PROJECT, "tags": ["a", "a"], "flavor_id": None}}

    assert tree.ask("POST", "/listeners", clash, PROJECT, "reader").fault == FORBIDDEN
    assert tree.ask("POST", "/loadbalancers", nowhere, PROJECT, "reader").fault == FORBIDDEN
    assert tree.ask("POST", "/loadbalancers", twice, PROJECT, "reader").fault == FORBIDDEN
    assert tree.ask("DELETE", "/loadbalancers/{lb}", None, PROJECT, "reader").fault == FORBIDDEN


def test_an_unknown_parent_comes_before_policy(api: ContractApi) -> None:
    listener = {"loadbalancer_id": NOBODY, "protocol": "HTTP", "protocol_port": 80}
    monitor = {"pool_id": NOBODY, "type": "TCP", "delay": 1, "timeout": 1, "max_retries": 1}

    answers = {
        "Load Balancer": api("POST", "/listeners", {"listener": listener}, roles=""),
        "Pool": api("POST", "/healthmonitors", {"healthmonitor": monitor}, roles=""),
        "Listener": api("POST", "/l7policies", {"l7policy": {"listener_id": NOBODY, "action": "REJECT"}}, roles=""),
    }

    assert {title: answer.fault for title, answer in answers.items()} == {
        title: (404, f"{title} {NOBODY} not found.") for title in answers
    }


# Roles


@pytest.mark.parametrize("roles", ["READER", "Member,x", " admin , other"])
def test_roles_are_compared_in_any_case(tree: Tree, roles: str) -> None:
    assert tree.ask("GET", "/loadbalancers/{lb}", None, PROJECT, roles).status == 200


@pytest.mark.parametrize("scope", ["observer", "global_observer", "member", "quota_admin", "admin"])
def test_roles_of_old_do_nothing_by_themselves(tree: Tree, scope: str) -> None:
    roles = f"load-balancer_{scope}"

    assert tree.ask("GET", "/loadbalancers/{lb}", None, PROJECT, roles).fault == FORBIDDEN
    assert tree.ask("GET", "/loadbalancers", None, PROJECT, roles).fault == FORBIDDEN
    assert tree.ask("GET", "/quotas/" + PROJECT, None, PROJECT, roles).fault == FORBIDDEN


@pytest.mark.parametrize(("roles", "status"), [("admin", 200), ("reader", 403)])
def test_tokens_of_the_system_reach_the_check(tree: Tree, roles: str, status: int) -> None:
    headers = {"OpenStack-System-Scope": "all"}

    for path in ("/loadbalancers", "/loadbalancers/{lb}", "/v2/octavia/amphorae"):
        assert tree.api("GET", tree.path(path), headers=headers, roles=roles).status == status, path


def test_quotas_of_a_project_named_defaults_are_for_administrators(api: ContractApi) -> None:
    assert api("GET", "/quotas/defaults", project="p", roles="member").fault == FORBIDDEN
    assert api("GET", "/quotas/defaults", project="p", roles="admin").object["project_id"] == "defaults"


# Lists


LISTS = ("loadbalancers", "listeners", "pools", "healthmonitors", "l7policies")


@pytest.fixture
def two(api: ContractApi) -> ContractApi:
    """One of everything in the projects mine and theirs."""
    for project in ("mine", "theirs"):
        load_balancer = api.load_balancer(project_id=project)
        listener = api.listener(load_balancer)
        api.l7_policy(load_balancer, listener)
        api.health_monitor(load_balancer, api.pool(load_balancer))
        api("PUT", f"/quotas/{project}", {"quota": {"listener": 9}})
    return api


@pytest.mark.parametrize("name", [*LISTS, "quotas"])
def test_a_list_has_what_is_ones_own_and_an_administrators_has_all(two: ContractApi, name: str) -> None:
    def projects(query: str, project: str | None, roles: str) -> set[str]:
        found = two("GET", f"/{name}{query}", project=project, roles=roles)
        assert found.status == 200, found
        return {each["project_id"] for each in found.object}

    for roles in ("reader", "member"):
        assert projects("", "mine", roles) == {"mine"}
        assert projects("?project_id=mine", "mine", roles) == {"mine"}
    assert projects("", "mine", "admin") == {"mine", "theirs"}
    assert projects("", None, "admin") == {"mine", "theirs"}
    assert projects("?project_id=theirs", "mine", "admin") == {"theirs"}
    assert projects("?project_id=nobody", "mine", "admin") == set()


@pytest.mark.parametrize("name", [*LISTS, "quotas"])
def test_a_list_of_others_is_forbidden(two: ContractApi, name: str) -> None:
    for path, project, roles in (
        (f"/{name}?project_id=theirs", "mine", "reader"),
        (f"/{name}?project_id=theirs", "mine", "member"),
        (f"/{name}", None, "reader"),
        (f"/{name}", "mine", ""),
        (f"/{name}", "mine", "service"),
    ):
        assert two("GET", path, project=project, roles=roles).fault == FORBIDDEN, (path, project, roles)


@pytest.mark.parametrize("name", [*LISTS, "quotas"])
def test_there_is_no_other_spelling_of_a_project(two: ContractApi, name: str) -> None:
    for argument in ("tenant_id=mine", "all_projects=true"):
        assert two("GET", f"/{name}?{argument}", project="mine", roles="admin").status == 400


# Who everybody is


def test_whoever_names_no_identity_is_an_administrator_and_no_quota_binds_them(api: ContractApi) -> None:
    api("PUT", "/quotas/p", {"quota": {"loadbalancer": 0}})
    body = {"loadbalancer": {"vip_subnet_id": NOBODY, "project_id": "p"}}

    bound = api("POST", "/loadbalancers", body, project="p", roles="member")
    free = api("POST", "/loadbalancers", body, headers={"X-Roles": "nothing"}, project="other")

    assert bound.fault == (403, "Quota has been met for resources: Load Balancer")
    assert free.status == 201


def test_an_administrator_creates_in_any_project(tree: Tree) -> None:
    body = {"loadbalancer": {"vip_subnet_id": NOBODY, "project_id": "anybody"}}
    listener = {"listener": {"loadbalancer_id": tree.ids["lb"], "protocol": "TCP", "protocol_port": 7}}

    created = tree.api("POST", "/loadbalancers", body, project="operators", roles="admin")
    below = tree.api("POST", "/listeners", listener, project="operators", roles="admin")

    assert (created.status, created.object["project_id"]) == (201, "anybody")
    assert (below.status, below.object["project_id"]) == (201, PROJECT)
