/* About stuck: whether turn w reports on the job that its bot b is stuck on. Any other report leaves that as it is. */
(b.stuck_job_id IS NOT NULL
                            AND jsonb_path_exists(turns->(w.turn - 1), '$.*[*].id ? (@ == $job)',
                                                  jsonb_build_object('job', b.stuck_job_id)))
