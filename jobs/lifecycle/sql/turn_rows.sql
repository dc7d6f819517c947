/* Turn rows: what became of each of the known turns. */
FOR i IN 1 .. cardinality(known.turns) LOOP
        -- Of one that was revoked or replaced before it was locked nothing was done, unless it reported: that holds.
        CONTINUE WHEN locked.revoked[i] AND NOT known.reporting[i];
        turn := known.turns[i];
        bot := known.bots[i];
        name := known.names[i];
        instance := locked.instances[i];
        outcome := CASE WHEN locked.replaced[i] AND NOT known.reporting[i] THEN 'replaced' ELSE 'done' END;
        takes := locked.takes[i];
        room := wants[i] > 0;
        paused := locked.paused[i];
        restart := locked.restarts[i];
        jobs := COALESCE(texts[i], '[]');
        n := counts[i];
        IF changed IS NOT NULL THEN
            changes := (SELECT json_agg(c)::text FROM jsonb_array_elements(changed) AS c
                        WHERE (c->>'turn')::integer = known.turns[i]);
        END IF;
        refused := refusals[i];
        grade := locked.stuck[i] AND known.turns[i] = ANY (done_turns);
        RETURN NEXT;
    END LOOP;
