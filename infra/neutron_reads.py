"""Answers in Neutron's place what the openstack client asks before it calls us, in profiles without a Neutron."""

from collections.abc import Callable, Mapping, Sequence

import falcon
import msgspec
from falcon import Request, Response

Documents = Callable[[], Sequence[dict[str, object]]]


class NetworkResources:
    """A list, filtered by any attribute that its objects have."""

    def __init__(self, documents: Documents, many: str) -> None:
        self._documents = documents
        self._many = many

    def on_get(self, req: Request, resp: Response) -> None:
        resp.content_type = falcon.MEDIA_JSON
        found = [document for document in self._documents() if _matches(document, req.params)]
        resp.data = msgspec.json.encode({self._many: found})


def _matches(document: Mapping[str, object], params: Mapping[str, str | list[str]]) -> bool:
    return all(
        str(document[name]) in ([said] if isinstance(said, str) else said)
        for name, said in params.items()
        if name in document
    )


class NetworkResource:
    """One object by its id."""

    def __init__(self, documents: Documents, one: str) -> None:
        self._documents = documents
        self._one = one

    def on_get(self, req: Request, resp: Response, id: str) -> None:
        resp.content_type = falcon.MEDIA_JSON
        for document in self._documents():
            if str(document["id"]) == id:
                resp.data = msgspec.json.encode({self._one: document})
                return
        kind = self._one.title().replace("_", "")
        error = {"type": f"{kind}NotFound", "message": f"{kind} {id} could not be found.", "detail": ""}
        resp.status = falcon.HTTP_404
        resp.data = msgspec.json.encode({"NeutronError": error})
