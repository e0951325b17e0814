"""After an adoption: what amphorae run is compared with the log, and mended by commands, all of it at once."""

from infra.event_store import EventStore
from infra.reconcile import ExpectedRows, Repairs
from infra.settings import Profile, Settings

WHY = "the log was adopted after it had lost events"


def repair_amphorae(settings: Settings) -> int:
    """How many load balancers a repair was asked for. One that does not answer is left to those who watch over it.

    Raises psycopg.Error, commands.ports.StoreUnavailable, processes.ports.ComputeFault.
    """
    from infra.wiring import comparison, connection_pool

    if settings.profile == Profile.NOOP:
        return 0
    store = EventStore(settings.database_url)
    try:
        with connection_pool(settings, 2) as pool:
            compared, _ = comparison(settings, store, pool)
            found = compared.other_files(ExpectedRows(pool, store).serving())
            wrong = {each.serving.load_balancer_id for each in found}
        repair = Repairs(settings, store)
        for load_balancer_id in sorted(wrong):
            repair(load_balancer_id, WHY)
        return len(wrong)
    finally:
        store.close()
