/* Gates ended: add what came of gated jobs, whose leases ended here: their kinds, groups, and whether they are pending. */
ended_kinds := ended_kinds || part.gated_kinds;
        ended_groups := ended_groups || part.gated_groups;
        ended_added := ended_added || part.gated_pending;
