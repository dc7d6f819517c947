/* Next of groups: those of a kind that may have a job that may go, by their rounds, until there is one job for each that
is wanted. Those that have none sleep. */
FOR grp IN
        SELECT o.*, CASE WHEN o.open AND o.group_name <> '' THEN o.round_no ELSE jobs_round(of_kind, o.round_no) END AS place
        FROM (
            (SELECT g.* FROM jobs_gate g WHERE g.kind_id = of_kind AND g.open AND g.group_name <> ''
             ORDER BY g.round_no, g.group_name LIMIT most)
            UNION ALL
            (SELECT g.* FROM jobs_gate g
             WHERE g.kind_id = of_kind AND NOT g.open AND g.group_name <> '' AND g.due_at <= at
             ORDER BY g.due_at LIMIT 20)
            UNION ALL
            SELECT g.* FROM jobs_gate g WHERE g.kind_id = of_kind AND g.group_name = ''
        ) o
        ORDER BY place, o.group_name
    LOOP
        EXIT WHEN policy.fair AND total >= want;
        IF grp.group_name = '' THEN
            room.room := want;
        ELSE
            room := jobs_room(of_kind, grp.group_name, want, policy.max_held_per_group, policy.rate_per_group,
                              policy.rate_period, grp.tokens, grp.tokens_at, grp.shut_until, at);
        END IF;
        of_group := grp.group_name;
        at_place := grp.place;
        taken := 0;
        IF room.room > 0 THEN
            quota := CASE WHEN policy.fair THEN LEAST(share, room.room) ELSE room.room END;
            SELECT array_agg(j.id) AS ids, array_agg(j.priority) AS priorities, array_agg(j.run_at) AS run_ats INTO got
            FROM jobs_of_group(of_kind, grp.group_name, quota, policy.fair, at, asking) j;
            {next_jobs}
            names := names || of_group;
            rounds := rounds || at_place;
            given := given || taken;
            rooms := rooms || CASE WHEN taken < quota THEN 0 ELSE room.room - taken END;
        END IF;
        total := total + taken;
        IF grp.group_name <> '' THEN
            IF taken = 0 THEN
                passed := passed + 1;
                PERFORM jobs_sleep(
                    grp.id, CASE WHEN room.room > 0 THEN jobs_due_next(of_kind, grp.group_name) ELSE room.until END,
                    room.room <= 0 AND room.until < 'infinity', at
                );
            ELSIF NOT grp.open THEN
                UPDATE jobs_gate g SET open = true, due_at = NULL, round_no = grp.place WHERE g.id = grp.id;
            END IF;
        END IF;
        EXIT WHEN passed > 200 AND total > 0;
    END LOOP;
