-- Reserve: ids for a number of new jobs, ascending, possibly with gaps.
SELECT nextval('jobs_job_id_seq') AS id FROM generate_series(1, %(count)s);
