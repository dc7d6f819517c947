/* Groups counted: how many groups of a kind are open, up to as many as jobs are wanted; and with them one that opens
now. */
SELECT count(*) FILTER (WHERE g.open), count(*) INTO open_groups, groups
    FROM (
        (SELECT g.open FROM jobs_gate g WHERE g.kind_id = of_kind AND g.open AND g.group_name <> ''
         ORDER BY g.round_no, g.group_name LIMIT want)
        UNION ALL
        (SELECT g.open FROM jobs_gate g
         WHERE g.kind_id = of_kind AND NOT g.open AND g.group_name <> '' AND g.due_at <= at
         ORDER BY g.due_at LIMIT 1)
    ) g;
