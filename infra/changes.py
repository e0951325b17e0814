"""The changes of one project, told from the rows of the projector: who changed what, when, by which request."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import psycopg
from eventsourcing.persistence import StoredEvent

from infra.timeline import NAMING, Teller, who_did
from infra.transcoding import EventMapper

# An event was committed with the first commit record that does not end before it.
_READ = """
WITH found AS (
    SELECT c.originator_id, c.originator_version, c.load_balancer_id, c.at, b.name
    FROM changed_load_balancers b JOIN changes c ON c.load_balancer_id = b.id
    WHERE b.project_id = %(project_id)s AND b.id = coalesce(%(load_balancer_id)s::uuid, b.id)
        AND c.at >= %(since)s AND c.at < coalesce(%(until)s::timestamptz, 'infinity')
    ORDER BY c.at, c.originator_id, c.originator_version LIMIT %(limit)s)
SELECT f.at, f.load_balancer_id, f.name, m.request_id, p.user_id,
       e.originator_id, e.originator_version, e.topic, e.state
FROM found f JOIN tacitus_events e USING (originator_id, originator_version)
CROSS JOIN LATERAL (SELECT * FROM commits WHERE position >= e.notification_id ORDER BY position LIMIT 1) m
LEFT JOIN actors p ON p.id = m.actor
ORDER BY f.at, f.originator_id, f.originator_version
"""
_NAMED = """
SELECT originator_id, originator_version, topic, state FROM tacitus_events
WHERE originator_id = ANY(%s) AND topic = ANY(%s) ORDER BY notification_id
"""
_KNOWN = """
SELECT FROM changed_load_balancers WHERE project_id = %s AND id = coalesce(%s::uuid, id) LIMIT 1
"""


@dataclass(frozen=True, kw_only=True)
class Asked:
    """Which changes somebody wants to see.

    load_balancer_id  of the project; None for all
    since, until      from the one on, before the other; None for no end
    limit             the first so many
    """

    project_id: str
    load_balancer_id: UUID | None
    since: datetime
    until: datetime | None
    limit: int


@dataclass(frozen=True, kw_only=True)
class Told:
    """One change.

    at          by the clock of the service that recorded it
    name        of the load balancer, the latest one; empty when it has none
    event       its name
    who         as in infra/timeline.py
    what        a sentence
    request_id  of the API request, or empty
    """

    at: datetime
    load_balancer_id: UUID
    name: str
    event: str
    who: str
    what: str
    request_id: str


def is_known(connection: psycopg.Connection[Any], project_id: str, load_balancer_id: UUID | None) -> bool:
    """Whether the project has, or had, such a load balancer, or any at all."""
    return connection.execute(_KNOWN, (project_id, load_balancer_id)).rowcount > 0


def changes(connection: psycopg.Connection[Any], asked: Asked) -> Sequence[Told]:
    """In the order of their times. Raises processes.ports.ReleaseTooOld."""
    found = connection.execute(_READ, vars(asked)).fetchall()
    teller, mapper = Teller(), EventMapper()
    topics = [event.TOPIC for event in NAMING]
    for id, version, topic, state in connection.execute(_NAMED, (list({row[1] for row in found}), topics)):
        teller.tell(mapper.to_domain_event(StoredEvent(id, version, topic, bytes(state))))
    told = []
    for at, load_balancer_id, name, request_id, user_id, id, version, topic, state in found:
        event = mapper.to_domain_event(StoredEvent(id, version, topic, bytes(state)))
        who, what = who_did(event, user_id, request_id), teller.tell(event)
        told.append(
            Told(
                at=at,
                load_balancer_id=load_balancer_id,
                name=name,
                event=topic,
                who=who,
                what=what,
                request_id=request_id,
            )
        )
    return told
