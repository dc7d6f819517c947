-- Due next: when the next pending job of a group of a kind is due, perhaps in the past. NULL: it has none.
CREATE OR REPLACE FUNCTION jobs_due_next(of_kind text, of_group text)
RETURNS timestamptz LANGUAGE plpgsql VOLATILE
AS $function$
DECLARE
    step record;
    first_at timestamptz;
    at_priority integer := 2147483647;
    steps integer := 0;
BEGIN
    LOOP
        SELECT j.priority, j.run_at INTO step FROM jobs_job j
        WHERE j.status = 'pending' AND j.gated AND j.kind_id = of_kind AND j.group_name = of_group
          AND j.priority < at_priority AND {startable}
        ORDER BY j.priority DESC, j.run_at, j.id LIMIT 1;
        IF NOT FOUND THEN
            RETURN first_at;
        END IF;
        first_at := LEAST(first_at, step.run_at);
        at_priority := step.priority;
        steps := steps + 1;
        -- Somebody may give every job a priority of its own: then they are read again soon.
        IF steps > 100 THEN
            RETURN LEAST(first_at, clock_timestamp());
        END IF;
    END LOOP;
END
$function$;
