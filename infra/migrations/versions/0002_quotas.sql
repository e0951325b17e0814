-- Limits that somebody set, by kind; what is missing is the deployment's default.
CREATE TABLE quotas (
    project_id text COLLATE "C" PRIMARY KEY,
    limits     jsonb NOT NULL
);

-- What counts against the quota of a project: a row of this kind in its load balancers' trees counts until it is gone.
CREATE TABLE quota_uses (
    project_id text COLLATE "C" NOT NULL,
    kind       text NOT NULL,
    in_use     bigint NOT NULL,
    PRIMARY KEY (project_id, kind)
) WITH (fillfactor = 50);

INSERT INTO quota_uses (project_id, kind, in_use)
SELECT b.project_id, x.kind, count(*)
FROM load_balancers b JOIN (
    SELECT id AS load_balancer_id, 'load_balancers' AS kind FROM load_balancers
    UNION ALL SELECT load_balancer_id, 'listeners' FROM listeners
    UNION ALL SELECT load_balancer_id, 'pools' FROM pools
    UNION ALL SELECT load_balancer_id, 'members' FROM members
    UNION ALL SELECT load_balancer_id, 'health_monitors' FROM health_monitors) x ON x.load_balancer_id = b.id
GROUP BY b.project_id, x.kind;

-- Counts objects against the quota of their load balancer's project: [{load_balancer_id, kind, more, leaving, most}], always
-- in the same order of kinds. Of those that come, as many as leave with the same event are let in without a question. `most`
-- is the limit of whoever has set none, null where limits do not count. The counted row is locked until the transaction ends,
-- so of those who come at once exactly as many are let in as there is room for. One released as a whole counts no more.
CREATE FUNCTION count_uses(uses jsonb) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    use   record;
    owner text;
    total bigint;
    most  bigint;
BEGIN
    FOR use IN SELECT * FROM jsonb_to_recordset(uses)
        AS u(load_balancer_id uuid, kind text, more bigint, leaving bigint, most bigint)
    LOOP
        SELECT b.project_id INTO owner FROM load_balancers b WHERE b.id = use.load_balancer_id;
        CONTINUE WHEN NOT FOUND;
        INSERT INTO quota_uses AS q VALUES (owner, use.kind, use.more)
        ON CONFLICT (project_id, kind) DO UPDATE SET in_use = q.in_use + excluded.in_use RETURNING q.in_use INTO total;
        IF use.most IS NOT NULL AND use.more > use.leaving THEN
            most := coalesce((SELECT (q.limits ->> use.kind)::bigint FROM quotas q WHERE q.project_id = owner), use.most);
            IF most >= 0 AND total - use.leaving > most THEN
                RAISE EXCEPTION 'the quota of project % has been met', owner USING ERRCODE = 'TA002', DETAIL = use.kind;
            END IF;
        END IF;
    END LOOP;
END $$;

-- Takes back all that a load balancer and what is still below it count; its row is locked before the counted ones, as always.
CREATE FUNCTION release_uses(load_balancer uuid) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM FROM load_balancers WHERE id = load_balancer FOR UPDATE;
    PERFORM count_uses((
        SELECT jsonb_agg(jsonb_build_object('load_balancer_id', load_balancer, 'kind', x.kind, 'more', -x.held) ORDER BY x.place)
        FROM (VALUES
            (1, 'load_balancers', 1),
            (2, 'pools', (SELECT count(*) FROM pools WHERE load_balancer_id = load_balancer)),
            (3, 'health_monitors', (SELECT count(*) FROM health_monitors WHERE load_balancer_id = load_balancer)),
            (4, 'members', (SELECT count(*) FROM members WHERE load_balancer_id = load_balancer)),
            (5, 'listeners', (SELECT count(*) FROM listeners WHERE load_balancer_id = load_balancer)),
            (6, 'l7_policies', (SELECT count(*) FROM l7_policies WHERE load_balancer_id = load_balancer)),
            (7, 'l7_rules', (SELECT count(*) FROM l7_rules WHERE load_balancer_id = load_balancer))
        ) AS x(place, kind, held) WHERE x.held > 0));
END $$;

-- Projects with a record: something was set for them, or made in them.
CREATE VIEW shown_quotas AS
SELECT p.project_id, coalesce(q.limits, '{}') AS document,
       coalesce((SELECT jsonb_object_agg(u.kind, u.in_use) FROM quota_uses u WHERE u.project_id = p.project_id), '{}') AS uses
FROM (SELECT project_id FROM quotas UNION SELECT project_id FROM quota_uses) p LEFT JOIN quotas q ON q.project_id = p.project_id;
