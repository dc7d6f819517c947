-- Shut: until when a gate stays shut, whatever happens: by a throttle or by its rate. In the past: it is not shut by these.
CREATE OR REPLACE FUNCTION jobs_shut(gate bigint, at timestamptz)
RETURNS timestamptz LANGUAGE sql VOLATILE
AS $function$
    SELECT GREATEST(at, g.shut_until, CASE
        WHEN g.group_name = '' AND k.rate IS NOT NULL
        THEN (jobs_rate(g.tokens, g.tokens_at, k.rate, k.rate_period, at)).free_at
        WHEN g.group_name <> '' AND k.rate_per_group IS NOT NULL
        THEN (jobs_rate(g.tokens, g.tokens_at, k.rate_per_group, k.rate_period, at)).free_at
    END)
    FROM jobs_gate g JOIN jobs_jobkind k ON k.name = g.kind_id
    WHERE g.id = gate
$function$;
