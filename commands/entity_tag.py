"""Entity tags: the revision that last changed an object's settings, as `ETag` shows it and `If-Match` asks for it."""

from dataclasses import dataclass

from falcon import Request

from domain.errors import Invalid
from domain.fields import Revision

ANYTHING = "*"


def tag_of(edited: Revision) -> str:
    return f'"{edited}"'


@dataclass(frozen=True)
class IfMatch:
    """tags: any of them will do; "*" is any object that is there."""

    tags: frozenset[str]

    def allows(self, edited: Revision) -> bool:
        return ANYTHING in self.tags or tag_of(edited) in self.tags


def if_match_of(request: Request) -> IfMatch | None:
    """None without the header. Raises Invalid when there is nothing in it."""
    said = request.get_header("If-Match")
    if said is None:
        return None
    tags = frozenset(tag.strip() for tag in said.split(",") if tag.strip())
    if not tags:
        raise Invalid("Validation failure: If-Match names no entity tag.")
    return IfMatch(tags)
