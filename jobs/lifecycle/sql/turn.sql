-- Turn: call the function in functions/jobs_turns.sql.
SELECT * FROM jobs_turns(
    turns => %(turns)s::jsonb, bot_kinds => %(bot_kinds)s::text[], asked => %(asked)s::text[],
    priorities => %(priorities)s::integer[], run_ats => %(run_ats)s::timestamptz[], ids => %(ids)s::bigint[],
    run_within_default => %(run_within)s, seen_every => %(seen_every)s, slow => %(slow)s
);
