"""The random ids that the log knows people by, in place of the ids that Keystone gave them."""

import time
from typing import Any
from uuid import UUID

from psycopg_pool import ConnectionPool

REMEMBERED_SECONDS = 60.0
"""Who was forgotten (their row deleted) and comes back is somebody new after at most this time."""
_MOST = 10_000

_ID_OF = """
WITH known AS (SELECT id FROM actors WHERE user_id = %(user)s),
     added AS (INSERT INTO actors (user_id) SELECT %(user)s WHERE NOT EXISTS (SELECT FROM known)
               ON CONFLICT (user_id) DO NOTHING RETURNING id)
SELECT id FROM known UNION ALL SELECT id FROM added
"""


class Actors:
    """Finds or makes the id of a person.

    pool  connections in autocommit
    """

    def __init__(self, pool: ConnectionPool[Any]) -> None:
        self._pool = pool
        self._known: dict[str, tuple[float, UUID]] = {}

    def id_of(self, user_id: str) -> UUID:
        now = time.monotonic()
        until, actor = self._known.get(user_id, (0.0, None))
        if actor is None or now >= until:
            actor = self._find(user_id)
            if len(self._known) >= _MOST:
                self._known.clear()
            self._known[user_id] = now + REMEMBERED_SECONDS, actor
        return actor

    def _find(self, user_id: str) -> UUID:
        """When two add the same person at once, the slower one sees nothing at first and the other's row then."""
        with self._pool.connection() as connection:
            while True:
                row = connection.execute(_ID_OF, {"user": user_id}).fetchone()
                if row:
                    actor: UUID = row[0]
                    return actor
