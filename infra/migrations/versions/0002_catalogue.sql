-- Flavors, availability zones and their profiles: what operators offer and users choose from.
-- A row holds what its events say; the columns that constraints need are taken from the document.
CREATE TABLE flavor_profiles (
    id       uuid PRIMARY KEY,
    document jsonb NOT NULL
);

CREATE TABLE flavors (
    id                uuid PRIMARY KEY,
    document          jsonb NOT NULL,
    name              text GENERATED ALWAYS AS (document ->> 'name') STORED CONSTRAINT flavors_name UNIQUE,
    flavor_profile_id uuid GENERATED ALWAYS AS ((document ->> 'flavor_profile_id')::uuid) STORED
        CONSTRAINT flavors_flavor_profile REFERENCES flavor_profiles
);
CREATE INDEX flavors_by_profile ON flavors (flavor_profile_id);

CREATE TABLE availability_zone_profiles (
    id       uuid PRIMARY KEY,
    document jsonb NOT NULL
);

CREATE TABLE availability_zones (
    id                           uuid PRIMARY KEY,
    document                     jsonb NOT NULL,
    name                         text GENERATED ALWAYS AS (document ->> 'name') STORED CONSTRAINT availability_zones_name UNIQUE,
    availability_zone_profile_id uuid GENERATED ALWAYS AS ((document ->> 'availability_zone_profile_id')::uuid) STORED
        CONSTRAINT availability_zones_profile REFERENCES availability_zone_profiles
);
CREATE INDEX availability_zones_by_profile ON availability_zones (availability_zone_profile_id);

ALTER TABLE load_balancers
    ADD CONSTRAINT load_balancers_flavor FOREIGN KEY (flavor_id) REFERENCES flavors,
    ADD CONSTRAINT load_balancers_availability_zone FOREIGN KEY (availability_zone) REFERENCES availability_zones (name);
CREATE INDEX load_balancers_by_flavor ON load_balancers (flavor_id) WHERE flavor_id IS NOT NULL;
CREATE INDEX load_balancers_by_availability_zone ON load_balancers (availability_zone) WHERE availability_zone IS NOT NULL;

-- Of a profile in use only the name may change. The lock waits for whoever is about to use it; what they then did is seen.
CREATE FUNCTION keep_profile_in_use() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE in_use boolean;
BEGIN
    EXECUTE format('SELECT FROM %I WHERE id = $1 FOR UPDATE', TG_TABLE_NAME) USING OLD.id;
    EXECUTE format('SELECT EXISTS (SELECT FROM %I WHERE %I = $1)', TG_ARGV[0], TG_ARGV[1]) INTO in_use USING OLD.id;
    IF in_use THEN
        RAISE EXCEPTION 'profile % is in use', OLD.id USING ERRCODE = 'foreign_key_violation', CONSTRAINT = TG_ARGV[2];
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER keep_in_use BEFORE UPDATE ON flavor_profiles FOR EACH ROW WHEN (OLD.document - 'name' <> NEW.document - 'name')
    EXECUTE FUNCTION keep_profile_in_use('flavors', 'flavor_profile_id', 'flavors_flavor_profile');
CREATE TRIGGER keep_in_use BEFORE UPDATE ON availability_zone_profiles FOR EACH ROW WHEN (OLD.document - 'name' <> NEW.document - 'name')
    EXECUTE FUNCTION keep_profile_in_use('availability_zones', 'availability_zone_profile_id', 'availability_zones_profile');
