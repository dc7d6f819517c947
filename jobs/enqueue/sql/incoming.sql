-- Incoming: a table of this transaction's own for new jobs that may be there already. Their ids are in their order.
CREATE TEMPORARY TABLE incoming (
    id bigint NOT NULL DEFAULT nextval('jobs_job_id_seq'),
    kind text NOT NULL,
    payload jsonb NOT NULL,
    priority integer NOT NULL,
    key text,
    run_at timestamptz,
    max_attempts integer
) ON COMMIT DROP;
