-- How far each consumer is in each partition of the stream. With another number of partitions, each begins where the
-- consumer was in the one that was furthest behind.
ALTER TABLE positions
    ADD COLUMN partition  int NOT NULL DEFAULT 0,
    ADD COLUMN partitions int NOT NULL DEFAULT 1,
    DROP CONSTRAINT positions_pkey,
    ADD PRIMARY KEY (consumer, partition);

-- Position of the last event that the relay published in each partition of a topic; the highest is how far it is.
CREATE TABLE published (
    topic     text   NOT NULL,
    partition int    NOT NULL,
    position  bigint NOT NULL,
    PRIMARY KEY (topic, partition)
);

-- Events that a consumer put aside: the first of a stream could not be handled, the others must not overtake it.
CREATE TABLE parked_events (
    consumer text   NOT NULL,
    stream   uuid   NOT NULL,
    position bigint NOT NULL,
    PRIMARY KEY (consumer, stream, position)
);

-- How many positions each consumer is behind at most: behind the end of the log where it reads that, else behind what
-- was published in its partitions, of which a quiet one stays where it is.
CREATE VIEW consumer_lags AS
SELECT p.consumer, max(greatest(0, coalesce(CASE WHEN p.partitions > 1 THEN u.position END, e.position) - p.position)) AS lag
FROM positions p
LEFT JOIN (SELECT partition, max(position) AS position FROM published GROUP BY partition) u ON u.partition = p.partition
CROSS JOIN (SELECT coalesce(max(notification_id), 0) AS position FROM tacitus_events) e
GROUP BY p.consumer;
