-- Open kind: open the gate of a kind, which the caller has locked, unless the kind itself is shut.
UPDATE jobs_gate SET open = true, due_at = NULL
WHERE kind_id = %(kind)s AND group_name = '' AND NOT open AND COALESCE(shut_until <= clock_timestamp(), true);
