-- Open: open gates that are not open, after something has changed for each of these groups of kinds (without a group, ''):
-- a job was `added`, or is pending again, or a held one has `ended`. Returns how many gates of each kind were opened.
--
-- What time alone opens stays shut until then. Nothing is locked where all is open, as it mostly is; `jobs_sleep` says why
-- that is safe. The gates of kinds are locked by name, and those of groups under that of their kind.
CREATE OR REPLACE FUNCTION jobs_open(of_kinds text[], of_groups text[], added boolean[], ended boolean[])
RETURNS jsonb LANGUAGE plpgsql VOLATILE
AS $function$
DECLARE
    at timestamptz := clock_timestamp();
    shut text[];
    woken text[];
    groups_opened text[];
    kinds_opened text[];
BEGIN
    {gates_shut}
    IF cardinality(shut) = 0 THEN
        RETURN NULL;
    END IF;
    INSERT INTO jobs_gate (kind_id) SELECT k.name FROM jobs_jobkind k WHERE k.name = ANY (shut) ORDER BY k.name
    ON CONFLICT (kind_id, group_name) DO NOTHING;
    PERFORM FROM jobs_gate g WHERE g.kind_id = ANY (shut) AND g.group_name = '' ORDER BY g.kind_id FOR NO KEY UPDATE;
    at := clock_timestamp();
    WITH wanted AS MATERIALIZED (
        SELECT w.kind, w.grp, bool_or(w.added) AS added, bool_or(w.ended) AS ended
        FROM unnest(of_kinds, of_groups, added, ended) AS w(kind, grp, added, ended)
        WHERE w.kind = ANY (shut) AND w.grp <> ''
        GROUP BY w.kind, w.grp
    ), made AS (
        INSERT INTO jobs_gate (kind_id, group_name, round_no)
        SELECT w.kind, w.grp, jobs_round(w.kind, 0) FROM wanted w JOIN jobs_jobkind k ON k.name = w.kind
        WHERE w.added
        ORDER BY w.kind, w.grp
        ON CONFLICT (kind_id, group_name) DO NOTHING
        RETURNING kind_id
    ), woken AS (
        UPDATE jobs_gate g
        SET open = s.until <= at, due_at = CASE WHEN s.until > at THEN s.until END,
            round_no = CASE WHEN s.until <= at THEN jobs_round(g.kind_id, g.round_no) ELSE g.round_no END
        FROM wanted w CROSS JOIN LATERAL (
            SELECT g.id, jobs_shut(g.id, at) AS until FROM jobs_gate g
            WHERE g.kind_id = w.kind AND g.group_name = w.grp AND NOT g.open AND {gate_wakes}
        ) s
        WHERE g.id = s.id
        RETURNING g.kind_id
    )
    SELECT array_agg(kind_id) INTO groups_opened FROM (SELECT kind_id FROM made UNION ALL SELECT kind_id FROM woken) o;
    WITH wanted AS MATERIALIZED (
        SELECT w.kind, bool_or(w.added) OR w.kind = ANY (groups_opened) AS added, bool_or(w.ended) AS ended
        FROM unnest(of_kinds, added, ended) AS w(kind, added, ended)
        WHERE w.kind = ANY (shut)
        GROUP BY w.kind
    ), woken AS (
        UPDATE jobs_gate g
        SET open = s.until <= at, due_at = CASE WHEN s.until > at THEN s.until END
        FROM wanted w CROSS JOIN LATERAL (
            SELECT g.id, jobs_shut(g.id, at) AS until FROM jobs_gate g
            WHERE g.kind_id = w.kind AND g.group_name = '' AND NOT g.open AND {gate_wakes}
        ) s
        WHERE g.id = s.id
        RETURNING g.kind_id
    )
    SELECT array_agg(kind_id) INTO kinds_opened FROM woken;
    RETURN (SELECT jsonb_object_agg(o.kind, o.n) FROM (
        SELECT kind, count(*) AS n FROM unnest(groups_opened || kinds_opened) AS kind GROUP BY kind
    ) o);
END
$function$;
