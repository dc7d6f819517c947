/* Next jobs: those of a group that may go, `got`, each with its round. */
taken := COALESCE(cardinality(got.ids), 0);
            ids := ids || got.ids;
            priorities := priorities || got.priorities;
            run_ats := run_ats || got.run_ats;
            grps := grps || array_fill(of_group, ARRAY[taken]);
            places := places || ARRAY(SELECT generate_series(at_place, at_place + taken - 1));
