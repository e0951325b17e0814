-- The control API of the noop profile: what is shown instead of what is so.
CREATE TABLE reported_statuses (
    object_id        uuid PRIMARY KEY,
    load_balancer_id uuid NOT NULL,
    status           text NOT NULL,
    since            bigint NOT NULL
);
CREATE INDEX reported_statuses_load_balancer ON reported_statuses (load_balancer_id);

-- Counts until the object is changed again: `latest` is its latest mark.
CREATE FUNCTION reported_status(object uuid, latest bigint) RETURNS text LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT status FROM reported_statuses WHERE object_id = object AND since >= latest
$$;

-- What else was told: a document of each kind.
CREATE TABLE control (
    kind     text PRIMARY KEY,
    document jsonb NOT NULL
);

-- Amphorae as they are to look, by the API's names.
CREATE TABLE reported_amphorae (
    id       uuid PRIMARY KEY,
    document jsonb NOT NULL
);
