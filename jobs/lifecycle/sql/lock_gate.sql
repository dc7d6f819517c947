-- Lock gate: of a kind, which is made if it has none.
INSERT INTO jobs_gate AS g (kind_id) SELECT k.name FROM jobs_jobkind k WHERE k.name = %(kind)s
ON CONFLICT (kind_id, group_name) DO UPDATE SET open = g.open
RETURNING g.id;
