-- Projections that are being rebuilt: how far the new rows are that are built beside those that serve. The process that
-- builds has a `run` of its own; one that finds another's, or no row at all, was called off.
CREATE TABLE rebuilds (
    projection text PRIMARY KEY,
    run        uuid NOT NULL,
    made_for   text NOT NULL, -- the log, the layout of the tables and the release that the new rows are right for
    position   bigint NOT NULL DEFAULT 0,
    is_complete boolean NOT NULL DEFAULT false, -- has its indexes and constraints
    events     bigint NOT NULL DEFAULT 0,
    started_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    updated_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
