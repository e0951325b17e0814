"""Reads request bodies into the values that the domain defines, with the contract's coercions and words.

A parser is compiled once per class from its annotations (domain/fields.py), so a new field needs nothing here.
"""

import ipaddress
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, Field, dataclass, field, fields, is_dataclass
from enum import Enum
from functools import partial
from types import MappingProxyType, NoneType, UnionType
from typing import Any, Generic, TypeVar, Union, get_args, get_origin, get_type_hints
from uuid import UUID

from domain.errors import Invalid, NotAnOption, NotCarriedOut
from domain.fields import (
    FIXED,
    IP_ADDRESS,
    NULL_KEEPS,
    NULL_REFUSED,
    URL_PATH,
    Between,
    Length,
    Matching,
    OnNull,
)
from domain.health_monitor import HttpVersion

T = TypeVar("T")
Attributes = Mapping[str, Any]
Convert = Callable[[Any], Any]
"""Turns what JSON holds into what the domain wants. Raises BadValue, BadCoercion or Invalid."""

LARGEST_NUMBER = 2_147_483_647
"""The bound of numbers that have no other: what the reference stores them in ends there."""


class BadValue(Exception):
    """The value is not one of those allowed; the answer names the field."""


class BadCoercion(Exception):
    """The value is of another type altogether; the answer names the argument and shows the whole body, as always."""


def invalid_input(field_name: str, value: object, reason: str) -> Invalid:
    return Invalid(f"Invalid input for field/attribute {field_name}. Value: '{value}'. {reason}")


@dataclass(frozen=True)
class Received:
    """An object of a request body, and where it stood.

    argument  the contract's name for the whole body
    path      the argument and the names of the objects around this one, for error texts
    body      all that was received, for error texts
    """

    argument: str
    path: str
    body: object
    attributes: Attributes


def received(body: Any, argument: str, root: str) -> Received:
    """The object that a body wraps; Invalid when there is none, or something beside it."""
    attributes = unwrapped(body, argument, root)
    if not isinstance(attributes, dict):
        raise invalid_input(root, attributes, "Value should be an object")
    return Received(argument, f"{argument}.{root}", body, attributes)


def unwrapped(body: Any, argument: str, root: str) -> Any:
    """What a body holds under its only key; Invalid without it, or with another."""
    if not isinstance(body, dict):
        raise invalid_input(argument, body, "Value should be an object")
    _require_known(body.keys(), {root}, argument)
    if body.get(root) is None:
        raise invalid_input(root, None, "Mandatory field missing.")
    return body[root]


def _require_known(given: Any, known: Any, path: str) -> None:
    unknown = [name for name in given if name not in known]
    if unknown:
        plural = "s" if len(unknown) > 1 else ""
        raise Invalid(f"Unknown attribute{plural} for argument {path}: {', '.join(unknown)}")


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


def _one_of(choices: type[Enum]) -> str:
    return f"Value should be one of: {', '.join(str(choice.value) for choice in choices)}"


def _as_choice(choices: type[Enum], value: Any) -> Any:
    if isinstance(value, str):
        try:
            return choices(value)
        except ValueError:
            pass
    raise BadValue(_one_of(choices))


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


def _check_for(mark: object) -> Callable[[Any], None] | None:
    match mark:
        case Between():
            return partial(_within, mark)
        case Length():
            return partial(_no_longer, mark)
        case Matching(pattern):
            return partial(_matches, re.compile(pattern))
        case _:
            return {IP_ADDRESS: _is_address, URL_PATH: _is_path}.get(mark)  # type: ignore[call-overload, no-any-return]


# From annotations to converters


def _unfolded(hint: Any) -> tuple[Any, tuple[object, ...]]:
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
}


def converter(hint: Any) -> Convert:
    """How a value of an annotated type is read; objects within objects are read by `Parser`."""
    kind, marks = _unfolded(hint)
    checks = [check for check in map(_check_for, marks) if check is not None]
    convert = _conversion(kind)
    return partial(_checked, convert, checks) if checks else convert


def _conversion(kind: Any) -> Convert:
    origin = get_origin(kind)
    if origin is tuple:
        return partial(_as_list, converter(get_args(kind)[0]))
    if origin is not None and issubclass(origin, Mapping):
        return partial(_as_mapping, converter(get_args(kind)[1]))
    if kind in _SCALARS:
        return _SCALARS[kind]
    if issubclass(kind, Enum):
        return partial(_as_choice, kind)
    raise TypeError(f"no field can hold {kind}")


def _checked(convert: Convert, checks: Sequence[Callable[[Any], None]], value: Any) -> Any:
    converted = convert(value)
    for check in checks:
        check(converted)
    return converted


# Fields and objects


_REFUSED = object()
_KEPT = object()


@dataclass(frozen=True)
class _Attribute:
    """One field of an object: how it is read, and what its absence and null mean.

    on_post, on_put  the value for an explicit null; _REFUSED and _KEPT say what they say
    """

    name: str
    required: bool
    fixed: bool
    on_post: object
    on_put: object
    convert: Convert
    nested: "Parser[Any] | None" = None

    def read(self, within: Received, on_null: object, *, partly: bool) -> Any:
        value = within.attributes[self.name]
        if value is None:
            if on_null is _REFUSED:
                raise NotAnOption(None, self.name)
            return on_null
        if self.nested is not None:
            return self._object(within, value, partly=partly)
        try:
            return self.convert(value)
        except BadValue as error:
            raise invalid_input(self.name, value, str(error)) from error
        except BadCoercion as error:
            raise invalid_input(within.argument, within.body, str(error)) from error

    def _object(self, within: Received, value: Any, *, partly: bool) -> Any:
        if not isinstance(value, dict) or self.nested is None:
            raise invalid_input(self.name, value, "Value should be an object")
        inner = Received(within.argument, f"{within.path}.{self.name}", within.body, value)
        if partly:
            return self.nested.said(inner)
        return self.nested.kind(**self.nested.given(inner))


def _attribute(name: str, hint: Any, field_: "Field[Any] | None") -> _Attribute:
    kind, marks = _unfolded(hint)
    default = MISSING if field_ is None else _default_of(field_)
    on_null = next((mark for mark in marks if isinstance(mark, OnNull)), None)
    required = default is MISSING
    in_absence = _REFUSED if required else default
    on_put = _KEPT if NULL_KEEPS in marks else _REFUSED if NULL_REFUSED in marks else in_absence
    nested = Parser(kind) if is_dataclass(kind) and isinstance(kind, type) else None
    return _Attribute(
        name=name,
        required=required,
        fixed=FIXED in marks,
        on_post=on_null.post if on_null else in_absence,
        on_put=on_null.put if on_null else on_put,
        convert=str if nested else converter(hint),
        nested=nested,
    )


def _default_of(field_: "Field[Any]") -> Any:
    return field_.default_factory() if field_.default_factory is not MISSING else field_.default


@dataclass(frozen=True)
class NotYet:
    """An attribute of the contract that this release does not carry out: read, and refused unless it asks for nothing.

    default  the contract's own default, which asks for nothing either
    """

    type: Any
    default: object = None
    fixed: bool = False


class Parser(Generic[T]):
    """Reads objects of one class from request bodies.

    kind     the dataclass that defines the fields, except those in `without`, which do not come from the body
    extra    attributes that a creation takes besides, name -> annotated type, required unless it allows None
    ignored  attributes that a creation may carry without any effect, likewise with their types
    """

    def __init__(
        self,
        kind: type[T],
        *,
        without: Sequence[str] = ("id",),
        extra: Mapping[str, Any] = MappingProxyType({}),
        ignored: Mapping[str, Any] = MappingProxyType({}),
        not_yet: Mapping[str, NotYet] = MappingProxyType({}),
    ) -> None:
        self.kind = kind
        hints = get_type_hints(kind, include_extras=True)
        own = [
            _attribute(each.name, hints[each.name], each)
            for each in fields(kind)  # type: ignore[arg-type]
            if each.name not in without
        ]
        added = [_attribute(name, hint, None if _is_required(hint) else _OPTIONAL) for name, hint in extra.items()]
        self._ignored = [_attribute(name, hint, _OPTIONAL) for name, hint in ignored.items()]
        self._on_post = [*added, *own, *self._ignored]
        self._on_put = [each for each in own if not each.fixed]
        self._not_yet = {name: (spec, converter(spec.type)) for name, spec in not_yet.items()}
        self._known_on_post = {each.name for each in self._on_post} | set(not_yet)
        changeable = {name for name, spec in not_yet.items() if not spec.fixed}
        self._known_on_put = {each.name for each in self._on_put} | changeable

    def given(self, received: Received) -> dict[str, Any]:
        """For a creation: what was said, with null replaced by what it stands for. Absent attributes stay absent."""
        return self._read(received, complete=True)

    def said(self, received: Received) -> Mapping[str, Any]:
        """As `given`, but nothing has to be there."""
        return MappingProxyType(self._read(received, complete=False))

    def _read(self, received: Received, *, complete: bool) -> dict[str, Any]:
        _require_known(received.attributes, self._known_on_post, received.path)
        found: dict[str, Any] = {}
        for each in self._on_post:
            if each.name in received.attributes:
                found[each.name] = each.read(received, each.on_post, partly=False)
            elif each.required and complete:
                raise invalid_input(each.name, None, "Mandatory field missing.")
        for each in self._ignored:
            found.pop(each.name, None)
        self._require_carried_out(received)
        return found

    def changes(self, received: Received) -> dict[str, Any]:
        """For a change: the new values of what was said. Objects within come as a mapping of what was said of them."""
        _require_known(received.attributes, self._known_on_put, received.path)
        found: dict[str, Any] = {}
        for each in self._on_put:
            if each.name in received.attributes:
                value = each.read(received, each.on_put, partly=True)
                if value is not _KEPT:
                    found[each.name] = value
        self._require_carried_out(received)
        return found

    def _require_carried_out(self, received: Received) -> None:
        for name, (spec, convert) in self._not_yet.items():
            value = received.attributes.get(name)
            if value is None:
                continue
            wanted = _Attribute(name, False, False, None, None, convert).read(received, None, partly=False)
            if wanted and wanted != spec.default:
                raise NotCarriedOut(f"The attribute {name} of {received.path.rpartition('.')[2]}")


@dataclass
class _Optional:
    value: Any = field(default=None)


(_OPTIONAL,) = fields(_Optional)


def _is_required(hint: Any) -> bool:
    while hasattr(hint, "__metadata__"):
        hint = hint.__origin__
    return not (get_origin(hint) in (Union, UnionType) and NoneType in get_args(hint))
