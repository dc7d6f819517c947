-- Gate settled: let jobs of a kind go by its limits. Its gate, which is locked alone, and those of its groups are open.
INSERT INTO jobs_gate AS g (kind_id, limited_no)
SELECT k.name, k.limited_no FROM jobs_jobkind k WHERE k.name = %(kind)s AND k.limited_no = %(limited_no)s
ON CONFLICT (kind_id, group_name) DO UPDATE SET limited_no = EXCLUDED.limited_no, open = true, due_at = NULL
RETURNING g.id;
