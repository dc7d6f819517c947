-- Started: the starts of a gate, by parts of the period as in `jobs_rate`, with `n` more at this moment.
CREATE OR REPLACE FUNCTION jobs_started(
    tokens integer[], tokens_at timestamptz, period interval, at timestamptz, n integer
)
RETURNS integer[] LANGUAGE plpgsql IMMUTABLE
AS $function$
DECLARE
    part double precision := EXTRACT(epoch FROM period) / {slots};
    moved integer := COALESCE(LEAST({slots} + 1,
        floor(EXTRACT(epoch FROM GREATEST(at, tokens_at))::double precision / part)
        - floor(EXTRACT(epoch FROM tokens_at)::double precision / part)), 0);
BEGIN
    tokens := (array_fill(0, ARRAY[moved]) || CASE WHEN tokens = '{}' THEN ARRAY[0] ELSE tokens END)[1:{slots} + 1];
    tokens[1] := tokens[1] + n;
    RETURN tokens;
END
$function$;
