-- Requests with an idempotency key: an intent is committed before anything is done for it, its answer afterwards.
-- A key that is used again after its day is a new request: `request_id` differs.
CREATE TABLE idempotency (
    key_id      uuid PRIMARY KEY,
    request_id  uuid NOT NULL,
    fingerprint bytea NOT NULL,
    begun_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
    required    jsonb NOT NULL DEFAULT '[]',
    status      text,
    headers     jsonb,
    body        bytea
);
CREATE INDEX idempotency_begun ON idempotency (begun_at);
