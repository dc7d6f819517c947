/* Gated merged: what the kinds have, one stream each, and the shared lane, which is stream 0. A job goes after those before
it in its stream; of the streams' next jobs the one of the highest priority goes first, then the oldest. */
SELECT array_agg(o.id ORDER BY o.n), array_agg(kinds[o.stream] ORDER BY o.n) FILTER (WHERE o.stream > 0),
           array_agg(o.grp ORDER BY o.n) FILTER (WHERE o.stream > 0)
    INTO picked, given_kinds, given_groups
    FROM (
        SELECT j.*, row_number() OVER (ORDER BY j.latest, j.stream, j.place) AS n
        FROM (
            SELECT j.id, j.stream, j.grp, j.place, max(ARRAY[
                -j.priority, (EXTRACT(epoch FROM j.run_at) * 1000000)::bigint, j.id
            ]) OVER (PARTITION BY j.stream ORDER BY j.place) AS latest
            FROM (
                SELECT s.id, j.priority, j.run_at, 0 AS stream, '' AS grp, s.place
                FROM unnest(shared) WITH ORDINALITY AS s(id, place) JOIN jobs_job j ON j.id = s.id
                UNION ALL
                SELECT * FROM unnest(ids, priorities, run_ats, streams, grps) WITH ORDINALITY
            ) j
        ) j
    ) o
    WHERE o.n <= want;
