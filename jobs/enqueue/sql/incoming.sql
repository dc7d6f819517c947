-- Incoming: create a temporary table for new jobs whose keys may exist already. Ids are in the jobs' order.
CREATE TEMPORARY TABLE incoming (
    id bigint NOT NULL DEFAULT nextval('jobs_job_id_seq'),
    kind text NOT NULL,
    group_name text NOT NULL,
    payload jsonb NOT NULL,
    priority integer NOT NULL,
    key text,
    run_at timestamptz,
    max_attempts integer
) ON COMMIT DROP;
