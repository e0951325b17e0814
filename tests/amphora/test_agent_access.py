"""Who may speak to an agent, and what it answers to those who speak nonsense."""

import json
import socket
import ssl
import time
from datetime import UTC, datetime, timedelta
from hashlib import md5
from http.client import RemoteDisconnected
from pathlib import Path
from uuid import uuid4

import pytest

from amphora.trust import Trust
from tests.amphora.running_agent import Listening, RunningAgent

pytestmark = pytest.mark.amphora
REFUSED = (ssl.SSLError, ConnectionError, RemoteDisconnected)


def ask_with(agent: RunningAgent, certificate: Path | None) -> int:
    connection = agent.connection(certificate)
    try:
        connection.request("GET", "/1.0/info")
        return connection.getresponse().status
    finally:
        connection.close()


def written(tmp_path: Path, pem: bytes) -> Path:
    file = tmp_path / "shown.pem"
    file.write_bytes(pem)
    return file


def test_controller_is_answered(agent: RunningAgent) -> None:
    assert ask_with(agent, agent.trust.controller_certificate_file) == 200


def test_nobody_is_answered_without_a_certificate(agent: RunningAgent) -> None:
    with pytest.raises(REFUSED):
        ask_with(agent, None)


def test_foreign_controller_is_not_answered(agent: RunningAgent, tmp_path: Path) -> None:
    foreign = Trust.create_or_load(tmp_path, datetime.now(UTC))

    with pytest.raises(REFUSED):
        ask_with(agent, foreign.controller_certificate_file)


def test_expired_controller_certificate_is_not_answered(agent: RunningAgent, tmp_path: Path) -> None:
    now = datetime.now(UTC)
    expired = agent.trust.clients.issue_controller_certificate(now - timedelta(2), now - timedelta(seconds=1))

    with pytest.raises(REFUSED):
        ask_with(agent, written(tmp_path, expired))


def test_another_amphora_is_not_answered(agent: RunningAgent, tmp_path: Path) -> None:
    now = datetime.now(UTC)
    other = agent.trust.servers.issue_server_certificate(uuid4(), now, now + timedelta(1))

    with pytest.raises(REFUSED):
        ask_with(agent, written(tmp_path, other))


def test_amphora_is_not_answered_even_where_one_authority_signs_everything(agent: RunningAgent, tmp_path: Path) -> None:
    now = datetime.now(UTC)
    other = agent.trust.clients.issue_server_certificate(uuid4(), now, now + timedelta(1))

    assert ask_with(agent, written(tmp_path, other)) == 403


def test_refused_certificate_changes_nothing(agent: RunningAgent, tmp_path: Path) -> None:
    now = datetime.now(UTC)
    other = agent.trust.clients.issue_server_certificate(uuid4(), now, now + timedelta(1))
    connection = agent.connection(written(tmp_path, other))
    connection.request("DELETE", f"/1.0/listeners/{agent.load_balancer_id}")
    status = connection.getresponse().status
    connection.close()

    assert status == 403


def test_client_that_says_nothing_holds_up_nobody(agent: RunningAgent) -> None:
    silent = [socket.create_connection((agent.host, 9443)) for _ in range(10)]
    began = time.monotonic()

    assert ask_with(agent, agent.trust.controller_certificate_file) == 200

    assert time.monotonic() - began < 1.0
    for connection in silent:
        connection.close()


ID = "00000000-0000-4000-8000-0000000000aa"  # the same in each test process
NONSENSE = [
    ("GET", "/nowhere", None, 404),
    ("GET", "/1.0/loadbalancer/../../etc/passwd/haproxy", None, 404),
    ("GET", f"/1.0/loadbalancer/{ID}/haproxy", None, 404),
    ("POST", "/", None, 405),
    ("DELETE", "/1.0/info", None, 405),
    ("PATCH", "/1.0/info", None, 405),
    ("PUT", f"/1.0/loadbalancer/{ID}/explode", None, 400),
    ("PUT", f"/1.0/loadbalancer/{ID}/start", None, 404),
    ("PUT", f"/1.0/loadbalancer/{ID}/reload", None, 404),
    ("PUT", f"/1.0/loadbalancer/{ID}/stop", None, 404),
    ("PUT", f"/1.0/loadbalancer/{ID}/{ID}/haproxy", b"\xff\xfe", 400),
    ("PUT", f"/1.0/loadbalancer/{ID}/{ID}/haproxy", b"nonsense", 400),
    ("PUT", f"/1.0/tacitus/{ID}/check", b"\0", 400),
    ("PUT", f"/1.0/loadbalancer/{ID}/{ID}/haproxy", b"#" * (1024 * 1024 + 1), 413),
    ("PUT", f"/1.0/loadbalancer/{ID}/certificates/x.txt", b"x", 400),
    ("PUT", f"/1.0/loadbalancer/{ID}/certificates/..pem", b"x", 400),
    ("GET", f"/1.0/loadbalancer/{ID}/certificates/x.pem", None, 404),
    ("POST", "/1.0/plug/vip/127.20.0.1", b"{", 400),
    ("POST", "/1.0/plug/vip/127.20.0.1", b"[]", 400),
    ("POST", "/1.0/plug/vip/127.20.0.1", b"{}", 400),
    ("POST", "/1.0/plug/vip/nonsense", b'{"subnet_cidr": "10.0.0.0/8", "gateway": null, "mac_address": "x"}', 400),
    ("POST", "/1.0/plug/vip/1.2.3.4", b'{"subnet_cidr": "x", "gateway": null, "mac_address": "x"}', 400),
    ("POST", "/1.0/plug/network", b"[" * 100_000, 400),
    ("POST", "/1.0/plug/network", b'{"mac_address": "x", "fixed_ips": [1]}', 400),
    ("POST", "/1.0/plug/network", b'{"mac_address": "x", "fixed_ips": 1}', 400),
    ("POST", "/1.0/plug/network", b'{"mac_address": "x", "fixed_ips": [{"ip_address": "y"}]}', 400),
    ("GET", "/1.0/interface/nonsense", None, 400),
    ("GET", "/1.0/interface/192.0.2.1", None, 404),
    ("PUT", "/1.0/interface/192.0.2.1/rules", b"[]", 501),
    ("PUT", "/1.0/vrrp/upload", b"", 501),
    ("PUT", "/1.0/vrrp/start", None, 501),
    ("PUT", f"/1.0/listeners/{ID}/{ID}/udp_listener", b"", 501),
    ("PUT", "/1.0/certificate", b"nonsense", 400),
    ("PUT", "/1.0/config", b"nonsense", 400),
    ("PUT", "/1.0/config", b"[amphora_agent]\namphora_id = 00000000-0000-4000-8000-000000000000\n", 400),
]


@pytest.mark.parametrize(("method", "path", "body", "expected"), NONSENSE)
def test_nonsense_is_answered_in_json(
    shared_agent: RunningAgent, method: str, path: str, body: bytes | None, expected: int
) -> None:
    status, content = shared_agent.ask(method, path, body)

    assert status == expected
    assert {"message", "error"} & set(json.loads(content))
    assert b"Traceback" not in content
    assert "Traceback" not in shared_agent.output()


def test_what_is_no_request_at_all_is_answered_in_json(shared_agent: RunningAgent) -> None:
    connection = shared_agent.connection(shared_agent.trust.controller_certificate_file)
    connection.connect()
    connection.sock.sendall(b"nonsense\r\n\r\n")
    answer = connection.sock.recv(4096)
    connection.close()

    assert b'"http_code": 400' in answer


def test_upload_and_download_carry_the_checksum(agent: RunningAgent, listening: Listening) -> None:
    text = agent.configuration(1, listening)
    path = f"/1.0/loadbalancer/{agent.amphora_id}/{agent.load_balancer_id}/haproxy"

    uploaded, body, headers = agent.ask_for_headers("PUT", path, text)
    downloaded, content, again = agent.ask_for_headers("GET", f"/1.0/loadbalancer/{agent.load_balancer_id}/haproxy")

    assert (uploaded, json.loads(body)) == (202, {"message": "OK"})
    assert (downloaded, content.decode()) == (200, text)
    assert headers["ETag"] == again["ETag"]
    assert len(headers["ETag"]) == 32


def test_certificates_of_listeners_are_stored_private_compared_and_removed(agent: RunningAgent) -> None:
    path = f"/1.0/loadbalancer/{agent.load_balancer_id}/certificates/a1.pem"

    assert agent.ask("PUT", path, "PEM")[0] == 200
    stored = agent.base / "certs" / str(agent.load_balancer_id) / "a1.pem"
    assert stored.stat().st_mode & 0o777 == 0o600
    assert json.loads(agent.ask("GET", path)[1]) == {"md5sum": md5(b"PEM").hexdigest()}
    assert agent.ask("DELETE", path)[0] == 200
    assert agent.ask("GET", path)[0] == 404


def test_plugged_vip_is_known_and_not_plugged_twice(agent: RunningAgent) -> None:
    body = json.dumps({"subnet_cidr": "127.20.0.0/24", "gateway": None, "mac_address": "fa:16:3e:00:00:01"})

    first = agent.ask("POST", "/1.0/plug/vip/127.20.0.1", body)[0]
    second = agent.ask("POST", "/1.0/plug/vip/127.20.0.1", body)[0]
    status, content = agent.ask("GET", "/1.0/interface/127.20.0.1")

    assert (first, second) == (202, 409)
    assert (status, json.loads(content)["interface"]) == (200, "lo")
