-- Round: in which round a group of a kind goes on that was in this one when it was last open: not before those that are
-- open, and not after them.
CREATE OR REPLACE FUNCTION jobs_round(of_kind text, own bigint)
RETURNS bigint LANGUAGE sql VOLATILE
AS $function$
    SELECT LEAST(
        GREATEST(own, (SELECT g.round_no FROM jobs_gate g WHERE g.kind_id = of_kind AND g.open AND g.group_name <> ''
                       ORDER BY g.round_no, g.group_name LIMIT 1)),
        (SELECT g.round_no FROM jobs_gate g WHERE g.kind_id = of_kind AND g.open AND g.group_name <> ''
         ORDER BY g.round_no DESC, g.group_name DESC LIMIT 1)
    )
$function$;
