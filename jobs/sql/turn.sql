-- Turn: call the function in exchange.sql.
SELECT * FROM jobs_exchange(
    bot => %(bot)s, digest => %(digest)s, done => %(done)s, beats => %(beats)s,
    asks => %(asks)s, most => %(most)s, asked => %(asked)s::text[], starts => %(starts)s, life => %(life)s,
    priorities => %(priorities)s::integer[], run_ats => %(run_ats)s::timestamptz[], ids => %(ids)s::bigint[],
    run_within_default => %(run_within)s, seen_every => %(seen_every)s, slow => %(slow)s
);
