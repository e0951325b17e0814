"""The unmodified `openstack` command, run inside the tests' own process: starting one takes over a second.

A test says with `@of("listener create")` which sub-commands of `openstack loadbalancer` it is about. The fixture
`openstack` then checks that it ran them, with every option that they have.
"""

import argparse
import io
import json
import warnings
from collections.abc import Callable, Mapping
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import entry_points
from typing import Any

with warnings.catch_warnings():  # of its own parts
    warnings.simplefilter("ignore")
    from openstackclient.shell import OpenStackShell

COVERED: set[str] = set()
"""Every sub-command that some test is about."""

KEYSTONE_KNOWS = "non-uuid"
"""The one project that the client takes as it is: it asks Keystone for any other, by name or id."""

WAIT = "--wait"
"""All that can wait are in one test together: a client that waits looks every 3 seconds."""


def of(*commands: str) -> Callable[[Any], Any]:
    """Marks a test as the one of these sub-commands."""

    def mark(test: Any) -> Any:
        COVERED.update(commands)
        test.commands = commands
        return test

    return mark


@cache
def installed() -> Mapping[str, type]:
    """The sub-commands of `openstack loadbalancer` -> the class that runs each."""
    found = entry_points(group="openstack.load_balancer.v2")
    return {each.name.replace("_", " ").removeprefix("loadbalancer "): each.load() for each in found}


def options_of(command: str) -> list[argparse.Action]:
    """Its own options, without those of the output, which every command has."""
    kind = installed()[command]
    instance = kind(None, None)
    everywhere = set(kind.__base__.get_parser(instance, "")._option_string_actions)
    actions = kind.get_parser(instance, "")._actions
    return [action for action in actions if action.option_strings and not everywhere & set(action.option_strings)]


@dataclass
class Result:
    code: int
    said: str
    complained: str


@dataclass
class OpenStack:
    """Runs `openstack loadbalancer ...` and reads what it prints."""

    endpoint: str
    ran: dict[str, set[str]] = field(default_factory=dict)
    """Sub-command -> the options that it ran with."""

    def __call__(self, *words: str) -> str:
        result = self.run(*words)
        assert result.code == 0, (words, result.complained)
        return result.said

    def json(self, *words: str) -> Any:
        return json.loads(self(*words, "-f", "json"))

    def names(self, *words: str) -> list[str]:
        """Of the objects that a `list` shows, in alphabetical order."""
        return sorted(each["name"] for each in self.json(*words))

    def refusal(self, *words: str) -> str:
        """What a command complains of that fails."""
        result = self.run(*words)
        assert result.code != 0, (words, result.said)
        return result.complained

    def run(self, *words: str) -> Result:
        said, complained = io.StringIO(), io.StringIO()
        with redirect_stdout(said), redirect_stderr(complained):
            code = self.code_of(*words, said=said)
        return Result(code, said.getvalue(), complained.getvalue())

    def code_of(self, *words: str, said: io.StringIO) -> int:
        """For several at once: only this command's own output goes to `said`, complaints are for all to read."""
        self.ran.setdefault(_command_of(words), set()).update(word.partition("=")[0] for word in words)
        shell = OpenStackShell()
        shell.stdout = said
        return shell.run(["--os-auth-type", "none", "--os-endpoint", self.endpoint, "loadbalancer", *words])

    def left_out(self, command: str) -> list[str]:
        """The options that a sub-command has and has not run with; AssertionError when it did not run at all."""
        assert command in self.ran, f"{command!r} did not run, but only {sorted(self.ran)}"
        used = self.ran[command] | {WAIT}
        return [each.option_strings[-1] for each in options_of(command) if not used & set(each.option_strings)]


def _command_of(words: tuple[str, ...]) -> str:
    """The longest beginning that is a sub-command."""
    beginnings = [" ".join(words[:length]) for length in range(len(words), 0, -1)]
    return next(beginning for beginning in beginnings if beginning in installed())
