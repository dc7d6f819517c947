-- Of group: the first due jobs of a group of a kind (without a name: those without a group), by priority, then by age.
-- With `locks` they are locked, and those that somebody else has locked are passed over.
--
-- A priority at a time, so that jobs that are due later are not read.
CREATE OR REPLACE FUNCTION jobs_of_group(
    of_kind text, of_group text, most integer, locks boolean, now timestamptz, asking bigint[]
)
RETURNS TABLE (id bigint, priority integer, run_at timestamptz)
LANGUAGE plpgsql VOLATILE ROWS 1
AS $function$
#variable_conflict use_column
DECLARE
    at_priority integer := 2147483647;
    rows_left integer := most;
    n integer;
BEGIN
    WHILE rows_left > 0 LOOP
        at_priority := (SELECT j.priority FROM jobs_job j
                        WHERE j.status = 'pending' AND j.gated AND j.kind_id = of_kind AND j.group_name = of_group
                          AND j.priority < at_priority
                        ORDER BY j.priority DESC LIMIT 1);
        EXIT WHEN at_priority IS NULL;
        IF locks THEN
            RETURN QUERY SELECT j.id, j.priority, j.run_at FROM jobs_job j
            WHERE j.status = 'pending' AND j.gated AND j.kind_id = of_kind AND j.group_name = of_group
              AND j.priority = at_priority AND j.run_at <= now AND COALESCE(j.start_by, 'infinity'::timestamptz) > now AND {gated_elsewhere}
            ORDER BY j.run_at, j.id
            LIMIT rows_left
            FOR NO KEY UPDATE OF j SKIP LOCKED;
        ELSE
            RETURN QUERY SELECT j.id, j.priority, j.run_at FROM jobs_job j
            WHERE j.status = 'pending' AND j.gated AND j.kind_id = of_kind AND j.group_name = of_group
              AND j.priority = at_priority AND j.run_at <= now AND COALESCE(j.start_by, 'infinity'::timestamptz) > now AND {gated_elsewhere}
            ORDER BY j.run_at, j.id
            LIMIT rows_left;
        END IF;
        GET DIAGNOSTICS n = ROW_COUNT;
        rows_left := rows_left - n;
    END LOOP;
END
$function$;
