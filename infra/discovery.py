"""What clients ask before anything else: which versions there are."""

from collections.abc import Sequence

import falcon
import msgspec
from falcon import Request, Response

VERSIONS: Sequence[tuple[str, str]] = (
    ("v2.0", "2016-12-11T00:00:00Z"),
    ("v2.1", "2018-04-20T00:00:00Z"),
    ("v2.2", "2018-07-31T00:00:00Z"),
    ("v2.3", "2018-12-18T00:00:00Z"),
    ("v2.4", "2018-12-19T00:00:00Z"),
    ("v2.5", "2019-01-21T00:00:00Z"),
    ("v2.6", "2019-01-25T00:00:00Z"),
    ("v2.7", "2018-01-25T12:00:00Z"),
    ("v2.8", "2019-02-12T00:00:00Z"),
    ("v2.9", "2019-03-04T00:00:00Z"),
    ("v2.10", "2019-03-05T00:00:00Z"),
    ("v2.11", "2019-06-24T00:00:00Z"),
    ("v2.12", "2019-09-11T00:00:00Z"),
    ("v2.13", "2019-09-13T00:00:00Z"),
    ("v2.14", "2019-11-10T00:00:00Z"),
    ("v2.15", "2020-03-10T00:00:00Z"),
    ("v2.16", "2020-03-15T00:00:00Z"),
    ("v2.17", "2020-04-29T00:00:00Z"),
    ("v2.18", "2020-04-29T01:00:00Z"),
    ("v2.19", "2020-05-12T00:00:00Z"),
    ("v2.20", "2020-08-02T00:00:00Z"),
    ("v2.21", "2020-09-03T00:00:00Z"),
    ("v2.22", "2020-09-04T00:00:00Z"),
    ("v2.23", "2020-09-07T00:00:00Z"),
    ("v2.24", "2020-10-15T00:00:00Z"),
    ("v2.25", "2021-10-02T00:00:00Z"),
    ("v2.26", "2022-08-29T00:00:00Z"),
    ("v2.27", "2023-05-05T00:00:00Z"),
    ("v2.28", "2023-11-08T00:00:00Z"),
    ("v2.29", "2024-10-15T00:00:00Z"),
    ("v2.30", "2025-02-26T00:00:00Z"),
)


class Versions:
    """The root document. All versions are one: there are no microversions, every field is always there."""

    def on_get(self, req: Request, resp: Response) -> None:
        href = f"{req.prefix}/v2"
        resp.content_type = falcon.MEDIA_JSON
        resp.data = msgspec.json.encode({"versions": [_version(id, updated, href) for id, updated in VERSIONS]})

    on_head = on_get


def _version(id: str, updated: str, href: str) -> dict[str, object]:
    latest = VERSIONS[-1][0]
    return {
        "id": id,
        "status": "CURRENT" if id == latest else "SUPPORTED",
        "updated": updated,
        "links": [{"href": href, "rel": "self"}],
    }


class VersionRoot:
    """What stands above the resources of a version: a word."""

    def on_get(self, req: Request, resp: Response) -> None:
        resp.content_type = falcon.MEDIA_JSON
        resp.data = b'"v2"'
