/* Jobs gates: jobs of gated kinds for the claim, which goes by both lanes, and the gates of jobs whose leases ended here. */
IF ended_kinds IS NOT NULL
       OR (SELECT true FROM jobs_gate g WHERE g.group_name = '' AND g.open LIMIT 1)
       OR (SELECT true FROM jobs_gate g WHERE g.group_name = '' AND NOT g.open AND g.due_at <= clock_timestamp() LIMIT 1)
    THEN
        SELECT g.picked, g.claimed_at, g.opened::text INTO picked, gated_at, opened
        FROM jobs_gated(kinds, COALESCE(wanted_all, 0), picked, ended_kinds, ended_groups, ended_added, known.own_ids) g;
    END IF;
    IF wanted_all > 0 AND cardinality(picked) = 0 THEN
        opens_in := EXTRACT(epoch FROM (
            SELECT g.due_at FROM jobs_gate g
            WHERE g.group_name = '' AND NOT g.open AND g.due_at > statement_timestamp() AND g.due_at < 'infinity'
              AND (kinds IS NULL OR g.kind_id = ANY (kinds))
            ORDER BY g.due_at LIMIT 1
        ) - clock_timestamp());
        shut := opens_in IS NOT NULL AND kinds IS NOT NULL AND NOT EXISTS (
            SELECT FROM unnest(kinds) AS w(kind) LEFT JOIN jobs_gate g ON g.kind_id = w.kind AND g.group_name = ''
            WHERE COALESCE(jobs_shut(g.id, clock_timestamp()) <= clock_timestamp(), true)
        );
    END IF;
