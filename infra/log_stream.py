"""The log itself as a stream of events, and the ledger that keeps positions together with what was decided."""

from collections.abc import Callable, Sequence
from uuid import UUID

from eventsourcing.persistence import Mapper, StoredEvent
from psycopg_pool import ConnectionPool

from domain.fields import Position
from infra.action_queue import insert_actions
from infra.settings import Settings
from infra.wakeup import Wakeup
from processes.actions import Action
from processes.ports import Recorded

_READ = """
SELECT notification_id, originator_id, originator_version, topic, state FROM tacitus_events
WHERE notification_id > %s ORDER BY notification_id LIMIT %s
"""


class LogStream:
    """processes.ports.EventStream over the notification log: no gaps, because appends are ordered by a lock."""

    def __init__(self, pool: ConnectionPool, mapper: Mapper[UUID], wakeup: Wakeup) -> None:
        self._pool = pool
        self._mapper = mapper
        self._wakeup = wakeup

    def read_after(self, position: Position, limit: int) -> Sequence[Recorded]:
        with self._pool.connection() as connection:
            rows = connection.execute(_READ, (position, limit), prepare=True).fetchall()
        return [
            Recorded(
                position=Position(notification_id),
                event=self._mapper.to_domain_event(StoredEvent(originator_id, version, topic, bytes(state))),
            )
            for notification_id, originator_id, version, topic, state in rows
        ]

    def wait(self, seconds: float) -> None:
        self._wakeup.wait(seconds)


class PostgresLedger:
    """processes.ports.Ledger: position and actions in one transaction."""

    def __init__(self, pool: ConnectionPool, settings: Settings) -> None:
        self._pool = pool
        self._settings = settings

    def advance(self, consumer: str, decide: Callable[[Position], tuple[Position, Sequence[Action]]]) -> bool:
        with self._pool.connection() as connection, connection.transaction():
            connection.execute("INSERT INTO positions VALUES (%s, 0) ON CONFLICT DO NOTHING", (consumer,), prepare=True)
            locked = connection.execute(
                "SELECT position FROM positions WHERE consumer = %s FOR UPDATE", (consumer,), prepare=True
            ).fetchone()
            position = Position(locked[0]) if locked else Position(0)
            reached, actions = decide(position)
            if reached == position:
                return False
            insert_actions(connection, actions, self._settings)
            connection.execute(
                "UPDATE positions SET position = %s WHERE consumer = %s", (reached, consumer), prepare=True
            )
            return True
