/* Others: the rows of the turns of which nothing is done, each with the reason. */
IF known.others IS NOT NULL THEN
        RETURN QUERY SELECT o.turn, o.outcome, o.bot, o.name, o.instance, o.takes, NULL::text[], false, o.paused,
                            o.restart, false, '[]', 0, NULL, NULL, NULL::integer, NULL::integer, NULL::double precision,
                            NULL, NULL::integer, NULL, NULL::bigint, NULL, NULL::double precision, false
        FROM jsonb_to_recordset(known.others)
            AS o(turn integer, outcome text, bot bigint, name text, instance text, takes text, paused boolean,
                 restart boolean);
    END IF;
    IF known.turns IS NULL THEN
        RETURN;
    END IF;
