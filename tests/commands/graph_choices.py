"""Graphs as requests have them: with whatever can be wrong with single objects, or with nothing wrong."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as some

Document = dict[str, Any]


@dataclass(frozen=True)
class Choices:
    """What may be drawn; a mistake stands beside several right values."""

    listener_protocols: Sequence[str] = ("HTTP", "HTTP", "HTTP", "TCP", "UDP", "PROMETHEUS")
    pool_protocols: Sequence[str] = ("HTTP", "HTTP", "HTTP", "TCP", "UDP", "PROXY")
    always_port: Sequence[int] = (0, 0, 0, 80)  # 0 for one of its own
    addresses: Sequence[str] = ("10.0.0.1", "10.0.0.2", "10.0.0.2", "169.254.169.254")
    weights: Sequence[int] = (1, 1, 0, 256, 257)
    monitor_types: Sequence[str] = ("HTTP", "TCP", "PING", "UDP-CONNECT")
    retries: Sequence[int] = (1, 1, 1, 11)
    monitors_say_besides: Sequence[str] = ("url_path", "domain_name")
    persistence: Sequence[str] = ("SOURCE_IP", "HTTP_COOKIE", "APP_COOKIE")
    rule_types: Sequence[str] = ("PATH", "HOST_NAME", "HEADER")
    rule_values: Sequence[str] = ("/a", "/b", "/c", "(")


ANY = Choices()
RIGHT = Choices(
    listener_protocols=("HTTP", "HTTP", "TCP"),
    pool_protocols=("HTTP", "PROXY"),
    always_port=(0,),
    addresses=("10.0.0.1",),
    weights=(1, 0, 256),
    monitor_types=("HTTP", "TCP", "PING"),
    retries=(1, 10),
    monitors_say_besides=(),
    persistence=("SOURCE_IP", "HTTP_COOKIE"),
    rule_types=("PATH", "HOST_NAME"),
    rule_values=("/a", "/b"),
)


def members(choices: Choices) -> some.SearchStrategy[list[Document]]:
    one = some.fixed_dictionaries(
        {
            "address": some.sampled_from(choices.addresses),
            "protocol_port": some.integers(1, 3),
            "weight": some.sampled_from(choices.weights),
        }
    )
    if choices is RIGHT:
        return some.lists(one, max_size=3, unique_by=lambda member: member["protocol_port"])
    return some.lists(one, max_size=3)


def monitors(choices: Choices) -> some.SearchStrategy[Document]:
    besides = {"url_path": some.just("/health"), "domain_name": some.just("example.org")}
    return some.fixed_dictionaries(
        {
            "type": some.sampled_from(choices.monitor_types),
            "delay": some.just(5),
            "timeout": some.just(1),
            "max_retries": some.sampled_from(choices.retries),
        },
        optional={name: besides[name] for name in choices.monitors_say_besides},
    )


def rules(choices: Choices) -> some.SearchStrategy[Document]:
    return some.fixed_dictionaries(
        {
            "type": some.sampled_from(choices.rule_types),
            "compare_type": some.sampled_from(["STARTS_WITH", "EQUAL_TO", "REGEX"]),
            "value": some.sampled_from(choices.rule_values),
        },
        optional={"key": some.just("X-Loom"), "invert": some.booleans()},
    )


def pools(choices: Choices, names: Sequence[str]) -> some.SearchStrategy[list[Document]]:
    definition = some.fixed_dictionaries(
        {
            "protocol": some.sampled_from(choices.pool_protocols),
            "lb_algorithm": some.just("ROUND_ROBIN"),
            "members": members(choices),
        },
        optional={
            "healthmonitor": monitors(choices),
            "session_persistence": some.sampled_from(choices.persistence).map(lambda type: {"type": type}),
            "tls_enabled": some.booleans(),
        },
    )
    found = some.lists(definition, min_size=len(names), max_size=len(names))
    return found.map(lambda each: [{"name": name, **body} for name, body in zip(names, each, strict=True)])


def policies(choices: Choices, referred: Sequence[str]) -> some.SearchStrategy[Document]:
    redirection: some.SearchStrategy[Document] = some.just({"action": "REJECT"}) | some.just(
        {"action": "REDIRECT_TO_URL", "redirect_url": "http://example.org/"}
    )
    if referred:
        named = some.sampled_from(referred).map(lambda name: {"name": name})
        redirection |= some.fixed_dictionaries({"action": some.just("REDIRECT_TO_POOL"), "redirect_pool": named})
    common = some.fixed_dictionaries(
        {"rules": some.lists(rules(choices), max_size=2)},
        optional={"position": some.integers(1, 3), "name": some.just("it")},
    )
    return some.builds(lambda one, other: {**one, **other}, redirection, common)


@some.composite
def graphs(draw: some.DrawFn, choices: Choices) -> Document:
    names = ["a", "b", "c"][: draw(some.integers(0, 3))]
    defined = draw(pools(choices, names))
    inline = {each["name"]: each for each in defined if draw(some.booleans())}
    listeners = []
    for port in range(80, 80 + draw(some.integers(0, 3))):
        body = {
            "protocol": draw(some.sampled_from(choices.listener_protocols)),
            "protocol_port": draw(some.sampled_from(choices.always_port)) or port,
            "l7policies": draw(some.lists(policies(choices, names), max_size=3)),
        }
        if names and draw(some.booleans()):
            body["default_pool"] = {"name": draw(some.sampled_from(names))}
        listeners.append(body)
    elsewhere = set(inline) if listeners else set()
    _put_inline(listeners, inline)
    return {"listeners": listeners, "pools": [each for each in defined if each["name"] not in elsewhere]}


def _put_inline(listeners: Sequence[Document], inline: dict[str, Document]) -> None:
    """Replaces the first reference to each of these pools by its definition; without any it stays unused."""
    for body in listeners:
        for holder, key in ((body, "default_pool"), *((each, "redirect_pool") for each in body["l7policies"])):
            name = holder.get(key, {}).get("name")
            if name in inline:
                holder[key] = inline.pop(name)
    if inline and listeners:
        first = listeners[0]
        for definition in list(inline.values()):
            first["l7policies"].append({"action": "REDIRECT_TO_POOL", "redirect_pool": definition, "rules": []})
        inline.clear()


def definitions(body: Document) -> Iterator[Document]:
    yield from body.get("pools", ())
    for each in body.get("listeners", ()):
        redirections = [policy["redirect_pool"] for policy in each.get("l7policies", ()) if "redirect_pool" in policy]
        inline = [each["default_pool"]] if "default_pool" in each else []
        yield from (pool for pool in (*inline, *redirections) if "protocol" in pool)
