-- What load balancers, and what is below them, have besides.
ALTER TABLE load_balancers ADD COLUMN flavor_id uuid, ADD COLUMN availability_zone text;

CREATE TABLE l7_policies (LIKE listeners INCLUDING DEFAULTS, listener_id uuid NOT NULL, PRIMARY KEY (id));
CREATE INDEX l7_policies_load_balancer ON l7_policies (load_balancer_id);
CREATE INDEX l7_policies_listener ON l7_policies (listener_id);
CREATE INDEX l7_policies_redirect_pool ON l7_policies ((document ->> 'redirect_pool_id'));

CREATE TABLE l7_rules (LIKE listeners INCLUDING DEFAULTS, l7policy_id uuid NOT NULL, PRIMARY KEY (id));
CREATE INDEX l7_rules_load_balancer ON l7_rules (load_balancer_id);
CREATE INDEX l7_rules_l7policy ON l7_rules (l7policy_id);
