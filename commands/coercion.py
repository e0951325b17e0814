"""Reads single values of a request body by the annotations of the field they are for (domain/fields.py)."""

import ipaddress
import re
from collections.abc import Callable, Mapping, Sequence
from enum import Enum, IntEnum
from functools import partial
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin
from urllib.parse import urlsplit
from uuid import UUID

from domain.fields import CIDR, IP_ADDRESS, ONE_LINE, URL, URL_PATH, Between, Length, Matching
from domain.health_monitor import HttpVersion
from domain.tls import Alpn

Convert = Callable[[Any], Any]
"""Turns what JSON holds into what the domain wants. Raises BadValue, BadCoercion or Invalid."""

LARGEST_NUMBER = 2_147_483_647
"""The bound of numbers that have no other: what the reference stores them in ends there."""


class BadValue(Exception):
    """The value is not one of those allowed; the answer names the field."""


class BadCoercion(Exception):
    """The value is of another type altogether; the answer names the argument and shows the whole body, as always."""


# What a field may hold


def _as_text(value: Any) -> str:
    if not isinstance(value, str):
        raise BadValue("Value should be string")
    if "\0" in value:  # PostgreSQL has no place for it
        raise BadValue("Value should be text without NUL characters")
    return value


def _as_number(value: Any) -> int:
    if not isinstance(value, int | float | str):
        raise BadCoercion(f"int() argument must be a string or a number, not '{type(value).__name__}'")
    try:
        return int(value)
    except (ValueError, OverflowError) as error:
        raise BadCoercion(str(error)) from error


_TRUE = frozenset({"true", "t", "yes", "y", "on", "1"})
_FALSE = frozenset({"false", "f", "no", "n", "off", "0"})


def _as_truth(value: Any) -> bool:
    if isinstance(value, int):  # bool among them
        return bool(value)
    if isinstance(value, str) and value in _TRUE | _FALSE:
        return value in _TRUE
    raise BadCoercion(f"Value not an unambiguous boolean: {value}")


def _as_id(value: Any) -> UUID:
    if isinstance(value, str):
        try:
            return UUID(value)
        except ValueError:
            pass
    raise BadValue("Value should be UUID format")


def _as_http_version(value: Any) -> HttpVersion:
    try:
        return HttpVersion(str(float(value)))
    except (TypeError, ValueError):
        raise BadValue(_one_of(HttpVersion)) from None


def _as_alpn(value: Any) -> Alpn:
    try:
        return Alpn(value)
    except ValueError:
        raise BadValue("Value should be a valid ALPN protocol ID") from None


def _as_cidr(value: Any) -> str:
    """With its prefix, and without the bits beyond it."""
    try:
        return str(ipaddress.ip_network(value if isinstance(value, str) and "%" not in value else "", strict=False))
    except ValueError:
        raise BadValue("Value should be IPv4 or IPv6 CIDR format") from None


def _one_of(choices: type[Enum]) -> str:
    return f"Value should be one of: {', '.join(str(choice.value) for choice in choices)}"


def _as_choice(choices: type[Enum], value: Any) -> Any:
    if isinstance(value, str):
        try:
            return choices(value)
        except ValueError:
            pass
    raise BadValue(_one_of(choices))


def _as_numbered_choice(choices: type[IntEnum], value: Any) -> Any:
    try:
        return choices(_as_number(value))
    except ValueError:
        raise BadValue(_one_of(choices)) from None


def _as_any_list(value: Any) -> tuple[Any, ...]:
    if not isinstance(value, list):
        raise BadCoercion(f"Value not a valid list: {value}")
    return tuple(value)


def _as_any_object(value: Any) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise BadCoercion(f"Value not a valid dict: {value}")
    return value


def _as_list(convert: Convert, value: Any) -> tuple[Any, ...]:
    """Without repetitions: the lists of the contract are sets."""
    return tuple(dict.fromkeys(convert(item) for item in _as_any_list(value)))


def _as_mapping(convert: Convert, value: Any) -> Mapping[str, Any]:
    return {_as_text(key): convert(item) for key, item in _as_any_object(value).items()}


# Limits of what a field may hold


def _within(limit: Between, value: int) -> None:
    high = LARGEST_NUMBER if limit.high is None else limit.high
    if value < limit.low:
        raise BadValue(f"Value should be greater or equal to {limit.low}")
    if value > high:
        raise BadValue(f"Value should be lower or equal to {high}")


def _no_longer(limit: Length, value: str) -> None:
    if len(value) < limit.low:
        raise BadValue(f"Value should have a minimum character requirement of {limit.low}")
    if len(value) > limit.high:
        raise BadValue(f"Value should have a maximum character requirement of {limit.high}")


def _matches(pattern: re.Pattern[str], value: str) -> None:
    """The whole text: a newline at the end would otherwise slip past `$`, and foreign digits past `\\d`."""
    if not (value.isascii() and pattern.fullmatch(value)):
        raise BadValue(f"Value should match the pattern {pattern.pattern}")


def _is_address(value: str) -> None:
    """Without a zone (`%eth0`): that is a name of the machine, and anything may stand in it."""
    try:
        ipaddress.ip_address(value if "%" not in value else "")
    except ValueError:
        raise BadValue("Value should be IPv4 or IPv6 format") from None


_PATH = re.compile(r"/(?!/)[^\s\x00-\x20\x7f-\x9f]*")


def _is_path(value: str) -> None:
    if len(value) > 255:
        raise BadValue("Value should have a maximum character requirement of 255")
    if value != "/" and not _PATH.fullmatch(value):
        raise BadValue("Value must be a valid URL Path string")


_HOST = re.compile(r"[\w.~%!$&'()*+,;=-]+|[0-9a-f:.]+")


def _is_url(value: str) -> None:
    if re.search(r"[\s\x00-\x20\x7f-\x9f]", value) or not _names_a_host(value):
        raise BadValue("Value must be a valid URL string")


def _names_a_host(url: str) -> bool:
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:  # unbalanced brackets, no port number
        return False
    has_path = parts.path == "" or _PATH.fullmatch(parts.path) is not None
    return parts.scheme in ("http", "https") and _HOST.fullmatch(host or "") is not None and has_path


def _is_one_line(value: str) -> None:
    if "\r" in value or "\n" in value:
        raise BadValue(r"Value should match the pattern ^[^\r\n]*$")


def _check_for(mark: object) -> Callable[[Any], None] | None:
    match mark:
        case Between():
            return partial(_within, mark)
        case Length():
            return partial(_no_longer, mark)
        case Matching(pattern):
            return partial(_matches, re.compile(pattern))
        case _:
            return _CHECKS.get(mark)  # type: ignore[call-overload, no-any-return]


_CHECKS = {IP_ADDRESS: _is_address, URL_PATH: _is_path, URL: _is_url, ONE_LINE: _is_one_line}


# From annotations to converters


def unfolded(hint: Any) -> tuple[Any, tuple[object, ...]]:
    """The type itself, without None, and all marks on the way to it."""
    marks: tuple[object, ...] = ()
    while True:
        if hasattr(hint, "__metadata__"):
            marks = (*hint.__metadata__, *marks)
            hint = hint.__origin__
        elif get_origin(hint) in (Union, UnionType):
            (hint,) = (part for part in get_args(hint) if part is not NoneType)
        else:
            return hint, marks


_SCALARS: Mapping[type, Convert] = {
    list: _as_any_list,
    dict: _as_any_object,
    str: _as_text,
    int: _as_number,
    bool: _as_truth,
    UUID: _as_id,
    HttpVersion: _as_http_version,
    Alpn: _as_alpn,
}


def converter(hint: Any) -> Convert:
    """How a value of an annotated type is read; objects within objects are read by `Parser`."""
    kind, marks = unfolded(hint)
    checks = [check for check in map(_check_for, marks) if check is not None]
    convert = _as_cidr if CIDR in marks else _conversion(kind)
    return partial(_checked, convert, checks) if checks else convert


def _conversion(kind: Any) -> Convert:
    origin = get_origin(kind)
    if origin is tuple:
        return partial(_as_list, converter(get_args(kind)[0]))
    if origin is not None and issubclass(origin, Mapping):
        return partial(_as_mapping, converter(get_args(kind)[1]))
    if kind in _SCALARS:
        return _SCALARS[kind]
    if issubclass(kind, IntEnum):
        return partial(_as_numbered_choice, kind)
    if issubclass(kind, Enum):
        return partial(_as_choice, kind)
    raise TypeError(f"no field can hold {kind}")


def _checked(convert: Convert, checks: Sequence[Callable[[Any], None]], value: Any) -> Any:
    converted = convert(value)
    for check in checks:
        check(converted)
    return converted
