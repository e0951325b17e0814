-- The log, its commit records, resource rows, actions and positions.

-- The log. Column names and order are the eventsourcing library's.
CREATE TABLE tacitus_events (
    originator_id      uuid   NOT NULL,
    originator_version bigint NOT NULL,
    topic              text   NOT NULL,
    state              bytea  NOT NULL,
    notification_id    bigserial,
    PRIMARY KEY (originator_id, originator_version)
) WITH (autovacuum_vacuum_threshold = 100000000, autovacuum_analyze_threshold = 1000, autovacuum_analyze_scale_factor = 0.01);
CREATE UNIQUE INDEX tacitus_events_notification_id_idx ON tacitus_events (notification_id);

-- After a restore positions would be given twice: the id tells one life of the log from another.
CREATE TABLE log_identity (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    id       uuid NOT NULL DEFAULT gen_random_uuid()
);
INSERT INTO log_identity DEFAULT VALUES;

-- The only place that knows persons: forgetting somebody deletes one row.
CREATE TABLE actors (
    id      uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    user_id text NOT NULL UNIQUE
);

-- One row per append: who, through which request, because of what, and when by the database's clock.
CREATE TABLE commits (
    command_id  uuid PRIMARY KEY,
    position    bigint NOT NULL,
    recorded_at timestamptz NOT NULL,
    actor       uuid,
    project_id  text NOT NULL,
    request_id  text NOT NULL,
    cause       bigint
);
CREATE UNIQUE INDEX commits_position ON commits (position);

-- Resource rows. `created` to `failed` are revisions (domain/progress.py, Marks); 0 stands for none.
-- created_by and updated_by name the commit that wrote them.
CREATE TABLE load_balancers (
    id         uuid PRIMARY KEY,
    project_id text NOT NULL,
    document   jsonb NOT NULL,
    created    bigint NOT NULL,
    own        bigint NOT NULL,
    touched    bigint NOT NULL DEFAULT 0,
    failed     bigint NOT NULL DEFAULT 0,
    applied    bigint NOT NULL DEFAULT 0,
    settled    bigint NOT NULL DEFAULT 0,
    deletion   text CHECK (deletion IN ('PENDING_DELETE', 'ERROR')),
    reason     text NOT NULL DEFAULT '',
    created_by uuid NOT NULL,
    updated_by uuid
);
CREATE INDEX load_balancers_project ON load_balancers (project_id);

CREATE TABLE listeners (
    id               uuid PRIMARY KEY,
    load_balancer_id uuid NOT NULL,
    document         jsonb NOT NULL,
    created          bigint NOT NULL,
    own              bigint NOT NULL,
    touched          bigint NOT NULL DEFAULT 0,
    deleted          bigint NOT NULL DEFAULT 0,
    failed           bigint NOT NULL DEFAULT 0,
    reason           text NOT NULL DEFAULT '',
    created_by       uuid NOT NULL,
    updated_by       uuid
);
CREATE INDEX listeners_load_balancer ON listeners (load_balancer_id);
CREATE INDEX listeners_default_pool ON listeners ((document ->> 'default_pool_id'));

CREATE TABLE pools (LIKE listeners INCLUDING DEFAULTS, PRIMARY KEY (id));
CREATE INDEX pools_load_balancer ON pools (load_balancer_id);

CREATE TABLE members (LIKE listeners INCLUDING DEFAULTS, pool_id uuid NOT NULL, PRIMARY KEY (id));
CREATE INDEX members_load_balancer ON members (load_balancer_id);
CREATE INDEX members_pool ON members (pool_id);

CREATE TABLE health_monitors (LIKE listeners INCLUDING DEFAULTS, pool_id uuid NOT NULL, PRIMARY KEY (id));
CREATE INDEX health_monitors_load_balancer ON health_monitors (load_balancer_id);
CREATE INDEX health_monitors_pool ON health_monitors (pool_id);

CREATE TABLE amphorae (
    id                 uuid PRIMARY KEY,
    load_balancer_id   uuid NOT NULL,
    stage              text NOT NULL,
    replaces           uuid,
    compute_id         text,
    management_address text,
    haproxy_version    text,
    reason             text NOT NULL DEFAULT '',
    created_by         uuid NOT NULL,
    updated_by         uuid
);
CREATE INDEX amphorae_load_balancer ON amphorae (load_balancer_id);

-- One owner of an address on a network.
CREATE TABLE addresses (
    network_id       uuid NOT NULL,
    address          inet NOT NULL,
    load_balancer_id uuid NOT NULL,
    CONSTRAINT addresses_one_owner PRIMARY KEY (network_id, address)
);
CREATE INDEX addresses_load_balancer ON addresses (load_balancer_id);

-- When each load balancer reached a revision: the change to ACTIVE counts for updated_at.
CREATE TABLE confirmations (
    load_balancer_id uuid NOT NULL,
    applied          bigint NOT NULL,
    command_id       uuid NOT NULL,
    PRIMARY KEY (load_balancer_id, applied)
);

-- What was measured: status by events of the health stream, counters by heartbeats (not history).
CREATE TABLE operating_statuses (
    object_id        uuid PRIMARY KEY,
    load_balancer_id uuid NOT NULL,
    status           text NOT NULL
);
CREATE INDEX operating_statuses_load_balancer ON operating_statuses (load_balancer_id);

CREATE TABLE statistics (
    listener_id        uuid NOT NULL,
    amphora_id         uuid NOT NULL,
    load_balancer_id   uuid NOT NULL,
    boot_id            text NOT NULL DEFAULT '',
    bytes_in           bigint NOT NULL DEFAULT 0,
    bytes_out          bigint NOT NULL DEFAULT 0,
    active_connections bigint NOT NULL DEFAULT 0,
    total_connections  bigint NOT NULL DEFAULT 0,
    request_errors     bigint NOT NULL DEFAULT 0,
    cumulative         jsonb NOT NULL DEFAULT '{}',
    PRIMARY KEY (listener_id, amphora_id)
);
CREATE INDEX statistics_load_balancer ON statistics (load_balancer_id);

-- How far each consumer of the log is.
CREATE TABLE positions (
    consumer text PRIMARY KEY,
    position bigint NOT NULL
);

-- Durable actions (design: processes decide purely and act separately).
CREATE TABLE actions (
    id          bigserial PRIMARY KEY,
    kind        text NOT NULL,
    object_id   uuid NOT NULL,
    lane        text NOT NULL,
    priority    smallint NOT NULL,
    payload     jsonb NOT NULL,
    wanted      bigint NOT NULL DEFAULT 0,
    since       timestamptz NOT NULL DEFAULT now(),
    due_at      timestamptz NOT NULL,
    deadline    timestamptz NOT NULL,
    attempt     int NOT NULL DEFAULT 0,
    failures    int NOT NULL DEFAULT 0,
    last_error  text NOT NULL DEFAULT '',
    owner       text,
    lease_until timestamptz,
    cause       bigint,
    CONSTRAINT actions_one_each UNIQUE (kind, object_id)
) WITH (autovacuum_vacuum_threshold = 500, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_cost_delay = 0);
CREATE UNIQUE INDEX actions_lane_taken ON actions (lane) WHERE owner IS NOT NULL;
CREATE INDEX actions_due ON actions (due_at);

-- The outcome of an action ends it, in the transaction of the outcome; more was wanted meanwhile: it is due again.
-- An attempt that is not the latest any more undoes its transaction.
CREATE FUNCTION complete_action(action_id bigint, action_attempt int, done bigint) RETURNS void LANGUAGE plpgsql AS $$
DECLARE still_wanted bigint;
BEGIN
    SELECT wanted INTO still_wanted FROM actions WHERE id = action_id AND attempt = action_attempt AND owner IS NOT NULL FOR UPDATE;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'attempt % of action % is outdated', action_attempt, action_id USING ERRCODE = 'TA001';
    END IF;
    IF still_wanted <= done THEN
        DELETE FROM actions WHERE id = action_id;
    ELSE
        UPDATE actions SET owner = NULL, lease_until = NULL, due_at = now(), failures = 0, last_error = '' WHERE id = action_id;
        PERFORM pg_notify('tacitus_actions', '');
    END IF;
END $$;

CREATE FUNCTION provisioning_status(created bigint, own bigint, touched bigint, deleted bigint, failed bigint, applied bigint, settled bigint)
RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE
        WHEN deleted > 0 THEN CASE WHEN deleted <= applied THEN NULL WHEN deleted <= settled THEN 'ERROR' ELSE 'PENDING_DELETE' END
        WHEN failed = own THEN 'ERROR'
        WHEN own > settled THEN CASE WHEN created > applied THEN 'PENDING_CREATE' ELSE 'PENDING_UPDATE' END
        WHEN own > applied THEN 'ERROR'
        WHEN touched > settled THEN 'PENDING_UPDATE'
        ELSE 'ACTIVE'
    END
$$;

CREATE FUNCTION shown_time(commit_id uuid) RETURNS timestamp LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT date_trunc('microseconds', recorded_at AT TIME ZONE 'UTC') FROM commits WHERE command_id = commit_id
$$;

-- The time of the last change that the API shows: the later of what was asked and of its confirmation.
CREATE FUNCTION shown_update(updated_by uuid, load_balancer uuid, latest_mark bigint) RETURNS timestamp LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT greatest(shown_time(updated_by), (
        SELECT shown_time(c.command_id) FROM confirmations c
        WHERE c.load_balancer_id = load_balancer AND c.applied >= latest_mark ORDER BY c.applied LIMIT 1))
$$;

CREATE VIEW shown_load_balancers AS
SELECT r.id, r.project_id, r.document, r.reason, r.own,
       coalesce(r.deletion, provisioning_status(r.created, r.own, r.touched, 0, r.failed, r.applied, r.settled)) AS provisioning_status,
       coalesce(o.status, 'OFFLINE') AS operating_status,
       shown_time(r.created_by) AS created_at,
       shown_update(r.updated_by, r.id, greatest(r.own, r.touched)) AS updated_at
FROM load_balancers r LEFT JOIN operating_statuses o ON o.object_id = r.id;

CREATE VIEW shown_listeners AS
SELECT r.id, r.load_balancer_id, b.project_id, r.document, r.reason, r.own,
       provisioning_status(r.created, r.own, r.touched, r.deleted, r.failed, b.applied, b.settled) AS provisioning_status,
       coalesce(o.status, 'OFFLINE') AS operating_status,
       shown_time(r.created_by) AS created_at,
       shown_update(r.updated_by, r.load_balancer_id, greatest(r.own, r.touched)) AS updated_at
FROM listeners r JOIN load_balancers b ON b.id = r.load_balancer_id LEFT JOIN operating_statuses o ON o.object_id = r.id;

CREATE VIEW shown_pools AS
SELECT r.id, r.load_balancer_id, b.project_id, r.document, r.reason, r.own,
       provisioning_status(r.created, r.own, r.touched, r.deleted, r.failed, b.applied, b.settled) AS provisioning_status,
       coalesce(o.status, 'OFFLINE') AS operating_status,
       shown_time(r.created_by) AS created_at,
       shown_update(r.updated_by, r.load_balancer_id, greatest(r.own, r.touched)) AS updated_at
FROM pools r JOIN load_balancers b ON b.id = r.load_balancer_id LEFT JOIN operating_statuses o ON o.object_id = r.id;

CREATE VIEW shown_members AS
SELECT r.id, r.load_balancer_id, r.pool_id, b.project_id, r.document, r.reason, r.own,
       provisioning_status(r.created, r.own, r.touched, r.deleted, r.failed, b.applied, b.settled) AS provisioning_status,
       coalesce(o.status, CASE WHEN EXISTS (SELECT FROM health_monitors h WHERE h.pool_id = r.pool_id AND h.deleted = 0) THEN 'OFFLINE' ELSE 'NO_MONITOR' END) AS operating_status,
       shown_time(r.created_by) AS created_at,
       shown_update(r.updated_by, r.load_balancer_id, greatest(r.own, r.touched)) AS updated_at
FROM members r JOIN load_balancers b ON b.id = r.load_balancer_id LEFT JOIN operating_statuses o ON o.object_id = r.id;

-- Nothing measures a health monitor: it is ONLINE once it runs and is enabled.
CREATE VIEW shown_health_monitors AS
SELECT r.id, r.load_balancer_id, r.pool_id, b.project_id, r.document, r.reason, r.own,
       provisioning_status(r.created, r.own, r.touched, r.deleted, r.failed, b.applied, b.settled) AS provisioning_status,
       CASE WHEN r.created <= b.applied AND (r.document ->> 'admin_state_up')::boolean THEN 'ONLINE' ELSE 'OFFLINE' END AS operating_status,
       shown_time(r.created_by) AS created_at,
       shown_update(r.updated_by, r.load_balancer_id, greatest(r.own, r.touched)) AS updated_at
FROM health_monitors r JOIN load_balancers b ON b.id = r.load_balancer_id;
