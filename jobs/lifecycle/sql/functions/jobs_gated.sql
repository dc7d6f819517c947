-- Gated: open the gates of those groups of kinds whose jobs have ended (`added`: or are pending again), and take jobs of
-- gated kinds for a claim of these kinds (NULL: any). They are merged with those of the shared lane, `shared`.
--
-- The gates are locked by the names of their kinds, after all other locks; who holds one waits for nothing but the next.
-- `claimed_at` is a moment after what is held was counted: so there are never more by what the rows say, either.
CREATE OR REPLACE FUNCTION jobs_gated(
    taken text[], want integer, shared bigint[], of_kinds text[], of_groups text[], added boolean[],
    asking bigint[], OUT picked bigint[], OUT claimed_at timestamptz, OUT opened jsonb
)
LANGUAGE plpgsql VOLATILE
AS $function$
DECLARE
    at timestamptz := clock_timestamp();
    ended boolean[] := array_fill(true, ARRAY[COALESCE(cardinality(of_kinds), 0)]);
    shut text[] := '{}';
    candidates text[];
    others text[] := '{}'; -- Those that are only needed if these have too few.
    beaten record;
    unknown integer; -- Kinds of which the next job is not known.
    kind text;
    chosen record;
    ids bigint[] := '{}';
    priorities integer[] := '{}';
    run_ats timestamptz[] := '{}';
    grps text[] := '{}';
    streams integer[] := '{}';
    kinds text[] := '{}';
    given_kinds text[];
    given_groups text[];
    counted boolean := false; -- Whether what is given is to be written to gates.
BEGIN
    picked := shared;
    IF cardinality(of_kinds) > 0 THEN
        {gates_shut}
    END IF;
    {gated_candidates}
    IF cardinality(candidates) + cardinality(shut) = 0 THEN
        RETURN;
    END IF;
    PERFORM FROM jobs_gate g WHERE g.kind_id = ANY (candidates || shut) AND g.group_name = ''
    ORDER BY g.kind_id FOR NO KEY UPDATE;
    IF cardinality(shut) > 0 THEN
        -- Only those that are locked: one that fell asleep since is read once more in a second.
        opened := (
            SELECT jobs_open(array_agg(w.kind), array_agg(w.grp), array_agg(w.added), array_agg(w.ended))
            FROM unnest(of_kinds, of_groups, added, ended) AS w(kind, grp, added, ended)
            WHERE w.kind = ANY (shut)
        );
    END IF;
    at := clock_timestamp();
    FOREACH kind IN ARRAY candidates || others LOOP
        EXIT WHEN cardinality(kinds) >= cardinality(candidates) AND cardinality(shared) + cardinality(ids) >= want;
        IF cardinality(kinds) >= cardinality(candidates) THEN
            PERFORM FROM jobs_gate g WHERE g.kind_id = kind AND g.group_name = '' FOR NO KEY UPDATE SKIP LOCKED;
            CONTINUE WHEN NOT FOUND;
        END IF;
        kinds := kinds || kind;
        chosen := jobs_next_of_kind(kind, want, at, asking);
        IF cardinality(chosen.ids) > 0 THEN
            counted := counted OR chosen.counted;
            ids := ids || chosen.ids;
            priorities := priorities || chosen.priorities;
            run_ats := run_ats || chosen.run_ats;
            grps := grps || chosen.grps;
            streams := streams || array_fill(cardinality(kinds), ARRAY[cardinality(chosen.ids)]);
        END IF;
    END LOOP;
    IF cardinality(ids) > 0 THEN
        IF cardinality(shared) = 0 AND streams[1] = streams[cardinality(streams)] THEN
            picked := ids[:want];
            given_groups := grps[:want];
            given_kinds := array_fill(kinds[streams[1]], ARRAY[cardinality(picked)]);
        ELSE
            {gated_merged}
        END IF;
        claimed_at := clock_timestamp();
        -- Of kinds without rates and groups there is nothing to write.
        IF counted AND given_kinds IS NOT NULL THEN
            PERFORM jobs_given(given_kinds, given_groups, claimed_at);
        END IF;
    END IF;
END
$function$;
