"""`manage.py createsuperuser`: Django's own, with an entry in the audit log."""

from typing import Any

from django.contrib.auth.management.commands import createsuperuser
from django.contrib.auth.models import User

from bots import people


class _Users:
    """The model of users as Django's command uses it: to ask, and to create one."""

    def __init__(self) -> None:
        self._default_manager = people.RecordedUsers()
        self._default_manager.model = User

    def __getattr__(self, name: str) -> Any:
        return getattr(User, name)

    def __call__(self, **fields: Any) -> User:
        return User(**fields)


class Command(createsuperuser.Command):
    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.UserModel = _Users()  # type: ignore[assignment]
