-- Prune: delete jobs that the caller has locked, with their history and the references of bots.
WITH events AS (
    DELETE FROM jobs_jobevent WHERE job_id = ANY (%(ids)s::bigint[])
), bots AS (
    UPDATE bots_bot SET stuck_job_id = NULL WHERE stuck_job_id = ANY (%(ids)s::bigint[])
)
DELETE FROM jobs_job WHERE id = ANY (%(ids)s::bigint[]);
