"""What flavors, availability zones and their profiles have in common: how they are made, changed and deleted."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import UUID

import msgspec
from falcon import Request, Response

from commands.answer import Row, View, answer, empty
from commands.body import Parser, Received
from commands.ports import Aggregates, Origin
from commands.request import caller_of, new_id, object_of, origin_of, require_no_arguments
from commands.turns import Turns
from domain.availability_zone import AvailabilityZone, AvailabilityZoneProfile
from domain.entity_tag import tag_of_settings
from domain.errors import ConstraintBroken, NotAnOption, NotFound, Refused
from domain.flavor import Flavor, FlavorProfile

Entry = Flavor | FlavorProfile | AvailabilityZone | AvailabilityZoneProfile
Settings = Any
"""What an entry is made of: a dataclass of domain/, a different one for each kind."""


@dataclass(frozen=True, kw_only=True)
class EntryKind:
    """What the commands have to know about one kind of entry.

    title     in error texts
    rule      the policy's name of it
    argument  the contract's name of the body
    root      the key of the object in bodies and answers
    refusals  constraint -> the contract's error, when an entry is made with these settings
    in_use    constraint -> the contract's error, when the entry with this id or name is still needed
    """

    aggregate: type[Entry]
    parser: Parser[Any]
    title: str
    rule: str
    argument: str
    root: str
    refusals: Mapping[str, Callable[[Settings], Refused]] = field(default_factory=dict)
    in_use: Mapping[str, Callable[[str], Refused]] = field(default_factory=dict)


class EntryHandler:
    """Carries out commands on entries of one kind. Raises the kind's refusals, and what Aggregates.save names."""

    def __init__(self, kind: EntryKind, aggregates: Aggregates, turns: Turns) -> None:
        self.kind = kind
        self._aggregates = aggregates
        self._turns = turns

    def create(self, id: UUID, settings: Settings, origin: Origin) -> None:
        entry = self.kind.aggregate.create(id, settings)
        try:
            self._turns.take(id, origin.command_id, lambda: self._aggregates.save(entry, origin=origin))
        except ConstraintBroken as error:
            raise self.kind.refusals[error.constraint](settings) from error

    def change(self, id: UUID, said: str, changes: Mapping[str, Any], origin: Origin) -> Settings:
        """The settings as they are then. said: the id or name in the URL"""

        def decided() -> Settings:
            entry = self._matching(id, said, origin)
            settings = replace(entry.settings, **changes)
            entry.change(settings)
            self._save(entry, said, origin)
            return settings

        settings = self._turns.take(id, origin.command_id, decided)
        return self._entry(id, said).settings if settings is None else settings

    def delete(self, id: UUID, said: str, origin: Origin) -> None:
        def decided() -> None:
            entry = self._matching(id, said, origin)
            entry.delete()
            self._save(entry, said, origin)

        self._turns.take(id, origin.command_id, decided)

    def _matching(self, id: UUID, said: str, origin: Origin) -> Any:
        """Raises PreconditionFailed for an entry that was changed meanwhile."""
        entry = self._entry(id, said)
        if origin.if_match is not None:
            origin.if_match.require(_tag_of(entry.settings), said)
        return entry

    def _entry(self, id: UUID, said: str) -> Any:
        try:
            return self._aggregates.load(self.kind.aggregate, id)
        except NotFound:
            raise NotFound(self.kind.title, said) from None

    def _save(self, entry: Any, said: str, origin: Origin) -> None:
        try:
            self._aggregates.save(entry, origin=origin)
        except ConstraintBroken as error:
            if error.constraint in self.kind.in_use:
                raise self.kind.in_use[error.constraint](said) from error
            raise self.kind.refusals[error.constraint](entry.settings) from error


class EntriesResource:
    """Makes entries of one kind."""

    def __init__(self, handler: EntryHandler, view: View) -> None:
        self._handler = handler
        self._kind = handler.kind
        self._view = view

    def on_post(self, req: Request, resp: Response) -> None:
        require_no_arguments(req)
        received = object_of(req, self._kind.argument, self._kind.root)
        settings = self._kind.parser.kind(**self._kind.parser.given(received))
        require_may(req, self._kind, "post")
        require_truth(received)
        self.require_allowed(settings)
        id = new_id(req)
        self._handler.create(id, settings, origin_of(req))
        resp.status = "201 Created"
        resp.set_header("ETag", _tag_of(settings))
        answer(resp, {self._kind.root: self._view.show(row_of(id, settings))})

    def require_allowed(self, settings: Settings) -> None:
        """What only some kinds ask for. Raises Invalid, ProviderUnsupported ..."""


class EntryResource:
    """Changes and deletes an entry of one kind. Policy is asked before anything is looked up."""

    def __init__(self, handler: EntryHandler, view: View) -> None:
        self._handler = handler
        self._kind = handler.kind
        self._view = view

    def on_put(self, req: Request, resp: Response, id: str) -> None:
        require_no_arguments(req)
        changes = self._changes(req)
        self.require_change_allowed(id, changes)
        before = self._view.row(id)
        settings = self._handler.change(before["id"], id, changes, origin_of(req))
        resp.set_header("ETag", _tag_of(settings))
        answer(resp, {self._kind.root: self._view.show(row_of(before["id"], settings))})

    def _changes(self, req: Request) -> dict[str, Any]:
        """What cannot be read is said to everybody, that null is no option only to whoever may change it."""
        received = object_of(req, self._kind.argument, self._kind.root)
        try:
            changes = self._kind.parser.changes(received)
        except NotAnOption:
            require_may(req, self._kind, "put")
            raise
        require_may(req, self._kind, "put")
        return changes

    def on_delete(self, req: Request, resp: Response, id: str) -> None:
        require_no_arguments(req)
        require_may(req, self._kind, "delete")
        self._handler.delete(self.row_to_delete(id)["id"], id, origin_of(req))
        empty(resp)

    def require_change_allowed(self, id: str, changes: Mapping[str, Any]) -> None:
        """What only some kinds ask for, before it is known whether there is such an entry."""

    def row_to_delete(self, id: str) -> Row:
        """Raises NotFound."""
        return self._view.row(id)


def require_may(request: Request, kind: EntryKind, action: str) -> None:
    """Entries belong to no project: the caller's own is asked for. Raises Forbidden."""
    caller = caller_of(request)
    caller.require(f"{kind.rule}:{action}", caller.project_id)


def require_truth(received: Received) -> None:
    """Here, and only here, null does not mean false."""
    if received.attributes.get("enabled", True) is None:
        raise NotAnOption(None, "enabled")


def _tag_of(settings: Settings) -> str:
    return tag_of_settings(msgspec.to_builtins(settings))


def row_of(id: UUID, settings: Settings) -> Row:
    return {"id": id, "document": msgspec.to_builtins(settings)}
