"""The names of calls in clients, made from method and path: `claim`, `listJobs`, `completeJob`. Pure."""

#: What a call without a verb in its path does: to a thing that its path names, and to all of them.
OF_ONE = {"GET": "get", "PUT": "put", "PATCH": "edit", "DELETE": "delete"}
OF_ALL = {"GET": "list", "POST": "create"}


def operation_id(method: str, path: str) -> str:
    """The name of the call `method path`.

    `POST /jobs/{job_id}/complete` is `completeJob`, `GET /jobs/{job_id}/events` is `listJobEvents`, and `POST /claim`
    is `claim`.
    """
    parts = [part for part in path.strip("/").split("/") if part]
    if len(parts) == 1:
        (noun,) = parts
        if method == "POST" and not noun.endswith("s"):
            return _camel(noun)
        return _camel(OF_ALL[method], singular(noun) if method == "POST" else noun)
    noun, *others = parts
    about_one = others[0].startswith("{")
    last = others[-1]
    if last.startswith("{"):
        return _camel(OF_ONE[method], singular(noun))
    if not about_one:
        return _camel(last, noun)
    if method == "GET":
        return _camel("list" if last.endswith("s") else "get", singular(noun), last)
    return _camel(last, singular(noun))


def singular(noun: str) -> str:
    """The noun for one of these: `job` for `jobs`."""
    return noun.removesuffix("s")


def _camel(*words: str) -> str:
    first, *others = [part for word in words for part in word.split("-")]
    return first + "".join(word.capitalize() for word in others)
