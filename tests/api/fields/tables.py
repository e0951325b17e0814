"""All tables together."""

from tests.api.fields import health_monitor, l7, listener, load_balancer, member, operators, pool

TABLES = (load_balancer, listener, pool, member, health_monitor, l7, operators)
FIELDS = [field for table in TABLES for field in table.FIELDS]
