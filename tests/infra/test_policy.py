"""Who may do what: the contract's whole table, the operator's file on top, and files that are broken."""

import ast
import logging
import time
from collections.abc import Callable
from pathlib import Path
from threading import Event

import pytest

from infra.cli import main
from infra.identity import Credentials
from infra.options import configuration
from infra.policy import BrokenPolicy, Policy, faults_of
from infra.policy_rules import PREFIX, RULES

SOURCES = Path(__file__).parents[2]
OWN, OTHER = "weaving", "spinning"

TREE = {"get_all": "read", "get_all-global": "read-global", "post": "write", "get_one": "read", "put": "write"}
TREE |= {"delete": "write"}
BELOW = {action: what for action, what in TREE.items() if action != "get_all-global"}
CHOSEN = {"get_all": "read", "get_one": "read", "post": "admin", "put": "admin", "delete": "admin"}
OF_LOAD_BALANCERS = {"post:vip_sg_ids": "write", "put:vip_sg_ids": "write", "get_stats": "read", "get_status": "read"}
OF_LOAD_BALANCERS |= {"put_failover": "admin"}
QUOTA = {"get_all": "read", "get_one": "read", "get_defaults": "read", "get_all-global": "read-global"}
QUOTA |= {"put": "admin", "delete": "admin"}
AMPHORA = ("get_all", "get_one", "delete", "put_config", "put_failover", "get_stats")
CONTRACT = {
    "loadbalancer": TREE | OF_LOAD_BALANCERS,
    "listener": TREE | {"get_stats": "read"},
    "pool": TREE,
    "member": BELOW | {"get_all": "read or service"},
    "healthmonitor": TREE,
    "l7policy": TREE,
    "l7rule": BELOW,
    "quota": QUOTA,
    "amphora": dict.fromkeys(AMPHORA, "admin"),
    "provider": {"get_all": "read"},
    "provider-flavor": {"get_all": "admin"},
    "provider-availability-zone": {"get_all": "admin"},
    "flavor": CHOSEN,
    "availability-zone": CHOSEN,
    "flavor-profile": dict.fromkeys(CHOSEN, "admin"),
    "availability-zone-profile": dict.fromkeys(CHOSEN, "admin"),
    "event": {"get_all": "read", "get_all-global": "read-global"},  # ours
}
ALL = {f"{kind}:{action}": what for kind, actions in CONTRACT.items() for action, what in actions.items()}
"""Rule -> what it takes, as the contract's table has it."""

ALLOWED = {
    ("reader", OWN): {"read", "read or service"},
    ("member", OWN): {"read", "read or service", "write"},
    ("service", OWN): {"read or service"},
    ("service", OTHER): {"read or service"},
    ("admin", OWN): set(ALL.values()),
    ("admin", OTHER): set(ALL.values()),
}
"""Role, and where the object is -> what passes; nothing for others."""

ROLES = ("", "reader", "member", "service", "admin", "load-balancer_member", "load-balancer_admin", "creator")
LEGACY = {
    "load-balancer_observer": {"read", "read or service"},
    "load-balancer_global_observer": {"read", "read or service", "read-global"},
    "load-balancer_member": {"read", "read or service", "write"},
    "load-balancer_admin": set(ALL.values()),
}


def somebody(*roles: str, project_id: str = OWN) -> Credentials:
    return Credentials(project_id=project_id, user_id="livia", roles=roles)


@pytest.fixture
def policy() -> Policy:
    return Policy(configuration([]))


@pytest.fixture
def directory(tmp_path: Path) -> Callable[..., Path]:
    """Writes a configuration and a policy file; the path of the former."""

    def write(policy: str = "", settings: str = "") -> Path:
        file = tmp_path / "tacitus.conf"
        file.write_text(f"[oslo_policy]\n{settings}\n")
        if policy:
            (tmp_path / "policy.yaml").write_text(policy)
        return file

    return write


def test_there_is_a_rule_for_every_action_of_the_contract_and_no_other() -> None:
    assert {rule.name.removeprefix(PREFIX) for rule in RULES} == set(ALL)


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("project_id", [OWN, OTHER])
def test_every_rule_decides_as_the_contract_does(policy: Policy, role: str, project_id: str) -> None:
    passes = ALLOWED.get((role, project_id), set())

    allowed = {rule for rule in ALL if policy.allows(rule, somebody(*filter(None, [role])), project_id)}

    assert allowed == {rule for rule, what in ALL.items() if what in passes}


@pytest.mark.parametrize("role", LEGACY)
def test_roles_of_old_count_when_the_operator_says_so(directory: Callable[..., Path], role: str) -> None:
    policy = Policy(configuration([directory(settings="enforce_new_defaults = false")]))

    allowed = {rule for rule in ALL if policy.allows(rule, somebody(role), OWN)}

    assert allowed == {rule for rule, what in ALL.items() if what in LEGACY[role]}
    assert policy.allows("loadbalancer:get_one", somebody("reader"), OWN)


def test_quota_admin_of_old_sets_quotas_and_does_nothing_else(directory: Callable[..., Path]) -> None:
    policy = Policy(configuration([directory(settings="enforce_new_defaults = false")]))

    allowed = {rule for rule in ALL if policy.allows(rule, somebody("load-balancer_quota_admin"), OTHER)}

    assert allowed == {rule for rule in ALL if rule.startswith("quota:")}


def test_roles_are_compared_without_regard_to_case(policy: Policy) -> None:
    assert policy.allows("loadbalancer:post", somebody("Member"), OWN)


@pytest.mark.parametrize("scope", ["", "all"])
def test_caller_without_a_project_owns_nothing(policy: Policy, scope: str) -> None:
    reader = Credentials(roles=("reader", "member"), system_scope=scope)

    assert not any(policy.allows(rule, reader, "") for rule in ALL if rule != "member:get_all")


def test_administrator_of_the_system_needs_no_project(policy: Policy) -> None:
    assert all(policy.allows(rule, Credentials(roles=("admin",), system_scope="all"), OTHER) for rule in ALL)


def test_rule_that_nobody_knows_allows_nothing(policy: Policy) -> None:
    assert not policy.allows("loadbalancer:weave", somebody("admin"), OWN)


def test_every_rule_that_the_code_asks_for_is_there() -> None:
    asked = {
        node.value
        for package in ("commands", "projections", "infra")
        for file in (SOURCES / package).glob("*.py")
        for call in ast.walk(ast.parse(file.read_text()))
        if isinstance(call, ast.Call) and getattr(call.func, "attr", "") in ("require", "may") and call.args
        for node in [call.args[0]]
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }

    assert "loadbalancer:post" in asked
    assert asked <= set(ALL)


# The operator's file


def test_operators_rules_are_put_on_top(directory: Callable[..., Path]) -> None:
    rules = """
"weavers": "role:weaver and project_id:%(project_id)s"
"load-balancer:write": "rule:weavers"
"os_load-balancer_api:flavor:post": "user_id:livia"
"""
    policy = Policy(configuration([directory(rules)]))

    assert policy.allows("pool:put", somebody("weaver"), OWN)
    assert not policy.allows("pool:put", somebody("weaver"), OTHER)
    assert not policy.allows("pool:put", somebody("admin"), OWN)
    assert policy.allows("flavor:post", somebody(), OWN)


BROKEN = [
    ("'load-balancer:write: [", "found unexpected end of stream"),
    ('- "rule:admin"', "not a mapping"),
    ('"load-balancer:write": "role:member and or"', "load-balancer:write: cannot be understood"),
    ('"load-balancer:write": 3', "load-balancer:write: cannot be understood"),
    ('"load-balancer:write": "rule:weavers"', "refers to rule:weavers, which is not there"),
    ('"project-member": "not rule:load-balancer:write"', "refers to itself in the end"),
]


@pytest.mark.parametrize(("rules", "words"), BROKEN, ids=[words for _, words in BROKEN])
def test_policy_that_is_broken_from_the_start_is_refused(
    directory: Callable[..., Path], rules: str, words: str
) -> None:
    found = configuration([directory(rules)])

    with pytest.raises(BrokenPolicy, match=words):
        Policy(found)


@pytest.mark.parametrize("rules", [rules for rules, _ in BROKEN], ids=[words for _, words in BROKEN])
def test_policy_that_breaks_later_stays_what_it_was_and_the_log_says_so(
    directory: Callable[..., Path], caplog: pytest.LogCaptureFixture, rules: str
) -> None:
    policy = Policy(configuration([directory('"os_load-balancer_api:flavor:post": "role:weaver"')]))

    directory(rules)
    policy.look_again()

    assert policy.allows("flavor:post", somebody("weaver"), OWN)
    (record,) = [
        record for record in caplog.records if record.levelno == logging.ERROR and record.name == "infra.policy"
    ]
    assert "the policy stays what it was" in record.getMessage()


def test_change_of_the_file_counts_without_a_restart(directory: Callable[..., Path]) -> None:
    policy = Policy(configuration([directory()]))
    assert not policy.allows("flavor:post", somebody("weaver"), OWN)

    directory('"os_load-balancer_api:flavor:post": "role:weaver"')
    policy.look_again()

    assert policy.allows("flavor:post", somebody("weaver"), OWN)


def test_running_service_takes_a_change_over_by_itself(directory: Callable[..., Path]) -> None:
    policy, stop = Policy(configuration([directory()])), Event()
    policy.watch(stop)

    directory('"os_load-balancer_api:flavor:post": "role:weaver"')

    try:
        deadline = time.monotonic() + 20
        while not policy.allows("flavor:post", somebody("weaver"), OWN):
            assert time.monotonic() < deadline
            time.sleep(0.05)
    finally:
        stop.set()


def test_file_that_is_mended_counts(directory: Callable[..., Path]) -> None:
    policy = Policy(configuration([directory('"os_load-balancer_api:flavor:post": "role:weaver"')]))
    directory("'")
    policy.look_again()

    directory('"os_load-balancer_api:flavor:post": "role:fuller"')
    policy.look_again()

    assert not policy.allows("flavor:post", somebody("weaver"), OWN)
    assert policy.allows("flavor:post", somebody("fuller"), OWN)


def test_rule_that_cannot_be_decided_on_allows_nothing(
    directory: Callable[..., Path], caplog: pytest.LogCaptureFixture
) -> None:
    rules = '"os_load-balancer_api:flavor:post": "http://127.0.0.1:1/may"'
    policy = Policy(configuration([directory(rules)]))

    assert not policy.allows("flavor:post", somebody("admin"), OWN)
    assert "could not be decided on" in caplog.text


def test_verdict_that_is_known_costs_little(policy: Policy) -> None:
    policy.allows("loadbalancer:get_one", somebody("member"), OWN)

    begin = time.process_time()
    for _ in range(10_000):
        policy.allows("loadbalancer:get_one", somebody("member"), OWN)
    seconds = time.process_time() - begin

    assert seconds / 10_000 < 60e-6


# The command


def test_check_finds_nothing_wrong_with_the_sample(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["policy", "sample"])
    printed = capsys.readouterr().out
    file = tmp_path / "sample.yaml"
    file.write_text("".join(f"{line.removeprefix('#')}\n" for line in printed.splitlines() if line.startswith('#"')))
    (tmp_path / "empty.conf").touch()

    main(["policy", "check", "--config-file", str(tmp_path / "empty.conf"), "--file", str(file)])

    assert capsys.readouterr().out == ""
    assert len(file.read_text().splitlines()) == len(ALL) + 16


def test_check_names_what_is_wrong(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "policy.yaml"
    file.write_text('"os_load-balancer_api:loom:post": "role:weaver"\n')

    with pytest.raises(SystemExit) as left:
        main(["policy", "check", "--file", str(file)])

    assert left.value.code == 1
    assert capsys.readouterr().out == "os_load-balancer_api:loom:post: unknown rule\n"


def test_check_says_when_there_is_no_file(tmp_path: Path) -> None:
    assert faults_of(configuration([]), tmp_path / "nowhere.yaml") == [
        f"{tmp_path}/nowhere.yaml: there is no such file"
    ]
