"""Shows quotas: the limits of a project, and how much of them is in use."""

from collections.abc import Mapping

from falcon import Request, Response

from domain.entity_tag import tag_of_settings
from domain.errors import Invalid, NotFound
from domain.progress import Kind
from domain.quota import NAMES, QuotaDefaults
from projections.columns import Column, in_document, text_column
from projections.scope import caller_of
from projections.view import Resource, Row, View, answer, require_no_arguments


def quotas(defaults: QuotaDefaults) -> Resource:
    """defaults: shown, filtered and sorted by where a project has set nothing"""

    def show(row: Row) -> dict[str, object]:
        document = row["document"]
        return {**_head(row["project_id"]), **_by_name({kind: document.get(kind, defaults.of(kind)) for kind in NAMES})}

    return Resource(
        title="Quotas",
        one="quota",
        many="quotas",
        view="shown_quotas",
        visible="true",
        columns={
            "project_id": text_column("s.project_id", never_null=True),
            **{name: _limit(kind, defaults) for kind, names in NAMES.items() for name in names},
        },
        key="project_id",
        ties=("project_id",),
        tagged=False,
        show=show,
    )


def _head(project_id: str) -> dict[str, object]:
    return {"project_id": project_id, "tenant_id": project_id}


def _by_name(numbers: Mapping[Kind, int]) -> dict[str, object]:
    """Under all spellings of the contract."""
    return {name: numbers[kind] for kind, names in NAMES.items() for name in names}


def _limit(kind: Kind, defaults: QuotaDefaults) -> Column:
    said = in_document(kind, int)
    return Column(f"coalesce({said.sql}, {defaults.of(kind)})", said.read, never_null=True)


class ShownQuota:
    """Answers the GET of a project's quota; one that has none shows the defaults. `?usage=true` adds what is in use."""

    def __init__(self, view: View) -> None:
        self._view = view

    def on_get(self, req: Request, resp: Response, project_id: str) -> None:
        for name in req.params:
            if name != "usage":
                raise Invalid(f'Unknown argument: "{name}"')
        caller_of(req).require("quota:get_one", project_id)
        row = self._row(project_id)
        shown = self._view.show(row)
        resp.set_header("ETag", tag_of_settings(row["document"]))
        if req.get_param_as_bool("usage"):
            shown["usage"] = _by_name({kind: row["uses"].get(kind, 0) for kind in NAMES})
        answer(resp, {"quota": shown})

    def _row(self, project_id: str) -> Row:
        try:
            return self._view.row(project_id)
        except NotFound:
            return {"project_id": project_id, "document": {}, "uses": {}}


class DefaultQuota:
    """Answers the GET of the limits that a project has as long as it sets none."""

    def __init__(self, view: View) -> None:
        self._view = view

    def on_get(self, req: Request, resp: Response, project_id: str) -> None:
        require_no_arguments(req)
        caller_of(req).require("quota:get_defaults", project_id)
        answer(resp, {"quota": self._view.show({"project_id": project_id, "document": {}})})
