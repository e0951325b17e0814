"""No text that a user can store changes the meaning of a configuration file.

The fields are found mechanically: whatever holds free text in a value below a load balancer is tried, read by the
template or not, so a new field is covered from its first day.
"""

import inspect
import re
import socket
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields, is_dataclass, replace
from enum import Enum
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

import pytest

from amphora.haproxy import RenderOptions, Unrenderable, render
from domain.health_monitor import HealthMonitor, HttpVersion
from domain.l7_policy import L7Action, L7Policy
from domain.l7_rule import L7CompareType, L7Rule, L7RuleType
from domain.listener import Listener
from domain.member import Member
from domain.pool import Pool, SessionPersistence, SessionPersistenceType
from domain.tree import Tree
from tests.amphora.rendering import (
    LOCAL,
    TLS_FILES,
    a_listener,
    a_member,
    a_monitor,
    a_policy,
    a_pool,
    a_rule,
    a_tls_listener,
    a_tree,
    an_id,
    haproxy_program,
    haproxys_objection,
    rendered,
    words_of,
)
from tests.amphora.test_haproxy_tls import write_tls_files

HOSTILE = {
    "newline": "\n",
    "newline and section": "\nbackend evil",
    "carriage return": "\r",
    "tab": "\t",
    "nul": "\0",
    "escape": "\x1b",
    "delete": "\x7f",
    "variable": "$NAME",
    "braced variable": "${NAME}",
    "sample": "%[env(x)]",
    "percent": "%%",
    "lone percent": "%",
    "single quote": "'",
    "double quote": '"',
    "backslash": "\\",
    "comment": "#",
    "space": " ",
    "words": "' weight 256 \"",
    "comma": "a,b",
    "parenthesis": ")",
    "non-ASCII": "\u00fc\u2028\u200f",
}
PLACES = ("{}", "x{}x", "/{}", "/x{}x", "200{}", "http://x/{}", '"{}"')
OPTIONS = RenderOptions(base_path=".", user=None, threads=1, flow_log="/dev/log")


def _values() -> dict[str, Any]:
    """One object of each kind, all of whose fields are read by the template."""
    persistence = SessionPersistence(type=SessionPersistenceType.APP_COOKIE, cookie_name="x")
    header = {"type": L7RuleType.HEADER, "key": "x"}
    return {
        "listener": a_tls_listener(insert_headers={"X-Forwarded-For": "true"}, allowed_cidrs=("10.0.0.0/8",)),
        "pool": a_pool(session_persistence=persistence, tls_enabled=True),
        "member": a_member(monitor_address="127.0.0.2"),
        "monitor": a_monitor(http_version=HttpVersion.HTTP_1_1, domain_name="x", url_path="/x", expected_codes="200"),
        "policy": a_policy(action=L7Action.REDIRECT_TO_URL, redirect_url="http://x"),
        "policy_with_prefix": a_policy(id=an_id(7), action=L7Action.REDIRECT_PREFIX, redirect_prefix="http://x"),
        "rule": a_rule(**header, compare_type=L7CompareType.EQUAL_TO, value="x"),
        "rule_with_regex": a_rule(id=an_id(8), **header, compare_type=L7CompareType.REGEX, value="x"),
        "rule_of_subject": a_rule(id=an_id(9), type=L7RuleType.SSL_DN_FIELD, key="O", value="x"),
        "rule_of_cookie": a_rule(id=an_id(10), l7policy_id=an_id(7), type=L7RuleType.COOKIE, key="x", value="x"),
    }


def _text_fields(cls: type) -> Iterator[tuple[str, ...]]:
    """Paths of fields that hold free text, through nested values, mappings and tuples."""
    for name, hint in get_type_hints(cls).items():
        if any(part is str for part in _parts_of(hint)):
            yield (name,)
        for nested in filter(is_dataclass, _parts_of(hint)):
            yield from ((name, *path) for path in _text_fields(nested))  # type: ignore[arg-type]


def _parts_of(hint: Any) -> Iterator[Any]:
    """The classes that a type hint is made of; an enum is no free text."""
    if isinstance(hint, type) and not get_origin(hint):
        if not issubclass(hint, Enum):
            yield hint
        return
    for argument in get_args(hint):
        yield from _parts_of(argument)


def _with(value: Any, path: tuple[str, ...], text: str) -> Any:
    name, *rest = path
    old = getattr(value, name)
    if rest:
        return replace(value, **{name: _with(old, tuple(rest), text)})
    if isinstance(old, Mapping):
        return replace(value, **{name: {text: "true", "X-Forwarded-For": text}})
    if isinstance(old, tuple):
        return replace(value, **{name: (text,)})
    return replace(value, **{name: text})


_L7_KINDS = {kind for kind, value in _values().items() if isinstance(value, L7Policy | L7Rule)}
FIELDS = [(kind, path) for kind, value in _values().items() for path in _text_fields(type(value))]
OWN_FIELDS = [name for name, parameter in inspect.signature(render).parameters.items() if parameter.annotation is str]


def _file_with(kind: str, path: tuple[str, ...], text: str) -> str | None:
    """The file when one field holds this text; None when the field is refused."""
    values = _values()
    try:
        if kind == "load_balancer":
            return _file(values, **{path[0]: text})
        return _file({**values, kind: _with(values[kind], path, text)})
    except Unrenderable:
        return None


def _file(values: dict[Any, Any], **said: object) -> str:
    return rendered(_tree(values), OPTIONS, tls_files=TLS_FILES, **said)


def _tree(values: dict[Any, Any]) -> Tree:
    tree = a_tree(values["listener"], values["pool"], values["member"], values["monitor"])
    tree = tree.with_l7_policies(value for value in values.values() if isinstance(value, L7Policy))
    for value in values.values():
        if isinstance(value, L7Rule):
            tree = tree.with_l7_rule(value)
    return tree


CASES = [*FIELDS, *(("load_balancer", (name,)) for name in OWN_FIELDS)]


def test_the_fields_with_free_text_were_found() -> None:
    found = {(kind, ".".join(path)) for kind, path in CASES}

    assert found >= {
        ("listener", "name"),
        ("listener", "insert_headers"),
        ("pool", "session_persistence.cookie_name"),
        ("member", "address"),
        ("member", "monitor_address"),
        ("member", "tags"),
        ("monitor", "url_path"),
        ("monitor", "expected_codes"),
        ("monitor", "domain_name"),
        ("listener", "allowed_cidrs"),
        ("listener", "default_tls_container_ref"),
        ("listener", "sni_container_refs"),
        ("listener", "tls_ciphers"),
        ("listener", "tls_versions"),
        ("pool", "tls_ciphers"),
        ("pool", "ca_tls_container_ref"),
        ("policy", "redirect_url"),
        ("policy_with_prefix", "redirect_prefix"),
        ("rule", "key"),
        ("rule", "value"),
        ("rule_with_regex", "value"),
        ("rule_of_subject", "value"),
        ("rule_of_cookie", "value"),
        ("load_balancer", "project_id"),
        ("load_balancer", "vip_address"),
    }
    assert {type(value) for value in _values().values()} == {Listener, Pool, Member, HealthMonitor, L7Policy, L7Rule}
    assert all(len(fields(value)) > 3 for value in _values().values())


@pytest.mark.parametrize(("kind", "path"), CASES, ids=lambda part: part if isinstance(part, str) else ".".join(part))
def test_hostile_text_is_refused_or_stays_one_argument(kind: str, path: tuple[str, ...]) -> None:
    for place in PLACES:
        harmless = _file_with(kind, path, place.format("x")) or _file(_values())
        for name, hostile in HOSTILE.items():
            text = _file_with(kind, path, place.format(hostile))

            if text is not None:
                assert shape_of(text) == shape_of(harmless), name


ATTACKS = [place.format(hostile) for place in PLACES for hostile in HOSTILE.values()]


@pytest.mark.amphora
def test_haproxy_accepts_every_file_with_hostile_text(tmp_path: Path) -> None:
    cases = [(kind, path) for kind, path in CASES if kind not in _L7_KINDS]
    texts = {_file_with(kind, path, attack) for kind, path in cases for attack in ATTACKS}
    texts -= {None, _file(_values())}
    file = tmp_path / "haproxy.cfg"
    write_tls_files(tmp_path / "certs", [_values()["listener"]])

    assert len(texts) > 20  # of cookie_name, url_path and project_id, at least
    for text in texts:
        file.write_text(str(text))
        assert haproxys_objection(file) == "", text


@pytest.mark.amphora
def test_haproxy_accepts_all_hostile_policies_and_rules(tmp_path: Path) -> None:
    attacked = {
        _with(_values()[kind], path, attack)
        for kind, path in CASES
        for attack in ATTACKS
        if kind in _L7_KINDS and _file_with(kind, path, attack) is not None
    }
    file = tmp_path / "haproxy.cfg"
    write_tls_files(tmp_path / "certs", [_values()["listener"]])

    assert len(attacked) > 200
    file.write_text(_file({**_values(), **dict(enumerate(_each_with_its_own_policy(attacked)))}))
    assert haproxys_objection(file) == ""


def _each_with_its_own_policy(attacked: Iterable[L7Policy | L7Rule]) -> Iterator[L7Policy | L7Rule]:
    for number, each in enumerate(attacked):
        policy_id = an_id(1000 + number)
        if isinstance(each, L7Rule):
            yield a_policy(id=policy_id)
            yield replace(each, id=an_id(5000 + number), l7policy_id=policy_id)
        else:
            yield replace(each, id=policy_id)
            yield a_rule(id=an_id(5000 + number), l7policy_id=policy_id)


@pytest.mark.amphora
def test_a_check_sends_its_path_as_it_was_stored(tmp_path: Path) -> None:
    path = "/%[env(SECRET)]$SECRET${SECRET}'\""
    with socket.create_server(("127.0.0.1", 0)) as member:
        member.settimeout(10)
        values = _values() | {
            "listener": a_listener(protocol_port=free_port("127.20.0.5")),
            "pool": a_pool(),
            "member": a_member(address="127.0.0.1", protocol_port=member.getsockname()[1]),
            "monitor": a_monitor(url_path=path),
        }
        (tmp_path / "haproxy.cfg").write_text(rendered(_tree(values), LOCAL))
        with haproxy_running(tmp_path, SECRET="told"):
            connection, _ = member.accept()
            with connection:
                request = connection.recv(4096)

    assert request.startswith(f"GET {path} HTTP/1.0\r\n".encode())


def free_port(address: str) -> int:
    with socket.create_server((address, 0)) as probe:
        return int(probe.getsockname()[1])


@contextmanager
def haproxy_running(directory: Path, **environment: str) -> Iterator[None]:
    process = subprocess.Popen([haproxy_program(), "-db", "-f", "haproxy.cfg"], cwd=directory, env=environment)
    try:
        yield
    finally:
        process.kill()
        process.wait()


# HAProxy's reading of a line, as its configuration manual describes it ("Quoting and escaping")


def shape_of(text: str) -> list[tuple[str, int, tuple[str, ...]]]:
    """Of each line: the keyword, the number of arguments, and the expressions that HAProxy would evaluate in them."""
    return [(words[0], len(words), tuple(_evaluated(words))) for words in map(words_of, text.split("\n")) if words]


def _evaluated(words: list[str]) -> list[str]:
    """Of the arguments that HAProxy takes for a log-format: not a check's `uri`, for instance."""
    if words[0] == "http-check" and "hdr" in words:
        words = words[words.index("hdr") :]
    elif words[0] not in ("log-format", "http-request", "http-after-response"):
        return []
    return re.findall(r"%(?:{[^}]*})?[\w\[][^% ]*", " ".join(words).replace("%%", ""))


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("  a 'b c' d#e", ["a", "b c", "d"]),
        (r"a 'it'\''s' \# \ b", ["a", "it's", "#", " b"]),
        ('a "b \\" c"d', ["a", 'b \\" cd']),
        ("# nothing", []),
    ],
)
def test_the_reading_of_lines_is_haproxys(line: str, words: list[str]) -> None:
    assert words_of(line) == words


@pytest.mark.parametrize("line", ["a 'b", 'a "b', 'a "$b"'])
def test_what_haproxy_would_not_take_literally_is_noticed(line: str) -> None:
    with pytest.raises(ValueError, match="literally"):
        words_of(line)
