"""Shows L7 policies."""

from domain.l7_policy import L7Policy
from projections.columns import COMMON, columns_of, id_column
from projections.shown import defaults_of, head, ids
from projections.view import Resource, Row

_SHOWN = defaults_of(L7Policy)


def show(row: Row) -> dict[str, object]:
    return {**_SHOWN, **row["document"], **head(row), "rules": ids(row["rules"])}


L7_POLICIES = Resource(
    title="L7 Policy",
    one="l7policy",
    many="l7policies",
    view="shown_l7_policies",
    references="ARRAY(SELECT r.id FROM l7_rules r WHERE r.l7policy_id = s.id) AS rules",
    columns={**COMMON, **columns_of(L7Policy), "listener_id": id_column("s.listener_id")},
    show=show,
)
