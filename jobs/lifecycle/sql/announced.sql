/* Announced: who waits hears, once this is committed, how many jobs of each kind are due again (`due`: their kinds).
NOTIFY carries less than 8 000 bytes. With more kinds than fit, the news is that there are jobs of any. */
PERFORM pg_notify('jobsite_pending', CASE
            WHEN length(news.text) < 7000 THEN news.text ELSE json_build_object('', jsonb_array_length(due))::text END)
        FROM (
            SELECT json_object_agg(k.kind, k.n)::text AS text
            FROM (SELECT kind, count(*) AS n FROM jsonb_array_elements_text(due) AS kind GROUP BY kind) k
        ) news;
