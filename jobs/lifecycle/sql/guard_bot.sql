-- Guard bot: refuse to delete a bot that holds jobs, and clear the references of jobs that it completed.
--
-- In place of foreign keys from jobs_job, which PostgreSQL would look up for each claim and each completion. A claim
-- locks its bot first: it comes before this, and is seen here, or after it, and finds no bot.
CREATE OR REPLACE FUNCTION jobs_guard_bot() RETURNS trigger LANGUAGE plpgsql AS $function$
BEGIN
    IF EXISTS (SELECT FROM jobs_job j WHERE j.claimed_by_id = OLD.id) THEN
        RAISE EXCEPTION 'bot % holds jobs', OLD.name USING ERRCODE = 'foreign_key_violation';
    END IF;
    UPDATE jobs_job j SET finished_by_id = NULL WHERE j.finished_by_id = OLD.id;
    RETURN NULL;
END
$function$;
CREATE OR REPLACE TRIGGER jobs_guard_bot AFTER DELETE ON bots_bot FOR EACH ROW EXECUTE FUNCTION jobs_guard_bot();
