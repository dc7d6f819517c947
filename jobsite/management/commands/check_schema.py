from typing import Any

from django.core.management.base import BaseCommand, CommandError

from jobsite import schema


class Command(BaseCommand):
    help = (
        "Compare the constraints, indexes, functions and triggers in the database with those in the code. "
        "Exits 1 when one differs."
    )
    # It must be able to speak when the checks fail.
    requires_system_checks = []

    def handle(self, **options: Any) -> None:
        found = schema.compare()
        for app in dict.fromkeys(c.app for c in found):
            name, at = schema.applied(app)
            self.stdout.write(f"{app}: at {name}, applied {at}")
            for compared in found:
                if compared.app == app:
                    self.stdout.write(_line(compared))
        drifted = sum(bool(c.drift) for c in found)
        if drifted:
            raise CommandError(f"{drifted} of {len(found)} constraints and indexes are not what the code says.")


def _line(found: schema.Compared) -> str:
    if not found.drift:
        return f"[OK] {found.table} {found.name}: {found.in_database}"
    database, code = found.sides
    return (
        f"[DRIFT] {found.table} {found.name} is {found.drift}: in the database: {database} / in the code: {code} "
        f"({found.in_database or found.in_code})"
    )
