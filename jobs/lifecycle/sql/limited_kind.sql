-- Limited kind: the number of a kind's limits, if its jobs have come into their lane.
SELECT k.limited_no FROM jobs_jobkind k JOIN jobs_gate g ON g.kind_id = k.name AND g.group_name = ''
WHERE k.name = %(kind)s AND g.limited_no = k.limited_no;
