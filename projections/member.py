"""Shows members."""

from domain.member import Member
from projections.columns import COMMON, columns_of, id_column
from projections.shown import defaults_of, head
from projections.view import Parent, Resource, Row

_SHOWN = defaults_of(Member)


def show(row: Row) -> dict[str, object]:
    """The pool stands in the URL, not in the member."""
    shown = {**_SHOWN, **row["document"], **head(row)}
    del shown["pool_id"]
    return shown


MEMBERS = Resource(
    title="Member",
    one="member",
    many="members",
    view="shown_members",
    parent=Parent("Pool", "pools", "pool_id"),
    columns={
        **COMMON,
        **columns_of(Member),
        "pool_id": id_column("s.pool_id"),
    },
    show=show,
)
