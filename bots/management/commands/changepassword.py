"""`manage.py changepassword`: Django's own, with an entry in the audit log."""

import getpass
from contextlib import ExitStack
from typing import Any

from django.contrib.auth.management.commands import changepassword
from django.contrib.auth.models import User
from django.db import transaction

from bots import audit
from bots.acts import Act


class Command(changepassword.Command):
    def handle(self, *args: Any, **options: Any) -> str:
        with ExitStack() as self._transaction:
            done = str(super().handle(*args, **options))
            person = User.objects.get_by_natural_key(options["username"] or getpass.getuser())
            hidden = {"password": True}
            audit.record(Act.CHANGE, [audit.subject(person, hidden, hidden)], by=audit.COMMAND)
        return done

    def _get_pass(self, prompt: str = "Password: ") -> str:
        """Ask outside of a transaction; what is done with the answer is inside one."""
        self._transaction.close()
        password = str(super()._get_pass(prompt))  # type: ignore[misc]  # not in Django's stubs
        self._transaction.enter_context(transaction.atomic())
        return password
