-- Incoming: create a temporary table for new jobs that have options: their keys may exist already. Ids are in the jobs'
-- order. `superseded`: another one after it has the same key.
CREATE TEMPORARY TABLE incoming (
    id bigint NOT NULL DEFAULT nextval('jobs_job_id_seq'),
    kind text NOT NULL,
    payload jsonb NOT NULL,
    priority integer NOT NULL,
    options jsonb,
    run_at timestamptz,
    max_attempts integer,
    key text GENERATED ALWAYS AS (options ->> 'key') STORED,
    superseded boolean NOT NULL DEFAULT false
) ON COMMIT DROP;
