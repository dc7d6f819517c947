-- Rate: how many more jobs may start at this moment, and from when on at least one may.
--
-- Starts are counted by parts of the period, the newest first (`tokens`); the newest one is that of `tokens_at`. All of
-- the part in which the window of one period begins count, so that no window of that length has more than `rate`.
CREATE OR REPLACE FUNCTION jobs_rate(
    tokens integer[], tokens_at timestamptz, rate integer, period interval, at timestamptz,
    OUT spare integer, OUT free_at timestamptz
)
LANGUAGE plpgsql IMMUTABLE
AS $function$
DECLARE
    part double precision := EXTRACT(epoch FROM period) / {slots};
    newest bigint := floor(EXTRACT(epoch FROM GREATEST(at, tokens_at))::double precision / part);
    -- How many of the parts that are kept are within the window still.
    counted integer := {slots} + 1 - COALESCE(
        LEAST(newest - floor(EXTRACT(epoch FROM tokens_at)::double precision / part), {slots} + 1), {slots} + 1);
BEGIN
    spare := rate - COALESCE((SELECT sum(t) FROM unnest(tokens[1:counted]) AS t), 0);
    free_at := at;
    IF spare <= 0 THEN
        spare := 0;
        SELECT to_timestamp((newest + min(later)) * part) INTO free_at
        FROM generate_series(1, {slots} + 1) AS later
        WHERE COALESCE((SELECT sum(t) FROM unnest(tokens[1:counted - later]) AS t), 0) < rate;
    END IF;
END
$function$;
