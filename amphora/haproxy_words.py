"""The words of an HAProxy file: how a value becomes one argument, and which values no file can carry."""

import re
from ipaddress import ip_address, ip_network

from domain.progress import Ref


class Unrenderable(Exception):
    """An object that no configuration can carry; `words` say which field and why."""

    def __init__(self, ref: Ref, words: str) -> None:
        super().__init__(f"{ref.kind} {ref.id}: {words}")
        self.ref = ref
        self.words = words


# Quoting


def quoted(word: str) -> str:
    """The word as one argument of an HAProxy file. Within single quotes only the quote itself has a meaning.

    Raises ValueError for control characters but the tab: a line ends at a newline, quoted or not.
    """
    if _CONTROL.search(word):
        raise ValueError(f"control characters in {word!r}")
    return word if _PLAIN.fullmatch(word) else "'" + word.replace("'", "'\\''") + "'"


def literal(text: str) -> str:
    """The text where HAProxy takes a log-format, in which %[env(X)] would be code."""
    return text.replace("%", "%%")


def sample(function: str, argument: str) -> str:
    """A sample expression; what stands in its parentheses is unquoted once more, so it is quoted once more."""
    return f"{function}({quoted(argument)})"


_PLAIN = re.compile(r"[A-Za-z0-9_./:@+=\[\]-]+")
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")


# Grammars of fields, as they are enforced when a file is rendered


def matching(ref: Ref, name: str, pattern: str, value: str) -> str:
    """ASCII only: \\d matches digits of every script, and a `$` also before a newline."""
    if not value.isascii() or not re.fullmatch(pattern, value):
        raise unfit(ref, name, value)
    return value


def one_line(ref: Ref, name: str, value: str) -> str:
    if _CONTROL.search(value):
        raise unfit(ref, name, value)
    return value


def unfit(ref: Ref, name: str, value: str) -> Unrenderable:
    return Unrenderable(ref, f"{name} {value!r} does not fit a configuration file")


def address_of(ref: Ref, name: str, value: str) -> str:
    """In its canonical form, without a zone."""
    try:
        address = ip_address(value)
    except ValueError:
        raise Unrenderable(ref, f"{name} {value!r} is no IP address") from None
    if address.version == 6 and address.scope_id is not None:
        raise Unrenderable(ref, f"{name} {value!r} has a zone")
    return str(address)


def network_of(ref: Ref, name: str, value: str) -> str:
    """In its canonical form, without bits beyond its prefix."""
    try:
        return str(ip_network(value if "%" not in value else "", strict=False))
    except ValueError:
        raise Unrenderable(ref, f"{name} {value!r} is no IP network") from None
