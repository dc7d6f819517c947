"""`manage.py check_schema`: compare the database with what the code expects of it."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from jobsite import schema


class Command(BaseCommand):
    help = (
        "Compare the constraints, indexes, functions and triggers in the database with those in the code. "
        "Exits 1 when one differs."
    )
    # It must be able to run when the checks fail.
    requires_system_checks = []

    def handle(self, **options: Any) -> None:
        comparisons = schema.compare()
        for app in dict.fromkeys(c.app for c in comparisons):
            name, at = schema.applied(app)
            self.stdout.write(f"{app}: at {name}, applied {at}")
            for comparison in comparisons:
                if comparison.app == app:
                    self.stdout.write(_line(comparison))
        drifted = sum(bool(c.drift) for c in comparisons)
        if drifted:
            raise CommandError(f"{drifted} of {len(comparisons)} constraints and indexes are not what the code says.")


def _line(comparison: schema.Comparison) -> str:
    where = f"{comparison.table} {comparison.name}"
    if not comparison.drift:
        return f"[OK] {where}: {comparison.in_database}"
    database, code = comparison.sides
    return (
        f"[DRIFT] {where} is {comparison.drift}: in the database: {database} / in the code: {code} "
        f"({comparison.in_database or comparison.in_code})"
    )
