-- What load balancers, and what is below them, have besides.
ALTER TABLE load_balancers ADD COLUMN flavor_id uuid, ADD COLUMN availability_zone text;

-- The revision that last changed the settings: what entity tags are made of.
ALTER TABLE load_balancers ADD COLUMN edited bigint NOT NULL DEFAULT 0;
ALTER TABLE listeners ADD COLUMN edited bigint NOT NULL DEFAULT 0;
ALTER TABLE pools ADD COLUMN edited bigint NOT NULL DEFAULT 0;
ALTER TABLE members ADD COLUMN edited bigint NOT NULL DEFAULT 0;
ALTER TABLE health_monitors ADD COLUMN edited bigint NOT NULL DEFAULT 0;
UPDATE load_balancers SET edited = own;
UPDATE listeners SET edited = own;
UPDATE pools SET edited = own;
UPDATE members SET edited = own;
UPDATE health_monitors SET edited = own;

CREATE TABLE l7_policies (LIKE listeners INCLUDING DEFAULTS, listener_id uuid NOT NULL, PRIMARY KEY (id));
CREATE INDEX l7_policies_load_balancer ON l7_policies (load_balancer_id);
CREATE INDEX l7_policies_listener ON l7_policies (listener_id);
CREATE INDEX l7_policies_redirect_pool ON l7_policies ((document ->> 'redirect_pool_id'));

CREATE TABLE l7_rules (LIKE listeners INCLUDING DEFAULTS, l7policy_id uuid NOT NULL, PRIMARY KEY (id));
CREATE INDEX l7_rules_load_balancer ON l7_rules (load_balancer_id);
CREATE INDEX l7_rules_l7policy ON l7_rules (l7policy_id);

-- Lists are in the order of creation and have to be found in it however long they are: the time stands in the row. It is
-- that of the commit record, so it is filled in once there is one, in the same transaction. What is listed below a parent
-- does without.
ALTER TABLE load_balancers ADD COLUMN created_at timestamp;
ALTER TABLE listeners ADD COLUMN created_at timestamp;
ALTER TABLE pools ADD COLUMN created_at timestamp;
ALTER TABLE health_monitors ADD COLUMN created_at timestamp;
ALTER TABLE l7_policies ADD COLUMN created_at timestamp;
UPDATE load_balancers SET created_at = shown_time(created_by);
UPDATE listeners SET created_at = shown_time(created_by);
UPDATE pools SET created_at = shown_time(created_by);
UPDATE health_monitors SET created_at = shown_time(created_by);
CREATE INDEX load_balancers_in_order ON load_balancers (created_at, id);
CREATE INDEX listeners_in_order ON listeners (created_at, id);
CREATE INDEX pools_in_order ON pools (created_at, id);
CREATE INDEX health_monitors_in_order ON health_monitors (created_at, id);
CREATE INDEX l7_policies_in_order ON l7_policies (created_at, id);
DROP INDEX load_balancers_project;
CREATE INDEX load_balancers_project ON load_balancers (project_id COLLATE "C", created_at, id);

-- What clients look up by name before they ask by id.
CREATE INDEX load_balancers_by_name ON load_balancers ((document ->> 'name') COLLATE "C");
CREATE INDEX listeners_by_name ON listeners ((document ->> 'name') COLLATE "C");
CREATE INDEX pools_by_name ON pools ((document ->> 'name') COLLATE "C");

-- The time of the last change that the API shows is the later of what was asked and of its confirmation. The look-ups
-- stand in the views themselves: a function is called for each row, and cannot be planned with the rest.
DROP VIEW shown_load_balancers, shown_listeners, shown_pools, shown_members, shown_health_monitors;

CREATE VIEW shown_load_balancers AS
SELECT r.id, r.project_id, r.document, r.reason, r.own, r.edited,
       coalesce(reported_status(r.id, greatest(r.own, r.touched)), r.deletion,
                provisioning_status(r.created, r.own, r.touched, 0, r.failed, r.applied, r.settled)) AS provisioning_status,
       coalesce(o.status, 'OFFLINE') AS operating_status,
       r.created_at,
       greatest((SELECT c.recorded_at FROM commits c WHERE c.command_id = nullif(r.updated_by, r.created_by)),
                (SELECT c.recorded_at FROM confirmations f JOIN commits c ON c.command_id = f.command_id
                 WHERE f.load_balancer_id = r.id AND f.applied >= greatest(r.own, r.touched) ORDER BY f.applied LIMIT 1)) AT TIME ZONE 'UTC' AS updated_at
FROM load_balancers r LEFT JOIN operating_statuses o ON o.object_id = r.id;

CREATE VIEW shown_listeners AS
SELECT r.id, r.load_balancer_id, b.project_id, r.document, r.reason, r.own, r.edited,
       coalesce(reported_status(r.id, greatest(r.own, r.touched, r.deleted)),
                provisioning_status(r.created, r.own, r.touched, r.deleted, r.failed, b.applied, b.settled)) AS provisioning_status,
       coalesce(o.status, 'OFFLINE') AS operating_status,
       r.created_at,
       greatest((SELECT c.recorded_at FROM commits c WHERE c.command_id = nullif(r.updated_by, r.created_by)),
                (SELECT c.recorded_at FROM confirmations f JOIN commits c ON c.command_id = f.command_id
                 WHERE f.load_balancer_id = r.load_balancer_id AND f.applied >= greatest(r.own, r.touched) ORDER BY f.applied LIMIT 1)) AT TIME ZONE 'UTC' AS updated_at
FROM listeners r JOIN load_balancers b ON b.id = r.load_balancer_id LEFT JOIN operating_statuses o ON o.object_id = r.id;

CREATE VIEW shown_pools AS
SELECT r.id, r.load_balancer_id, b.project_id, r.document, r.reason, r.own, r.edited,
       coalesce(reported_status(r.id, greatest(r.own, r.touched, r.deleted)),
                provisioning_status(r.created, r.own, r.touched, r.deleted, r.failed, b.applied, b.settled)) AS provisioning_status,
       coalesce(o.status, 'OFFLINE') AS operating_status,
       r.created_at,
       greatest((SELECT c.recorded_at FROM commits c WHERE c.command_id = nullif(r.updated_by, r.created_by)),
                (SELECT c.recorded_at FROM confirmations f JOIN commits c ON c.command_id = f.command_id
                 WHERE f.load_balancer_id = r.load_balancer_id AND f.applied >= greatest(r.own, r.touched) ORDER BY f.applied LIMIT 1)) AT TIME ZONE 'UTC' AS updated_at
FROM pools r JOIN load_balancers b ON b.id = r.load_balancer_id LEFT JOIN operating_statuses o ON o.object_id = r.id;

-- A health monitor that came later says nothing of a member until it is measured.
CREATE VIEW shown_members AS
SELECT r.id, r.load_balancer_id, r.pool_id, b.project_id, r.document, r.reason, r.own, r.edited,
       coalesce(reported_status(r.id, greatest(r.own, r.touched, r.deleted)),
                provisioning_status(r.created, r.own, r.touched, r.deleted, r.failed, b.applied, b.settled)) AS provisioning_status,
       coalesce(o.status, CASE WHEN EXISTS (SELECT FROM health_monitors h WHERE h.pool_id = r.pool_id AND h.deleted = 0 AND h.created < r.created) THEN 'OFFLINE' ELSE 'NO_MONITOR' END) AS operating_status,
       (SELECT c.recorded_at FROM commits c WHERE c.command_id = r.created_by) AT TIME ZONE 'UTC' AS created_at,
       greatest((SELECT c.recorded_at FROM commits c WHERE c.command_id = nullif(r.updated_by, r.created_by)),
                (SELECT c.recorded_at FROM confirmations f JOIN commits c ON c.command_id = f.command_id
                 WHERE f.load_balancer_id = r.load_balancer_id AND f.applied >= greatest(r.own, r.touched) ORDER BY f.applied LIMIT 1)) AT TIME ZONE 'UTC' AS updated_at
FROM members r JOIN load_balancers b ON b.id = r.load_balancer_id LEFT JOIN operating_statuses o ON o.object_id = r.id;

-- Nothing measures a health monitor: it is ONLINE once it runs and is enabled.
CREATE VIEW shown_health_monitors AS
SELECT r.id, r.load_balancer_id, r.pool_id, b.project_id, r.document, r.reason, r.own, r.edited,
       coalesce(reported_status(r.id, greatest(r.own, r.touched, r.deleted)),
                provisioning_status(r.created, r.own, r.touched, r.deleted, r.failed, b.applied, b.settled)) AS provisioning_status,
       coalesce((SELECT o.status FROM operating_statuses o WHERE o.object_id = r.id),
                CASE WHEN r.created <= b.applied AND (r.document ->> 'admin_state_up')::boolean THEN 'ONLINE' ELSE 'OFFLINE' END) AS operating_status,
       r.created_at,
       greatest((SELECT c.recorded_at FROM commits c WHERE c.command_id = nullif(r.updated_by, r.created_by)),
                (SELECT c.recorded_at FROM confirmations f JOIN commits c ON c.command_id = f.command_id
                 WHERE f.load_balancer_id = r.load_balancer_id AND f.applied >= greatest(r.own, r.touched) ORDER BY f.applied LIMIT 1)) AT TIME ZONE 'UTC' AS updated_at
FROM health_monitors r JOIN load_balancers b ON b.id = r.load_balancer_id;

-- Nothing measures policies and rules either.
CREATE VIEW shown_l7_policies AS
SELECT r.id, r.load_balancer_id, r.listener_id, b.project_id, r.document, r.reason, r.own, r.edited,
       coalesce(reported_status(r.id, greatest(r.own, r.touched, r.deleted)),
                provisioning_status(r.created, r.own, r.touched, r.deleted, r.failed, b.applied, b.settled)) AS provisioning_status,
       coalesce((SELECT o.status FROM operating_statuses o WHERE o.object_id = r.id),
                CASE WHEN r.created <= b.applied AND (r.document ->> 'admin_state_up')::boolean THEN 'ONLINE' ELSE 'OFFLINE' END) AS operating_status,
       r.created_at,
       greatest((SELECT c.recorded_at FROM commits c WHERE c.command_id = nullif(r.updated_by, r.created_by)),
                (SELECT c.recorded_at FROM confirmations f JOIN commits c ON c.command_id = f.command_id
                 WHERE f.load_balancer_id = r.load_balancer_id AND f.applied >= greatest(r.own, r.touched) ORDER BY f.applied LIMIT 1)) AT TIME ZONE 'UTC' AS updated_at
FROM l7_policies r JOIN load_balancers b ON b.id = r.load_balancer_id;

CREATE VIEW shown_l7_rules AS
SELECT r.id, r.load_balancer_id, r.l7policy_id, b.project_id, r.document, r.reason, r.own, r.edited,
       coalesce(reported_status(r.id, greatest(r.own, r.touched, r.deleted)),
                provisioning_status(r.created, r.own, r.touched, r.deleted, r.failed, b.applied, b.settled)) AS provisioning_status,
       coalesce((SELECT o.status FROM operating_statuses o WHERE o.object_id = r.id),
                CASE WHEN r.created <= b.applied AND (r.document ->> 'admin_state_up')::boolean THEN 'ONLINE' ELSE 'OFFLINE' END) AS operating_status,
       (SELECT c.recorded_at FROM commits c WHERE c.command_id = r.created_by) AT TIME ZONE 'UTC' AS created_at,
       greatest((SELECT c.recorded_at FROM commits c WHERE c.command_id = nullif(r.updated_by, r.created_by)),
                (SELECT c.recorded_at FROM confirmations f JOIN commits c ON c.command_id = f.command_id
                 WHERE f.load_balancer_id = r.load_balancer_id AND f.applied >= greatest(r.own, r.touched) ORDER BY f.applied LIMIT 1)) AT TIME ZONE 'UTC' AS updated_at
FROM l7_rules r JOIN load_balancers b ON b.id = r.load_balancer_id;
