-- Guard limits: keep whether a kind has a limit. Its number grows each time when it had none before: then its jobs have
-- to come into the lane of gated jobs first, and none of it is claimed until they have.
CREATE OR REPLACE FUNCTION jobs_guard_limits() RETURNS trigger LANGUAGE plpgsql AS $function$
BEGIN
    NEW.limited := COALESCE(NEW.max_held, NEW.max_held_per_group, NEW.rate, NEW.rate_per_group) IS NOT NULL;
    IF TG_OP = 'UPDATE' THEN
        NEW.limited_no := OLD.limited_no + (NEW.limited AND NOT OLD.limited)::integer;
    ELSE
        NEW.limited_no := NEW.limited::integer;
    END IF;
    RETURN NEW;
END
$function$;
CREATE OR REPLACE TRIGGER jobs_guard_limits BEFORE INSERT OR UPDATE ON jobs_jobkind
FOR EACH ROW EXECUTE FUNCTION jobs_guard_limits();
