-- Guard kind: refuse to delete or rename a kind that has jobs.
--
-- In place of a foreign key from jobs_job, which PostgreSQL would look up for each new job. Who enqueues locks the kinds
-- once (kinds.sql), so that a kind cannot go between that and the new jobs.
CREATE OR REPLACE FUNCTION jobs_guard_kind() RETURNS trigger LANGUAGE plpgsql AS $function$
BEGIN
    -- Each half has an index: `job_at_rest`, and what is held is little.
    IF EXISTS (SELECT FROM jobs_job j WHERE j.kind_id = OLD.name
               AND j.status IN ('pending', 'succeeded', 'failed', 'cancelled'))
       OR EXISTS (SELECT FROM jobs_job j WHERE j.kind_id = OLD.name AND j.claimed_by_id IS NOT NULL) THEN
        RAISE EXCEPTION 'kind % has jobs', OLD.name USING ERRCODE = 'foreign_key_violation';
    END IF;
    RETURN NULL;
END
$function$;
CREATE OR REPLACE TRIGGER jobs_guard_kind AFTER DELETE ON jobs_jobkind FOR EACH ROW EXECUTE FUNCTION jobs_guard_kind();
CREATE OR REPLACE TRIGGER jobs_guard_kind_name AFTER UPDATE OF name ON jobs_jobkind
FOR EACH ROW WHEN (NEW.name <> OLD.name) EXECUTE FUNCTION jobs_guard_kind();
