"""What the contract says of one field, and the sorts of fields that come again and again.

The tables made of these are written from the contract and not from our definitions, so that they can contradict them.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from operator import itemgetter
from typing import Any, Protocol
from uuid import UUID, uuid4

Document = Mapping[str, Any]


class _Anything:
    """Equal to whatever is shown, for what the contract leaves open."""

    def __eq__(self, other: object) -> bool:
        return True

    def __hash__(self) -> int:
        return 0


class Word(Enum):
    """ABSENT: left out. UNCHANGED: null on a change means nothing. AS_SENT, CANONICAL_ID: how a value is shown."""

    ABSENT = auto()
    UNCHANGED = auto()
    AS_SENT = auto()
    CANONICAL_ID = auto()


ABSENT, UNCHANGED = Word.ABSENT, Word.UNCHANGED
ANYTHING = _Anything()
UNKNOWN_ID = str(uuid4())


@dataclass(frozen=True)
class Refused:
    """A fault: `words` are in its text, which begins with `opening`; {name} and {argument} in that are replaced."""

    words: str
    status: int = 400
    opening: str = ""


def of_value(reason: str) -> Refused:
    """The fault names the field."""
    return Refused(reason, opening="Invalid input for field/attribute {name}. Value: '")


def of_body(reason: str) -> Refused:
    """What is of another type altogether: the fault names the argument and shows the whole body."""
    return Refused(reason, opening="Invalid input for field/attribute {argument}. Value: '")


def no_option(value: object, option: str) -> Refused:
    return Refused(f"{value} is not a valid option for {option}")


def unknown(title: str, id: str = UNKNOWN_ID, status: int = 404) -> Refused:
    return Refused(f"{title} {id} not found.", status)


MISSING = Refused("Mandatory field missing.", opening="Invalid input for field/attribute {name}. Value: 'None'. ")


class Maker(Protocol):
    """Makes what a value refers to."""

    def make(self, of: str, /, **said: object) -> Document: ...


FromMaker = Callable[[Maker], Any]
"""A value that is known only once the walk is under way."""


def existing(of: str, spelled: Callable[[str], str] = str, **said: object) -> FromMaker:
    """The id of an object that is made for it."""
    return lambda maker: spelled(maker.make(of, **said)["id"])


@dataclass(frozen=True)
class Good:
    """A value that is taken.

    beside  what else has to be said in the same request
    alone   whether it has no place in a request for a whole load balancer
    """

    sent: Any
    shown: Any = Word.AS_SENT
    beside: Mapping[str, Any] = field(default_factory=dict)
    alone: bool = False


class InGraph(Enum):
    """What a field is where its object comes with a whole load balancer."""

    SAME = auto()
    OTHER = auto()
    UNKNOWN = auto()


@dataclass(frozen=True, kw_only=True)
class Field:
    """What the contract says of one field.

    good              a plain value is shown as it was sent, a pair is (sent, shown)
    bad               sent, with what is answered; with those that only a creation or only a change answers so
    absent            what a creation without it shows
    on_post, on_put   what is shown after null
    fixed             unknown to a change
    beside            what else a creation has to say for the field to be allowed
    of_shown          finds the value in the object that is shown
    where             tells two tables of one field apart
    """

    of: str
    name: str
    good: Sequence[Any]
    bad: Sequence[tuple[Any, Refused]]
    bad_on_post: Sequence[tuple[Any, Refused]] = ()
    bad_on_put: Sequence[tuple[Any, Refused]] = ()
    absent: Any
    on_post: Any
    on_put: Any = ABSENT
    fixed: bool = False
    beside: Mapping[str, Any] = field(default_factory=dict)
    of_shown: Callable[[Document], Any]
    in_graph: InGraph = InGraph.SAME
    where: str = ""

    @property
    def id(self) -> str:
        return ".".join(filter(None, (self.of, self.name, self.where)))

    @property
    def goods(self) -> Sequence[Good]:
        return [_good(each) for each in self.good]


def _good(value: Any) -> Good:
    if isinstance(value, Good):
        return value
    return Good(*value) if isinstance(value, tuple) else Good(value)


def row(of: str, name: str, good: Sequence[Any], bad: Sequence[tuple[Any, Refused]], **more: Any) -> Field:
    assert more.get("fixed") or "on_put" in more, f"{of}.{name}: what does null on a change mean?"
    return Field(of=of, name=name, good=good, bad=bad, **{"of_shown": itemgetter(name), **more})


# Sorts of fields

TOO_LONG = "Value should have a maximum character requirement of {}"
NOT_TEXT = "Value should be string"


def _wrong_texts(longest: int) -> list[tuple[Any, Refused]]:
    return [
        *((wrong, of_value(NOT_TEXT)) for wrong in (3, True, [], {})),
        ("x" * (longest + 1), of_value(TOO_LONG.format(longest))),
        ("a\0b", of_value("Value should be text without NUL characters")),
    ]


def text(of: str, name: str, **more: Any) -> Field:
    """That is the empty text without anything else."""
    meaning = {"absent": "", "on_post": "", "on_put": "", **more}
    return row(of, name, ["", "x" * 255, "Wébstuhl \n%[env(x)]"], _wrong_texts(255), **meaning)


def bounded_text(
    of: str, name: str, longest: int, good: Sequence[Any], *bad: tuple[Any, Refused], **more: Any
) -> Field:
    return row(of, name, good, [*_wrong_texts(longest), *bad], **more)


def secret(of: str, name: str, **more: Any) -> Field:
    """A reference into the secret store."""
    good = ["https://secrets.example.org/v1/secrets/1", "x" * 255]
    return bounded_text(of, name, 255, good, **{"absent": None, "on_post": None, "on_put": None, **more})


def truth(of: str, name: str, **more: Any) -> Field:
    words = [*((word, True) for word in ("t", "yes", "on", "1")), *((word, False) for word in ("f", "no", "off", "0"))]
    good = [True, False, (1, True), (0, False), (7, True), *words]
    bad = [(wrong, of_body(f"Value not an unambiguous boolean: {wrong}")) for wrong in ("True", "", "maybe", [], 1.5)]
    return row(of, name, good, bad, **more)


def number(of: str, name: str, low: int, high: int, **more: Any) -> Field:
    good = [
        low,
        high,
        (str(low + 1), low + 1),
        (f"{high - 1} ", high - 1),
        (5.7, 5),
        *([] if low == 1 else [(True, 1)]),
    ]
    return row(of, name, good, wrong_numbers(low, high), **more)


def wrong_numbers(low: int, high: int) -> list[tuple[Any, Refused]]:
    return [
        (low - 1, of_value(f"Value should be greater or equal to {low}")),
        *((over, of_value(f"Value should be lower or equal to {high}")) for over in (high + 1, 10**30)),
        *((word, of_body(f"invalid literal for int() with base 10: '{word}'")) for word in ("x", "", "1.5")),
        *((wrong, of_body("int() argument must be")) for wrong in ([], {})),
    ]


def choice(of: str, name: str, good: Sequence[Any], **more: Any) -> Field:
    """Of words, in exactly this case."""
    wrongs = ("LOOM", "", 3, [], {}, str(_good(good[0]).sent).swapcase())
    return row(of, name, good, [(wrong, of_value("Value should be one of: ")) for wrong in wrongs], **more)


def not_a_list(*wrongs: Any) -> list[tuple[Any, Refused]]:
    return [(wrong, of_body(f"Value not a valid list: {wrong}")) for wrong in wrongs]


def tags(of: str, *, on_put: Any = UNCHANGED, twice: bool = True) -> Field:
    """twice: whether a repetition is dropped"""
    good = [[], ["x" * 255], ["a", "b c"], *([(["a", "a"], ["a"])] if twice else [])]
    bad = [
        *not_a_list("a", {}, 3),
        *(([wrong], Refused(NOT_TEXT)) for wrong in (3, [], None)),
        (["x" * 256], Refused(TOO_LONG.format(255))),
    ]
    return row(of, "tags", good, bad, absent=[], on_post=[], on_put=on_put)


def address(of: str, name: str, *bad: tuple[Any, Refused], **more: Any) -> Field:
    """Kept as it is written."""
    wrongs = ("127.0.0.256", "loom", "", "127.0.0.1/8", "fe80::1%lo;x", "127.0.0.1\n", "127.0.0.01")
    refused = [(wrong, of_value("Value should be IPv4 or IPv6 format")) for wrong in wrongs]
    more_bad = [*((wrong, of_value("Value should be ")) for wrong in (3, [])), *bad]
    return row(of, name, ["10.0.0.7", "2001:DB8::1", "::ffff:10.0.0.7"], [*refused, *more_bad], **more)


SPELLINGS: Sequence[Callable[[str], str]] = (str, str.upper, lambda id: UUID(id).hex, "{{{}}}".format)


def id_of(of: str, name: str, *bad: tuple[Any, Refused], good: Sequence[Good] | None = None, **more: Any) -> Field:
    """good: None where any id will do"""
    wrongs = ("loom", "", 3, [], "00000000-0000-0000-0000-00000000000g")
    refused = [*((wrong, of_value("Value should be UUID format")) for wrong in wrongs), *bad]
    ids = [Good(spelled(str(uuid4())), Word.CANONICAL_ID) for spelled in SPELLINGS]
    return row(of, name, ids if good is None else good, refused, **more)


def ids_of_existing(of: str, *, alone: bool = False, **said: object) -> Sequence[Good]:
    return [Good(existing(of, spelled, **said), Word.CANONICAL_ID, alone=alone) for spelled in SPELLINGS]


def parent(of: str, name: str, kind: str, title: str, shown_in: str, **more: Any) -> Field:
    """The object above, shown in a list; the load balancer of a whole graph has it already."""
    of_shown = _first_id_in(shown_in)
    meaning = {"absent": MISSING, "on_post": Refused(""), "fixed": True, "in_graph": InGraph.UNKNOWN, **more}
    good = ids_of_existing(kind)
    return id_of(of, name, (UNKNOWN_ID, unknown(title)), good=good, of_shown=of_shown, **meaning)


def _first_id_in(name: str) -> Callable[[Document], str | None]:
    return lambda shown: shown[name][0]["id"] if shown[name] else None


def project(of: str, name: str) -> Field:
    """Taken and ignored: the load balancer's counts."""
    good = [("x" * 36, ANYTHING), ("", ANYTHING)]
    meaning = {"absent": ANYTHING, "on_post": ANYTHING, "fixed": True, "in_graph": InGraph.UNKNOWN}
    return bounded_text(of, name, 36, good, **meaning)


def elsewhere(of: str, name: str, *, empty: Sequence[Any], shown: Any, bad: Sequence[tuple[Any, Refused]]) -> Field:
    """Whole objects, which are created one by one, or with a load balancer."""
    meaning = {"absent": shown, "on_post": shown, "fixed": True, "in_graph": InGraph.OTHER}
    return row(of, name, [(each, shown) for each in empty], bad, of_shown=lambda found: found.get(name), **meaning)


def choice_of_versions(of: str, **more: Any) -> Field:
    """tls_versions, of something that speaks TLS."""
    empty = (
        "Empty TLS version list. Either specify at least one TLS version or remove this parameter to use the default."
    )
    bad = [
        *not_a_list("TLSv1.2", {}, 3),
        ([], Refused(f"Validation failure: {empty}")),
        (["TLSv9", "TLSv1.2", "tlsv1.2"], Refused("Validation failure: Invalid TLS versions: TLSv9, tlsv1.2")),
        ([3], Refused(NOT_TEXT)),
        (["x" * 33], Refused(TOO_LONG.format(32))),
    ]
    good = [["SSLv3"], ["TLSv1.3", "TLSv1", "TLSv1.1", "TLSv1.2"]]
    return row(of, "tls_versions", good, bad, **more)


def choice_of_alpn(of: str, **more: Any) -> Field:
    """alpn_protocols, of something that speaks TLS."""
    empty = (
        "Empty ALPN protocol list. Either specify at least one ALPN protocol or remove this parameter to use the"
        " default."
    )
    bad = [
        *not_a_list("h2", {}, 3),
        ([], Refused(f"Validation failure: {empty}")),
        *(([wrong], Refused("Value should be a valid ALPN protocol ID")) for wrong in ("h3", "H2", "", 3, None)),
    ]
    return row(of, "alpn_protocols", [["h2"], ["http/1.0", "http/1.1", "h2"]], bad, **more)


def ciphers(of: str, **more: Any) -> Field:
    words = (
        "Validation failure: Invalid characters in cipher string. Only alphanumeric, -, +, !, :, @, =, _, and . are"
        " allowed."
    )
    bad = [(wrong, Refused(words)) for wrong in ("AES 128", "AES;", "ä", "AES\n")]
    return bounded_text(of, "tls_ciphers", 2_048, ["AES128", "A-+!:@=_.z9", "x" * 2_048], *bad, **more)
