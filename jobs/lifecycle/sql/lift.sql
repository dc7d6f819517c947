-- Lift: open a gate that is shut. The caller has locked the gate of the kind. No row: it was not shut.
UPDATE jobs_gate g
SET open = true, due_at = NULL,
    round_no = CASE WHEN g.group_name = '' THEN g.round_no ELSE jobs_round(g.kind_id, g.round_no) END,
    shut_until = NULL, shut_by = '', shut_reason = ''
WHERE g.kind_id = %(kind)s AND g.group_name = %(group)s AND g.shut_until > clock_timestamp()
RETURNING g.id;
