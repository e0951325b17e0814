-- Until the transaction ends these load balancers are neither changed nor deleted, so that rows follow the log: a change in
-- the meantime would not see the first rows of what was measured. Locked in one order, so that nobody waits for each other.
CREATE FUNCTION hold_measured(measured uuid[]) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    held bigint;
BEGIN
    SELECT count(*) INTO held FROM (
        SELECT FROM load_balancers WHERE id = ANY(measured) ORDER BY id FOR SHARE) AS rows;
    IF held <> cardinality(measured) THEN
        RAISE EXCEPTION 'a load balancer that was measured is gone' USING ERRCODE = 'TA004';
    END IF;
END $$;
