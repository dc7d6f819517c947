"""Let time pass for all jobs, their history and quarantines, without waiting for it."""

from django.db import connection

from tests.cast import MOMENTS


def time_passes(seconds: float) -> None:
    """All that is held, and what is decided about bots and jobs, is that much older."""
    moved = ", ".join(f"{name} = {name} - %(by)s * interval '1 second'" for name in (*MOMENTS, "not_for_until"))
    with connection.cursor() as cursor:
        cursor.execute(f"UPDATE jobs_job SET {moved}", {"by": seconds})
        cursor.execute("UPDATE jobs_jobevent SET at = at - %(by)s * interval '1 second'", {"by": seconds})
        sooner = ", ".join(f"{n} = {n} - %(by)s * interval '1 second'" for n in ("probe_at", "quarantined_at"))
        cursor.execute(f"UPDATE bots_instance SET {sooner}", {"by": seconds})
