"""The OpenAPI document: what Ninja knows of the calls, and what their code, errors and texts add to it."""

from typing import Any

from ninja import NinjaAPI
from ninja.openapi.schema import REF_TEMPLATE, OpenAPISchema
from ninja.operation import Operation

from jobs.api import auth
from jobs.api.document import answers, examples, names, parameters, words
from jobs.api.schemas.problems import problem_of
from jobsite.lib.errors import JobsiteError

#: What each check of a caller stands for: the security schemes of which one is enough.
BOT, KEY = "botToken", "apiKey"
SECURITY = {auth.bots_only: (BOT,), auth.people_only: (KEY,), auth.either: (BOT, KEY)}


class Document(OpenAPISchema):
    """The document of an API. A call needs nothing but its declaration: defaults come from its code."""

    def __init__(self, api: NinjaAPI, path_prefix: str) -> None:
        self.answers: dict[str, dict[str, Any]] = {}
        super().__init__(api, path_prefix)
        self["info"] |= words.INFO
        self["servers"] = words.SERVERS
        used = [tag for operations in self["paths"].values() for call in operations.values() for tag in call["tags"]]
        self["tags"] = words.tags(used)
        pairs_have_items(self.schemas)
        examples.put_into(self)

    def operation_details(self, operation: Operation) -> dict[str, Any]:
        """One call."""
        details: dict[str, Any] = super().operation_details(operation)
        details["summary"], details["description"] = words.summary_and_description(operation.view_func.__doc__ or "")
        callers = SECURITY[operation.auth_callbacks[0]]
        details["security"] = [{caller: []} for caller in callers]
        details["parameters"] = parameters.described(details["parameters"], operation.path, is_for_bots=BOT in callers)
        if "requestBody" in details:
            parameters.plain_reference(details["requestBody"]["content"]["application/json"])
        method, has_path = operation.methods[0], "{" in operation.path
        errors = answers.errors_of(
            operation.view_func, method, keys=KEY in callers, path=has_path, body="requestBody" in details
        )
        found = details["responses"]
        details["responses"] = {str(status): answers.success(answer) for status, answer in found.items()}
        details["responses"] |= self._refusals(errors)
        return details

    def _refusals(self, errors: list[type[JobsiteError]]) -> dict[str, Any]:
        references = {}
        for status, group in answers.by_status(errors).items():
            name = answers.name_of(group)
            if name not in self.answers:
                self.answers[name] = answers.refusal(group, [self._add(problem_of(error)) for error in group])
            references[str(status)] = {"$ref": f"#/components/responses/{name}"}
        return references

    def _add(self, model: Any) -> str:
        """Put a model among the schemas. Its name."""
        schema = model.model_json_schema(ref_template=REF_TEMPLATE)
        self.add_schema_definitions(schema.pop("$defs", {}))
        self.schemas[model.__name__] = schema
        return str(model.__name__)

    def get_components(self) -> dict[str, Any]:
        """What the calls refer to."""
        return {
            "schemas": self.schemas,
            "responses": dict(sorted(self.answers.items())),
            "headers": answers.HEADERS,
            "securitySchemes": words.SECURITY_SCHEMES,
        }


def pairs_have_items(schema: Any) -> None:
    """Say in each schema of a pair, as `[job, attempt]` is one, what all its items are: some clients need it."""
    if isinstance(schema, dict):
        if "prefixItems" in schema:
            schema.setdefault("items", {"type": schema["prefixItems"][0]["type"]})
        for part in schema.values():
            pairs_have_items(part)
    elif isinstance(schema, list):
        for part in schema:
            pairs_have_items(part)


def operation_id(operation: Operation) -> str:
    """The name of a call in clients, from its method and path."""
    return names.operation_id(operation.methods[0], operation.path)
