/* Gates shut: the kinds of those gates that are to be opened, and are not open. */
shut := ARRAY(
        SELECT DISTINCT w.kind FROM (
            SELECT * FROM unnest(of_kinds, of_groups, added, ended) AS w(kind, grp, added, ended)
            UNION ALL
            SELECT w.kind, '', w.added, w.ended FROM unnest(of_kinds, added, ended) AS w(kind, added, ended)
        ) w
        LEFT JOIN jobs_gate g ON g.kind_id = w.kind AND g.group_name = w.grp
        WHERE CASE WHEN g.id IS NULL THEN w.added ELSE NOT g.open AND {gate_wakes} END
        ORDER BY 1
    );
