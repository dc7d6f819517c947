/* Turn rows: what became of each of the known turns. */
FOR i IN 1 .. cardinality(bots) LOOP
        -- Of one that was revoked or replaced before it was locked nothing was done, unless it reported: that holds.
        CONTINUE WHEN locked.odd[i] = 'revoked' AND NOT known.reporting[i];
        turn := known.turns[i];
        bot := bots[i];
        name := known.names[i];
        outcome := 'done';
        IF newer[i] IS NOT NULL AND NOT known.reporting[i] THEN
            outcome := 'replaced';
        END IF;
        instance := newer[i];
        takes := CASE WHEN locked.kinds <> bot_kinds THEN array_to_json(locked.kinds)::text END;
        room := wants[i] > 0;
        paused := locked.paused[i];
        restart := known.restarts[i];
        -- A turn with `grades` is alone: what held is its own.
        grade := COALESCE(locked.odd[i] = 'stuck', false) AND held + COALESCE(cardinality(done_ids), 0) > 0;
        jobs := COALESCE(texts[i], '[]');
        n := counts[i];
        IF changed IS NOT NULL THEN
            changes := (SELECT json_agg(c)::text FROM jsonb_array_elements(changed) AS c
                        WHERE (c->>'turn')::integer = known.turns[i]);
        END IF;
        refused := refusals[i];
        RETURN NEXT;
    END LOOP;
