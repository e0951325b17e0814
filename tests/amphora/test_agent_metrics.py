"""What a PROMETHEUS listener shows: HAProxy's figures under Octavia's names, and nothing of what is not the user's."""

import re
from collections.abc import Iterator
from typing import Any
from uuid import UUID

import pytest

from amphora.agent.metrics import of_machine, translated
from amphora.haproxy import RenderOptions, render
from domain.listener import Listener, ListenerProtocol
from domain.tree import Tree
from tests.amphora.rendering import LOG_ID, a_listener, a_member, a_pool, an_id
from tests.amphora.running_agent import RunningAgent, free_port
from tests.amphora.running_haproxy import Answer, Client, TellingMember

LISTENER, POOL = "11111111-0000-4000-8000-000000000001", "22222222-0000-4000-8000-000000000002"
MEMBER = "33333333-0000-4000-8000-000000000003"
VIP = "127.20.0.5"


# Names


@pytest.mark.parametrize(
    ("told", "shown"),
    [
        ("haproxy_process_max_connections 5", "octavia_loadbalancer_max_connections 5"),
        ("haproxy_process_pool_used_bytes 5", "octavia_memory_pool_used_bytes 5"),
        ("# TYPE haproxy_process_listeners gauge", "# TYPE octavia_loadbalancer_listeners gauge"),
        (
            "# HELP haproxy_backend_active_servers Number of active servers of the backend",
            "# HELP octavia_pool_active_members Number of active members of the pool",
        ),
        (
            f'haproxy_frontend_http_responses_total{{proxy="{LISTENER}",code="2xx"}} 7',
            f'octavia_listener_http_responses_total{{listener="{LISTENER}",code="2xx"}} 7',
        ),
        (
            f'haproxy_backend_server_aborts_total{{proxy="{POOL}:{LISTENER}"}} 0',
            f'octavia_pool_member_aborts_total{{pool="{POOL}:{LISTENER}"}} 0',
        ),
        (
            f'haproxy_server_server_aborts_total{{proxy="{POOL}:{LISTENER}",server="{MEMBER}"}} 0',
            f'octavia_member_server_aborts_total{{pool="{POOL}:{LISTENER}",member="{MEMBER}"}} 0',
        ),
    ],
)
def test_figures_have_the_names_that_users_know(told: str, shown: str) -> None:
    assert list(translated([told])) == [shown]


@pytest.mark.parametrize(
    "told",
    [
        'haproxy_process_build_info{version="2.6.12"} 1',
        "# TYPE haproxy_process_nbthread gauge",
        'haproxy_frontend_sessions_total{proxy="metrics"} 9',
        'haproxy_backend_sessions_total{proxy="exporter"} 9',
        'haproxy_server_sessions_total{proxy="exporter",server="agent"} 9',
        "haproxy_sticktable_size 1",
        "something else",
        "",
    ],
)
def test_what_is_not_the_users_is_left_out(told: str) -> None:
    assert list(translated([told])) == []


def test_machine_is_told_in_percent() -> None:
    memory = {"total": 1_000, "free": 600, "buffers": 50, "cached": 100}

    told = [line for line in of_machine(1.5, 2, memory) if not line.startswith("#")]

    assert told == ["octavia_loadbalancer_cpu 75.0", "octavia_loadbalancer_memory 25.0"]


# A real amphora


@pytest.fixture
def member() -> Iterator[TellingMember]:
    with TellingMember("only", "127.19.0.2") as member:
        yield member


def metrics_listener(**settings: Any) -> Listener:
    protocol = ListenerProtocol.PROMETHEUS
    return a_listener(protocol=protocol, protocol_port=free_port(VIP), default_pool_id=None, **settings)


@pytest.mark.amphora
def test_prometheus_listener_tells_of_all_listeners_pools_and_members(
    agent: RunningAgent, member: TellingMember
) -> None:
    host, port = member.place
    web, shown = a_listener(protocol_port=free_port(VIP)), metrics_listener(id=an_id(9))
    tree = Tree().with_listeners([web, shown]).with_pool(a_pool())
    tree = tree.with_members([a_member(address=host, protocol_port=port)])
    _load(agent, tree)

    before = Client(port=shown.protocol_port).get("/metrics")
    Client(port=web.protocol_port).get()
    after = Client(port=shown.protocol_port).get("/metrics")
    posted = Client(port=shown.protocol_port).get("/metrics", method="POST")

    assert after.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert (after.headers["cache-control"], posted.status) == ("no-cache", 405)
    assert _requests_of(after, web.id) == _requests_of(before, web.id) + 1
    of_pool = f'pool="{an_id(2)}:{web.id}"'
    assert _value(after, f"octavia_pool_http_requests_total{{{of_pool}}}") == 1
    assert _value(after, f'octavia_member_sessions_total{{{of_pool},member="{an_id(3)}"}}') == 1
    assert 0 < _value(after, "octavia_loadbalancer_memory") < 100
    assert "haproxy" not in re.sub("# HELP .*", "", _text(after))
    assert '"metrics"' not in _text(after)


@pytest.mark.amphora
def test_a_source_that_does_not_answer_is_a_bad_gateway(agent: RunningAgent) -> None:
    shown = metrics_listener()
    _load(agent, Tree().with_listeners([shown]))
    (agent.base / f"{agent.load_balancer_id}.prom").unlink()

    assert Client(port=shown.protocol_port).get("/metrics").status == 502


def _load(agent: RunningAgent, tree: Tree) -> None:
    known = {"project_id": "p", "enabled": True, "vip_address": VIP, "revision": 1, "log_id": LOG_ID}
    options = RenderOptions(base_path=str(agent.base), user=None, threads=1, default_maxconn=100)
    text = render(load_balancer_id=agent.load_balancer_id, tree=tree, options=options, **known)  # type: ignore[arg-type]
    assert text is not None
    agent.driver().load_configuration(agent.address, agent.load_balancer_id, text, 1)


def _text(answer: Answer) -> str:
    assert answer.status == 200
    return answer.body.decode()


def _requests_of(answer: Answer, listener_id: UUID) -> float:
    return _value(answer, f'octavia_listener_http_requests_total{{listener="{listener_id}"}}')


def _value(answer: Answer, name: str) -> float:
    (line,) = (line for line in _text(answer).splitlines() if line.startswith(f"{name} "))
    return float(line.removeprefix(name))
