"""Define a task that does nothing."""

from django_tasks import task


@task()
def noop(n: int) -> None:
    pass
