-- Up to which format every release that runs can read the log (infra/log_level.py). A log that is older than levels has
-- the first one until `tacitus upgrade finish`; one that begins now is read by nothing older than what made it.
ALTER TABLE log_identity ADD COLUMN level int NOT NULL DEFAULT 1 CHECK (level > 0);
UPDATE log_identity SET level = 2 WHERE NOT EXISTS (SELECT FROM tacitus_events);

-- Lives of the log: each that went on from a former one which had lost events, and why somebody said it may.
-- position: the last one of the former life; the next event has one that was never given before.
CREATE TABLE log_adoptions (
    id         uuid PRIMARY KEY,
    former     uuid NOT NULL,
    position   bigint NOT NULL,
    why        text NOT NULL,
    adopted_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- Processes that look at the log regularly, and the highest level that each knows; they note it every few seconds.
CREATE TABLE running_processes (
    name    text PRIMARY KEY,
    level   int NOT NULL,
    release text NOT NULL,
    seen_at timestamptz NOT NULL
);
