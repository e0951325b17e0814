"""What `If-Match` asks for: that an object is still what the caller takes it for."""

from dataclasses import dataclass

from falcon import Request

from domain.errors import Invalid, PreconditionFailed

ANYTHING = "*"


@dataclass(frozen=True)
class IfMatch:
    """tags: any of them will do; "*" is any object that is there."""

    tags: frozenset[str]

    def require(self, tag: str, id: object) -> None:
        """id: of the object that has this tag. Raises PreconditionFailed."""
        if ANYTHING not in self.tags and tag not in self.tags:
            raise PreconditionFailed(id)


def if_match_of(request: Request) -> IfMatch | None:
    """None without the header. Raises Invalid when there is nothing in it."""
    said = request.get_header("If-Match")
    if said is None:
        return None
    tags = frozenset(tag.strip() for tag in said.split(",") if tag.strip())
    if not tags:
        raise Invalid("Validation failure: If-Match names no entity tag.")
    return IfMatch(tags)
