"""Shows L7 rules."""

from domain.l7_rule import L7Rule
from projections.columns import COMMON, columns_of, id_column
from projections.shown import defaults_of, head
from projections.view import Parent, Resource, Row

_SHOWN = defaults_of(L7Rule)


def show(row: Row) -> dict[str, object]:
    """The policy stands in the URL, not in the rule."""
    shown = {**_SHOWN, **row["document"], **head(row)}
    del shown["l7policy_id"]
    return shown


L7_RULES = Resource(
    title="L7 Rule",
    one="rule",
    many="rules",
    type="l7rule",
    view="shown_l7_rules",
    parent=Parent("L7Policy", "l7_policies", "l7policy_id"),
    columns={**COMMON, **columns_of(L7Rule), "l7policy_id": id_column("s.l7policy_id")},
    show=show,
)
