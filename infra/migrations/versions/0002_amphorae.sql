-- What the API shows of amphorae besides.
ALTER TABLE amphorae ADD COLUMN certificate_expires_at timestamptz, ADD COLUMN vrrp_ip text, ADD COLUMN created_at timestamp;
UPDATE amphorae SET created_at = shown_time(created_by);
ALTER TABLE amphorae ALTER created_at SET DEFAULT now() AT TIME ZONE 'UTC';
CREATE INDEX amphorae_in_order ON amphorae (created_at, id);

-- The statuses are the contract's. One that left service is on its way out: whoever takes its place takes it down. All of
-- them go with their load balancer.
CREATE VIEW present_amphorae AS
SELECT a.id, a.load_balancer_id, b.project_id,
       CASE
           WHEN b.deletion = 'PENDING_DELETE' OR a.stage IN ('out of service', 'being removed') THEN 'PENDING_DELETE'
           WHEN a.stage IN ('plugged', 'in service') THEN 'ALLOCATED'
           WHEN a.stage = 'failed' THEN 'ERROR'
           ELSE 'BOOTING'
       END AS status,
       CASE WHEN x.has_the_vip THEN 'STANDALONE' END AS role,
       a.compute_id, a.management_address AS lb_network_ip, a.vrrp_ip, NULL::uuid AS vrrp_port_id, NULL::text AS vrrp_interface,
       NULL::bigint AS vrrp_id, NULL::bigint AS vrrp_priority, NULL::text AS cached_zone, NULL::text AS image_id,
       NULL::text AS compute_flavor,
       CASE WHEN x.has_the_vip THEN b.document ->> 'vip_address' END AS ha_ip,
       CASE WHEN x.has_the_vip THEN (b.document ->> 'vip_port_id')::uuid END AS ha_port_id,
       a.certificate_expires_at AT TIME ZONE 'UTC' AS cert_expiration, false AS cert_busy,
       a.created_at,
       (SELECT c.recorded_at FROM commits c WHERE c.command_id = a.updated_by) AT TIME ZONE 'UTC' AS updated_at
FROM amphorae a JOIN load_balancers b ON b.id = a.load_balancer_id,
     LATERAL (SELECT a.stage IN ('plugged', 'in service', 'out of service') AS has_the_vip) x;

-- In the noop profile somebody may say how an amphora is to look, and that there are others: what was said covers what is so.
CREATE VIEW shown_amphorae AS
SELECT (jsonb_populate_record(p, r.document)).* FROM present_amphorae p JOIN reported_amphorae r ON r.id = p.id
UNION ALL
SELECT p.* FROM present_amphorae p WHERE NOT EXISTS (SELECT FROM reported_amphorae r WHERE r.id = p.id)
UNION ALL
SELECT (jsonb_populate_record(NULL::present_amphorae, r.document)).* FROM reported_amphorae r
WHERE NOT EXISTS (SELECT FROM present_amphorae p WHERE p.id = r.id);
