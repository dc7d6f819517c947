-- Gates opened: open the gates of all groups of a kind. The caller has locked the gate of the kind.
UPDATE jobs_gate SET open = true, due_at = NULL, round_no = jobs_round(kind_id, round_no)
WHERE kind_id = %(kind)s AND group_name <> '' AND NOT open;
