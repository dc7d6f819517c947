"""Fill a database with limited kinds, their groups and jobs, as a sweep leaves them: gates are there, and open."""

from bench.database import Server
from bench.jobsite_server import KIND

#: Sets limits of a kind. A trigger numbers the change, and the gate has that number.
_KIND = """
    INSERT INTO jobs_jobkind (name, {columns}) VALUES ('{kind}', {values})
    ON CONFLICT (name) DO UPDATE SET ({columns}) = ROW ({excluded})
"""
_JOBS = """
    INSERT INTO jobs_job (kind_id, payload, gated, group_name, priority)
    SELECT '{kind}', '{{}}', true,
           '{group}' || CASE WHEN {groups} > 0 THEN (n % GREATEST({groups}, 1))::text ELSE '' END, {priority}
    FROM generate_series(0, {count} - 1) AS n
"""
_GATES = """
    INSERT INTO jobs_gate (kind_id, group_name, limited_no)
    SELECT k.name, g.name, CASE WHEN g.name = '' THEN k.limited_no ELSE 0 END
    FROM jobs_jobkind k CROSS JOIN LATERAL (
        SELECT '' AS name WHERE k.limited
        UNION SELECT DISTINCT j.group_name FROM jobs_job j WHERE j.kind_id = k.name AND j.gated
    ) g
    ON CONFLICT (kind_id, group_name) DO NOTHING
"""


def limit(server: Server, name: str, kind: str = KIND, **limits: int | str) -> None:
    """Set limits of a kind that has no jobs."""
    columns = ", ".join(limits)
    values = ", ".join(f"'{value}'" for value in limits.values())
    excluded = ", ".join(f"EXCLUDED.{column}" for column in limits)
    server.run(name, _KIND.format(kind=kind, columns=columns, values=values, excluded=excluded))


def jobs(
    server: Server, name: str, count: int, kind: str = KIND, *, group: str = "", groups: int = 0, priority: int = 0
) -> None:
    """Add jobs of a limited kind: without a group, of one (`group`), or of many, whose names begin with that."""
    server.run(name, _JOBS.format(kind=kind, group=group, groups=groups, count=count, priority=priority))


def gates(server: Server, name: str) -> None:
    """Open a gate for each limited kind and each group."""
    server.run(name, _GATES)
    server.settle(name)
