-- Reserve: ids for so many new jobs, rising but not always without a gap.
SELECT nextval('jobs_job_id_seq') AS id FROM generate_series(1, %(count)s);
