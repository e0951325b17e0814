"""Reads request bodies into the values that the domain defines, with the contract's words for what is wrong.

A parser is compiled once per class from its annotations (domain/fields.py), so a new field needs nothing here.
"""

from collections.abc import Mapping, Sequence
from dataclasses import MISSING, Field, dataclass, fields, is_dataclass
from types import MappingProxyType, NoneType, UnionType
from typing import Any, Generic, TypeVar, Union, get_args, get_origin, get_type_hints

from commands.coercion import BadCoercion, BadValue, Convert, converter, unfolded
from domain.errors import Invalid, NotAnOption
from domain.fields import BY_DEPLOYMENT, FIXED, NULL_KEEPS, NULL_REFUSED, OnNull

T = TypeVar("T")
Attributes = Mapping[str, Any]


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

    def inside(self, name: str, value: object) -> "Received":
        """An object within this one. Raises Invalid when it is none."""
        if not isinstance(value, dict):
            raise invalid_input(name, value, "Value should be an object")
        return Received(self.argument, f"{self.path}.{name}", self.body, value)


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


_REFUSED = object()
_KEPT = object()


@dataclass(frozen=True)
class ReadBy:
    """A mark of an attribute that is a list or an object: what is in it is read by another parser, later.

    partly  nothing has to be there: an object may name another one instead
    """

    parser: "Parser[Any]"
    partly: bool = False


@dataclass(frozen=True)
class Attribute:
    """One field of an object: how it is read, and what its absence and null mean.

    hint             the annotation that all of it follows from
    default          in its absence, MISSING where it has to be there
    on_post, on_put  the value for an explicit null; _REFUSED and _KEPT say what they say
    """

    name: str
    hint: Any
    default: object
    required: bool
    fixed: bool
    on_post: object
    on_put: object
    convert: Convert
    nested: "Parser[Any] | None" = None

    @property
    def null_on_post(self) -> bool:
        """Whether a creation may say null."""
        return self.on_post is not _REFUSED

    @property
    def null_on_put(self) -> bool:
        return self.on_put is not _REFUSED

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


def _attribute(name: str, hint: Any, default: object) -> Attribute:
    """default: the value in its absence, MISSING where it has to be there"""
    kind, marks = unfolded(hint)
    on_null = next((mark for mark in marks if isinstance(mark, OnNull)), None)
    required = default is MISSING
    in_absence = _REFUSED if required else default
    if BY_DEPLOYMENT in marks:
        in_absence = BY_DEPLOYMENT
    on_put = _KEPT if NULL_KEEPS in marks else _REFUSED if NULL_REFUSED in marks else in_absence
    nested = Parser(kind) if is_dataclass(kind) and isinstance(kind, type) else None
    return Attribute(
        name=name,
        hint=hint,
        default=default,
        required=required,
        fixed=FIXED in marks,
        on_post=on_null.post if on_null else in_absence,
        on_put=on_null.put if on_null else on_put,
        convert=str if nested else converter(hint),
        nested=nested,
    )


def _default_of(field: "Field[Any]") -> object:
    return field.default_factory() if field.default_factory is not MISSING else field.default


_ELSEWHERE = "Whole objects are created with the load balancer, or one by one."


class Parser(Generic[T]):
    """Reads objects of one class from request bodies.

    kind     the dataclass that defines the fields, except those in `without`, which do not come from the body
    extra    attributes that a creation takes besides, name -> annotated type, required unless it allows None
    ignored  attributes that a creation may carry without any effect, likewise with their types
    empty    attributes that a creation may carry with nothing in them only: they have a meaning elsewhere

    of_creations, of_changes, empty  the attributes themselves, for whoever describes them
    """

    def __init__(
        self,
        kind: type[T],
        *,
        without: Sequence[str] = ("id",),
        extra: Mapping[str, Any] = MappingProxyType({}),
        ignored: Mapping[str, Any] = MappingProxyType({}),
        empty: Mapping[str, Any] = MappingProxyType({}),
    ) -> None:
        self.kind = kind
        self.extra = tuple(extra)
        hints = get_type_hints(kind, include_extras=True)
        own = [
            _attribute(each.name, hints[each.name], _default_of(each))
            for each in fields(kind)  # type: ignore[arg-type]
            if each.name not in without
        ]
        added = [_attribute(name, hint, MISSING if _is_required(hint) else None) for name, hint in extra.items()]
        self._ignored = [_attribute(name, hint, None) for name, hint in ignored.items()]
        self.of_creations = [*added, *own, *self._ignored]
        self.of_changes = [each for each in own if not each.fixed]
        self.empty = [_attribute(name, hint, None) for name, hint in empty.items()]
        self._known_on_post = {each.name for each in (*self.of_creations, *self.empty)}
        self._known_on_put = {each.name for each in self.of_changes}

    def given(self, received: Received) -> dict[str, Any]:
        """For a creation: what was said, with null replaced by what it stands for. Absent attributes stay absent.

        BY_DEPLOYMENT stands for what only domain.deployment.Deployment knows.
        """
        return self._read(received, complete=True)

    def said(self, received: Received) -> Mapping[str, Any]:
        """As `given`, but nothing has to be there."""
        return MappingProxyType(self._read(received, complete=False))

    def require_readable(self, received: Received, *, partly: bool = False) -> None:
        """For a creation with whole objects in it: what is wrong with any of them is known before anything is decided.

        partly  nothing has to be there

        Raises Invalid.
        """
        self._read(received, complete=not partly)
        for each in self.of_creations:
            value = received.attributes.get(each.name)
            marks = (mark for mark in unfolded(each.hint)[1] if isinstance(mark, ReadBy) and value is not None)
            for mark in marks:
                for entry in value if isinstance(value, list) else [value]:
                    mark.parser.require_readable(received.inside(each.name, entry), partly=mark.partly)

    def _read(self, received: Received, *, complete: bool) -> dict[str, Any]:
        _require_known(received.attributes, self._known_on_post, received.path)
        found: dict[str, Any] = {}
        for each in self.of_creations:
            if each.name in received.attributes:
                found[each.name] = each.read(received, each.on_post, partly=False)
            elif each.required and complete:
                raise invalid_input(each.name, None, "Mandatory field missing.")
        for each in self._ignored:
            found.pop(each.name, None)
        for each in self.empty:
            if received.attributes.get(each.name) and each.read(received, None, partly=False):
                raise invalid_input(each.name, received.attributes[each.name], _ELSEWHERE)
        return found

    def changes(self, received: Received) -> dict[str, Any]:
        """For a change: the new values of what was said. Objects within come as a mapping of what was said of them."""
        _require_known(received.attributes, self._known_on_put, received.path)
        found: dict[str, Any] = {}
        for each in self.of_changes:
            if each.name in received.attributes:
                value = each.read(received, each.on_put, partly=True)
                if value is not _KEPT:
                    found[each.name] = value
        return found


def _is_required(hint: Any) -> bool:
    while hasattr(hint, "__metadata__"):
        hint = hint.__origin__
    return not (get_origin(hint) in (Union, UnionType) and NoneType in get_args(hint))
