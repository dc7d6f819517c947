"""The tasks of an application of users, whose queues are `default` and `mail`."""

from django_tasks import TaskContext, task


@task()
def add(*numbers: int, times: int = 1) -> int:
    return sum(numbers) * times


@task(queue_name="mail", priority=5)
def fails(what: str) -> None:
    raise LookupError(f"There is no {what}.\nNot here: nowhere.")


@task(takes_context=True)
def which_try(context: TaskContext) -> list[object]:
    return [context.attempt, context.task_result.id]


@task()
async def waits(seconds: float) -> str:
    return f"{seconds:g} s"
