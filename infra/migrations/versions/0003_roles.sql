-- Which leader each duty has had: the number fences off one that was cut off; the address is where it can be reached.
CREATE TABLE terms (
    duty    text PRIMARY KEY,
    number  bigint NOT NULL,
    address text NOT NULL DEFAULT ''
);

-- A leader that was cut off may have sent something that arrives once another one leads: it undoes its transaction.
CREATE FUNCTION require_term(led text, term bigint) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM terms WHERE duty = led AND number = term) THEN
        RAISE EXCEPTION 'term % of the % is over', term, led USING ERRCODE = 'TA003';
    END IF;
END $$;

-- What services may do: the log only grows, and who recorded what stays as it was written. Operators give this role to the login that
-- their services use; the owner alone migrates, rebuilds and adopts. Roles belong to the whole server, so another database may have made it.
DO $$
BEGIN
    CREATE ROLE tacitus_service NOLOGIN;
EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL;
END $$;

CREATE FUNCTION grant_to_services() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('GRANT USAGE ON SCHEMA %I TO tacitus_service', current_schema());
    EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA %I TO tacitus_service', current_schema());
    EXECUTE format('GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA %I TO tacitus_service', current_schema());
    EXECUTE format('ALTER DEFAULT PRIVILEGES IN SCHEMA %I GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO tacitus_service', current_schema());
    EXECUTE format('ALTER DEFAULT PRIVILEGES IN SCHEMA %I GRANT USAGE, SELECT ON SEQUENCES TO tacitus_service', current_schema());
    REVOKE UPDATE, DELETE ON tacitus_events, commits FROM tacitus_service;
    REVOKE INSERT, UPDATE, DELETE ON log_identity, log_adoptions FROM tacitus_service;
END $$;
SELECT grant_to_services();
