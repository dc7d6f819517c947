-- Room: how many more jobs of a kind (`of_group` NULL), or of one of its groups, may go at this moment, at most `want`.
-- Without room `until` is when to look again; infinity: when one of its jobs has ended.
--
-- What is held is counted here. The caller has locked the gate of the kind, and nobody else gives its jobs.
CREATE OR REPLACE FUNCTION jobs_room(
    of_kind text, of_group text, want integer, max_held integer, rate integer, period interval,
    tokens integer[], tokens_at timestamptz, shut_until timestamptz, at timestamptz,
    OUT room integer, OUT until timestamptz
)
LANGUAGE plpgsql VOLATILE
AS $function$
DECLARE
    rated record;
BEGIN
    room := want;
    IF shut_until > at THEN
        room := 0;
        until := shut_until;
    ELSIF max_held IS NOT NULL THEN
        IF of_group IS NULL THEN
            room := LEAST(room, max_held - (SELECT count(*) FROM (
                SELECT FROM jobs_job j WHERE j.gated AND j.claimed_by_id IS NOT NULL AND j.kind_id = of_kind
                LIMIT max_held) AS held)::integer);
        ELSE
            room := LEAST(room, max_held - (SELECT count(*) FROM (
                SELECT FROM jobs_job j
                WHERE j.gated AND j.claimed_by_id IS NOT NULL AND j.kind_id = of_kind AND j.group_name = of_group
                LIMIT max_held) AS held)::integer);
        END IF;
        until := 'infinity';
    END IF;
    IF room > 0 AND rate IS NOT NULL THEN
        rated := jobs_rate(tokens, tokens_at, rate, period, at);
        room := LEAST(room, rated.spare);
        until := rated.free_at;
    END IF;
END
$function$;
