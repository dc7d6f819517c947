-- Given: write to the gates of kinds, which the caller has locked, and of their groups what they give at this moment:
-- for each job the kind and the group. Each job is a round of its group, and a start of both. A group that is full now
-- sleeps, as after the first look of `jobs_sleep`.
CREATE OR REPLACE FUNCTION jobs_given(of_kinds text[], of_groups text[], at timestamptz)
RETURNS void LANGUAGE sql VOLATILE
AS $function$
    UPDATE jobs_gate g
    SET round_no = g.round_no + s.of_group,
        open = g.open AND NOT s.is_full,
        due_at = CASE WHEN s.is_full THEN at + interval '1 second' ELSE g.due_at END,
        tokens = CASE WHEN s.rate IS NULL THEN g.tokens
                      ELSE jobs_started(g.tokens, g.tokens_at, s.rate_period, at, s.starts) END,
        tokens_at = CASE WHEN s.rate IS NULL THEN g.tokens_at ELSE GREATEST(g.tokens_at, at) END
    FROM (
        SELECT w.kind, w.grp, sum(w.of_group)::integer AS of_group, sum(w.n)::integer AS starts, k.rate_period,
               CASE WHEN w.grp = '' THEN k.rate ELSE k.rate_per_group END AS rate,
               COALESCE(w.grp <> '' AND k.max_held_per_group <= sum(w.of_group) + (SELECT count(*) FROM (
                   SELECT FROM jobs_job j
                   WHERE j.gated AND j.claimed_by_id IS NOT NULL AND j.kind_id = w.kind AND j.group_name = w.grp
                   LIMIT k.max_held_per_group
               ) AS held), false) AS is_full
        FROM (
            SELECT c.kind, of.grp, of.of_group, c.n
            FROM (SELECT kind, grp, count(*) AS n FROM unnest(of_kinds, of_groups) AS w(kind, grp) GROUP BY 1, 2) c
            CROSS JOIN LATERAL (
                SELECT c.grp, c.n AS of_group WHERE c.grp <> ''
                UNION ALL
                -- The gate of the kind is the one of jobs without a group, too.
                SELECT '', CASE WHEN c.grp = '' THEN c.n ELSE 0 END
            ) of
        ) w
        JOIN jobs_jobkind k ON k.name = w.kind
        GROUP BY w.kind, w.grp, k.name
    ) s
    WHERE g.kind_id = s.kind AND g.group_name = s.grp
      -- Of a kind that has no groups there is nothing to write but its starts.
      AND (g.group_name <> '' OR s.rate IS NOT NULL OR (s.of_group > 0 AND EXISTS (
          SELECT FROM jobs_gate o WHERE o.kind_id = g.kind_id AND o.open AND o.group_name <> '')))
$function$;
