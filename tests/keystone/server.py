"""Keystone and Barbican of our own on loopback, installed into an environment of their own when first needed."""

import fcntl
import hashlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from base64 import b64encode
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
REQUIREMENTS = HERE / "requirements.txt"
PASSWORD = "keep-this-to-yourself"
START_SECONDS = 60

CONFIGURATION = """
[DEFAULT]
log_file = {directory}/keystone.log
[database]
connection = sqlite:///{directory}/keystone.db
[fernet_tokens]
key_repository = {directory}/fernet-keys
[fernet_receipts]
key_repository = {directory}/fernet-keys
[credential]
key_repository = {directory}/credential-keys
[cache]
enabled = false
[token]
expiration = {expiration}
[identity]
password_hash_rounds = 4
"""

BARBICAN = """
[DEFAULT]
log_file = {directory}/barbican.log
host_href = {url}
[database]
connection = sqlite:///{directory}/barbican.db
[secretstore]
enabled_secretstore_plugins = store_crypto
[crypto]
enabled_crypto_plugins = simple_crypto
[simple_crypto_plugin]
kek = {key}
[queue]
enable = false
[oslo_policy]
enforce_scope = true
enforce_new_defaults = true
[keystone_authtoken]
www_authenticate_uri = {keystone}
auth_url = {keystone}
auth_type = password
username = {user}
password = {password}
project_name = service
user_domain_id = default
project_domain_id = default
"""


def environment() -> Path:
    """Directory of programs of a Python environment that holds both; made once for each list of requirements."""
    version = hashlib.sha256(REQUIREMENTS.read_bytes()).hexdigest()[:12]
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "tacitus"
    cache.mkdir(parents=True, exist_ok=True)
    place = cache / f"keystone-{version}-py{sys.version_info.major}.{sys.version_info.minor}"
    with (cache / "keystone.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (place / "complete").exists():
            shutil.rmtree(place, ignore_errors=True)
            subprocess.run([sys.executable, "-m", "venv", place], check=True)
            pip = [place / "bin/pip", "install", "--quiet", "--disable-pip-version-check", "-r", REQUIREMENTS]
            subprocess.run(pip, check=True)
            (place / "complete").touch()
    return place / "bin"


@dataclass(frozen=True)
class Keystone:
    """A server that runs. Users have PASSWORD, and stand in the domain `default`."""

    url: str

    def call(
        self, method: str, path: str, body: object = None, *, token: str | None = None, subject: str = ""
    ) -> tuple[Any, Mapping[str, str]]:
        """Content and headers of the answer. Raises HTTPError for anything but success.

        token    of the one who asks, None for the administrator
        subject  the token that it is about
        """
        headers = {"Content-Type": "application/json", "X-Auth-Token": self.admin if token is None else token}
        headers |= {"X-Subject-Token": subject} if subject else {}
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, headers, method=method)
        with urllib.request.urlopen(request, timeout=30) as answer:
            text = answer.read()
            return json.loads(text) if text else None, answer.headers

    def token(self, user: str, scope: object = None) -> str:
        """scope: a project's name, "system", or None for a token without one."""
        password = {"user": {"name": user, "domain": {"id": "default"}, "password": PASSWORD}}
        auth: dict[str, object] = {"identity": {"methods": ["password"], "password": password}}
        if scope == "system":
            auth["scope"] = {"system": {"all": True}}
        elif scope:
            auth["scope"] = {"project": {"name": scope, "domain": {"id": "default"}}}
        else:
            auth["scope"] = "unscoped"
        _, headers = self.call("POST", "/auth/tokens", {"auth": auth}, token="")
        return headers["X-Subject-Token"]

    @cached_property
    def admin(self) -> str:
        return self.token("admin", "admin")

    def project(self, name: str) -> str:
        """Id of a new project."""
        found: str = self.call("POST", "/projects", {"project": {"name": name}})[0]["project"]["id"]
        return found

    def project_id(self, name: str) -> str:
        found: str = self.call("GET", f"/projects?name={name}")[0]["projects"][0]["id"]
        return found

    def user(self, name: str) -> str:
        found: str = self.call("POST", "/users", {"user": {"name": name, "password": PASSWORD}})[0]["user"]["id"]
        return found

    def role(self, name: str) -> str:
        """Id of a role, which is made when it is not there."""
        roles = self.call("GET", f"/roles?name={name}")[0]["roles"] or [
            self.call("POST", "/roles", {"role": {"name": name}})[0]["role"]
        ]
        found: str = roles[0]["id"]
        return found

    def give(self, user_id: str, role: str, project_id: str | None) -> None:
        """project_id: None for the system."""
        place = f"/projects/{project_id}" if project_id else "/system"
        self.call("PUT", f"{place}/users/{user_id}/roles/{self.role(role)}")


@contextmanager
def a_keystone(directory: Path) -> Iterator[Keystone]:
    """A fresh one, with what `keystone-manage bootstrap` makes: `admin` in the project `admin`."""
    programs, configuration = environment(), directory / "keystone.conf"
    for keys in ("fernet-keys", "credential-keys"):
        (directory / keys).mkdir(mode=0o700)
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/v3"
        configuration.write_text(CONFIGURATION.format(directory=directory, expiration=3_600))
        owner = ["--keystone-user", str(os.getuid()), "--keystone-group", str(os.getgid())]
        urls = [word for kind in ("admin", "internal", "public") for word in (f"--bootstrap-{kind}-url", url)]
        bootstrap = ["bootstrap", "--bootstrap-password", PASSWORD, "--bootstrap-region-id", "RegionOne", *urls]
        for words in (["db_sync"], ["fernet_setup", *owner], bootstrap):
            _run([programs / "keystone-manage", "--config-file", configuration, *words], directory)
        with _served("keystone", listener, directory, OS_KEYSTONE_CONFIG_DIR=str(directory)):
            yield Keystone(url)


@contextmanager
def with_short_tokens(directory: Path) -> Iterator[Keystone]:
    """A second server for the same Keystone, whose tokens expire after a second."""
    short = directory / "short"
    short.mkdir()
    (short / "keystone.conf").write_text(CONFIGURATION.format(directory=directory, expiration=1))
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        _served("keystone", listener, short, OS_KEYSTONE_CONFIG_DIR=str(short)),
    ):
        yield Keystone(f"http://127.0.0.1:{listener.getsockname()[1]}/v3")


@contextmanager
def a_barbican(keystone: Keystone, user: str, directory: Path) -> Iterator[str]:
    """The URL of one that asks this Keystone about tokens, as this user in the project `service`."""
    programs, home = environment(), directory / ".barbican"
    home.mkdir()
    shutil.copy(programs.parent / "etc/barbican/barbican-api-paste.ini", home)
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        said = {"directory": directory, "url": url, "keystone": keystone.url, "user": user, "password": PASSWORD}
        (home / "barbican.conf").write_text(BARBICAN.format(**said, key=b64encode(os.urandom(32)).decode()))
        _run([programs / "barbican-manage", "db", "upgrade"], directory, HOME=str(directory))
        with _served("barbican", listener, directory, HOME=str(directory)):
            yield url


def _run(command: list[object], directory: Path, **variables: str) -> None:
    words, variables = list(map(str, command)), {"PATH": os.defpath, **variables}
    ran = subprocess.run(words, cwd=directory, env=variables, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr


@contextmanager
def _served(service: str, listener: socket.socket, directory: Path, **variables: str) -> Iterator[None]:
    descriptor, log = listener.fileno(), directory / f"{service}.out"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [environment() / "python", HERE / "serve.py", service, str(descriptor)],
            env={"PATH": os.defpath, **variables},
            cwd=directory,
            pass_fds=[descriptor],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        _wait_until_served(process, listener.getsockname()[1], log)
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(10)


def _wait_until_served(process: "subprocess.Popen[bytes]", port: int, log: Path) -> None:
    """Connections wait in the listening socket, so that one question is enough."""
    deadline = time.monotonic() + START_SECONDS
    with socket.create_connection(("127.0.0.1", port), timeout=0.2) as connection:
        connection.sendall(b"GET / HTTP/1.0\r\n\r\n")
        while time.monotonic() < deadline:
            assert process.poll() is None, log.read_text()
            try:
                assert connection.recv(1), log.read_text()
                return
            except TimeoutError:
                continue
    raise AssertionError(log.read_text())
