"""Entity tags: what tells one version of an object's settings from another, for whoever changes what they have seen."""

import json
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

from domain.fields import Revision


def tag_of(edited: Revision) -> str:
    """Of an object in the tree of a load balancer: the revision that last changed its settings."""
    return f'"{edited}"'


def tag_of_settings(document: Mapping[str, Any]) -> str:
    """Of an object that has nothing but settings and no revision: equal settings have the same tag.

    document  as it stands in JSON; the order of its keys does not count
    """
    text = json.dumps(document, sort_keys=True)
    return f'"{sha256(text.encode()).hexdigest()[:32]}"'
