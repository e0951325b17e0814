-- The time of the commit record, for new rows that have another: {table: [id]}.
CREATE FUNCTION date_rows(created jsonb, recorded timestamptz) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    dated record;
BEGIN
    FOR dated IN SELECT e.key AS table_name, ARRAY(SELECT jsonb_array_elements_text(e.value)::uuid) AS ids FROM jsonb_each(created) e LOOP
        EXECUTE format('UPDATE %I SET created_at = $1 WHERE id = ANY($2) AND created_at <> $1', dated.table_name)
            USING recorded AT TIME ZONE 'UTC', dated.ids;
    END LOOP;
END $$;

-- The end of an append, in one call: whoever appends waits for the server once while others wait for the lock.
-- The lock gives the log its order: positions are drawn under it, and it ends with the transaction. The time is that of the
-- transaction, which rows have already, unless somebody with a later one was faster.
CREATE FUNCTION append_events(
    order_lock bigint, ids uuid[], versions bigint[], topics text[], states bytea[],
    command_id uuid, actor uuid, project_id text, request_id text, cause bigint, uses jsonb, created jsonb
) RETURNS timestamptz LANGUAGE plpgsql AS $$
DECLARE recorded timestamptz;
BEGIN
    IF uses IS NOT NULL THEN
        PERFORM count_uses(uses);
    END IF;
    PERFORM pg_advisory_xact_lock(order_lock);
    NOTIFY tacitus_events;
    INSERT INTO tacitus_events (originator_id, originator_version, topic, state)
    SELECT e.id, e.version, e.topic, e.state
    FROM unnest(ids, versions, topics, states) WITH ORDINALITY AS e(id, version, topic, state, place)
    ORDER BY e.place;
    INSERT INTO commits VALUES (
        append_events.command_id, currval('tacitus_events_notification_id_seq'),
        greatest(now(), (SELECT c.recorded_at FROM commits c ORDER BY c.position DESC LIMIT 1)),
        append_events.actor, append_events.project_id, append_events.request_id, append_events.cause)
    RETURNING recorded_at INTO recorded;
    IF recorded > now() AND created IS NOT NULL THEN
        PERFORM date_rows(created, recorded);
    END IF;
    RETURN recorded;
END $$;

ALTER TABLE load_balancers ALTER created_at SET DEFAULT now() AT TIME ZONE 'UTC';
ALTER TABLE listeners ALTER created_at SET DEFAULT now() AT TIME ZONE 'UTC';
ALTER TABLE pools ALTER created_at SET DEFAULT now() AT TIME ZONE 'UTC';
ALTER TABLE health_monitors ALTER created_at SET DEFAULT now() AT TIME ZONE 'UTC';
ALTER TABLE l7_policies ALTER created_at SET DEFAULT now() AT TIME ZONE 'UTC';
