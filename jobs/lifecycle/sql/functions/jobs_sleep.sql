-- Sleep: a gate had no job that may go. It is read once more after a second, and then not before `until`.
--
-- Whatever would have opened it, in a transaction that was not seen, has ended by then, or has seen that the gate was not
-- open and opens it. `certain`: nothing but time opens it.
CREATE OR REPLACE FUNCTION jobs_sleep(gate bigint, until timestamptz, certain boolean, at timestamptz)
RETURNS void LANGUAGE sql VOLATILE
AS $function$
    UPDATE jobs_gate g
    SET open = false,
        due_at = CASE WHEN certain OR NOT g.open THEN until ELSE at + interval '1 second' END
    -- Where one is due now, it is for another bot first, or locked.
    WHERE g.id = gate AND (certain OR until IS NULL OR until > at)
$function$;
