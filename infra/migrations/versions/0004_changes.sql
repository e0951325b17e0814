-- Which load balancer of which project changed when, by which event (projections/changes.py). Both tables keep what is
-- deleted: they tell of the past. Rows come in the order of the log, a moment after their events.
CREATE TABLE changed_load_balancers (
    id         uuid PRIMARY KEY,
    project_id text NOT NULL,
    name       text NOT NULL, -- the latest
    deleted_at timestamptz
);
CREATE INDEX changed_load_balancers_project ON changed_load_balancers (project_id);

-- at: the event's timestamp, by the clock of the service that recorded it. event: the name under which it is stored.
CREATE TABLE changes (
    originator_id      uuid NOT NULL,
    originator_version bigint NOT NULL,
    load_balancer_id   uuid NOT NULL,
    at                 timestamptz NOT NULL,
    event              text NOT NULL,
    PRIMARY KEY (originator_id, originator_version)
);
CREATE INDEX changes_load_balancer ON changes (load_balancer_id, at);

SELECT grant_to_services();
