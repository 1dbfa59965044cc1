# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Routes that know PATCH, and what their operations are called."""

from __future__ import annotations

import copy
import posixpath
import typing as tp

from restalchemy.api import routes
from restalchemy.common import exceptions

from exordos_paas_mail.control_plane.api import packers

PATCH: tp.Final = "PATCH"
_COLLECTION_SUMMARIES: tp.Final = {"get": "List {many}", "post": "Create {one}"}
_RECORD_SUMMARIES: tp.Final = {
    "get": "Get {one}",
    "put": "Update {one}",
    "delete": "Delete {one}",
}


class Route(routes.Route):
    """Updates a record by PATCH as well as by PUT.

    The platform maps GET, PUT and DELETE on a record and answers 405 to the rest.
    """

    # What the route serves, in the words of the API document: "an account", "accounts".
    __one__ = "a record"
    __many__ = "records"
    # What its actions do, by their names.
    __actions__: tp.ClassVar[tp.Mapping[str, str]] = {}
    # Those of them that answer with a text.
    __texts__: tp.ClassVar[tp.Collection[str]] = ()

    def __init__(self, req: tp.Any) -> None:
        super().__init__(req)
        self._request = req

    def do(self, parent_resource: tp.Any = None, **kwargs: tp.Any) -> tp.Any:
        try:
            return super().do(parent_resource, **kwargs)
        except (exceptions.IncorrectRouteAttribute, exceptions.IncorrectRouteAttributeClass):
            # The platform's message has the name of a class in it.
            raise exceptions.NotFoundError(path=self._request.path) from None

    def get_method_by_route_type(self, route_type: int) -> tp.Any:
        """Return the platform's name of what the request asks for."""
        if route_type == routes.RESOURCE_ROUTE and self._request.method == PATCH:
            return routes.UPDATE
        return super().get_method_by_route_type(route_type)

    @classmethod
    def get_routes(cls) -> list[str]:
        """Return the names of the routes below.

        The platform makes an error of each other attribute, and asks a hundred times a document.
        """
        return _attributes(cls, routes.Route)

    @classmethod
    def get_action_names(cls) -> list[str]:
        """Return the names of the actions, as cheaply."""
        return _attributes(cls, routes.Action)

    def build_openapi_specification(
        self, current_path: str = "/", parameters: tp.Any = None
    ) -> tuple[tp.Any, tp.Any]:
        """Return the paths and schemas of the route, PATCH beside each PUT.

        The platform asks a route once for each method of each route above it. The answer to the
        same question of one request is the same.
        """
        described = _described(self._request, parameters)
        key = (type(self), current_path)
        if key not in described:
            described[key] = self._describe(current_path, parameters)
        return described[key]

    def _describe(self, current_path: str, parameters: tp.Any) -> tuple[tp.Any, tp.Any]:
        paths, schemas = super().build_openapi_specification(current_path, parameters)
        for path, operations in paths.items():
            self._describe_action(current_path, path, operations)
            is_collection = path == current_path
            # Children come in with theirs already.
            if not is_collection and posixpath.dirname(path) != current_path.rstrip("/"):
                continue
            summaries = _COLLECTION_SUMMARIES if is_collection else _RECORD_SUMMARIES
            for verb, operation in operations.items():
                operation["summary"] = summaries[verb].format(one=self.__one__, many=self.__many__)
            if "put" in operations:
                patch = copy.deepcopy(operations["put"])
                patch["operationId"] = patch["operationId"].replace("Update", "Patch", 1)
                operations["patch"] = patch
        return paths, schemas

    def _describe_action(
        self, current_path: str, path: str, operations: tp.Mapping[str, tp.Any]
    ) -> None:
        record, is_action, name = path.removesuffix("/invoke").partition("/actions/")
        if is_action and posixpath.dirname(record) == current_path.rstrip("/"):
            for operation in operations.values():
                operation["summary"] = self.__actions__[name]
                action = getattr(self, name)
                if fields := action.__fields__:
                    required = [n for n in fields if n not in action.__optional__]
                    schema = {
                        "type": "object",
                        "properties": {n: kind.to_openapi_spec({}) for n, kind in fields.items()},
                        **({"required": required} if required else {}),
                    }
                    content = {"application/json": {"schema": schema}}
                    operation["requestBody"] = {"required": bool(required), "content": content}
                if name in self.__texts__:
                    content = {"text/plain": {"schema": {"type": "string"}}}
                    _describe_answer(operation, "A text", content)
                if action.__answer__:
                    model, _, form = action.__answer__.partition("_")
                    reference = f"#/components/schemas/{model}_{form or 'Get'}"
                    content = {"application/json": {"schema": {"$ref": reference}}}
                    _describe_answer(operation, model, content)


def _attributes(route: type, kind: type) -> list[str]:
    attributes = {name: getattr(route, name, None) for name in dir(route)}
    return [n for n, it in attributes.items() if isinstance(it, type) and issubclass(it, kind)]


def _described(request: tp.Any, parameters: tp.Any) -> dict[tp.Any, tuple[tp.Any, tp.Any]]:
    """Return what routes have said of themselves for the document that *request* builds.

    *parameters* are the document's components: one request may build several documents.
    """
    of, described = getattr(request, "described_routes", (None, None))
    if described is None or of is not parameters:
        described = {}
        request.described_routes = parameters, described
    return described


def _describe_answer(operation: dict[str, tp.Any], what: str, content: tp.Any) -> None:
    # The platform has one object for the answers of all actions.
    answer = {"description": what, "content": content}
    operation["responses"] = {**operation["responses"], "200": answer}


class Action(routes.Action):
    """An action that takes the fields it names, in a JSON body.

    All of them, but for those that it names as optional.

    The platform hands whatever a query or a form says to the controller, as arguments.
    """

    __fields__: tp.ClassVar[tp.Mapping[str, tp.Any]] = {}
    __optional__: tp.ClassVar[tp.Collection[str]] = ()
    # The model of the answer, if it is another one than that of the record, and, after an
    # underscore, the method whose answer it is like, if that is not a GET.
    __answer__: tp.ClassVar[str] = ""

    def __init__(self, req: tp.Any) -> None:
        super().__init__(req)
        self._request = req

    def do(self, resource: tp.Any, **kwargs: tp.Any) -> tp.Any:
        if self._request.method not in self.__allow_methods__:
            raise exceptions.UnsupportedHttpMethod(method=self._request.method)
        packers.refuse_fields(self._request.api_context.params)
        self._request.action_fields = self.__fields__
        self._request.action_optional = self.__optional__
        try:
            return super().do(resource, **kwargs)
        except (exceptions.IncorrectActionCall, exceptions.UnsupportedMethod):
            # The platform's message has an object of Python in it.
            raise exceptions.NotFoundError(path=self._request.path) from None
