# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Routes that know PATCH."""

from __future__ import annotations

import copy
import posixpath
import typing as tp

from restalchemy.api import routes

PATCH: tp.Final = "PATCH"


class Route(routes.Route):
    """Updates a record by PATCH as well as by PUT.

    The platform maps GET, PUT and DELETE on a record and answers 405 to the rest.
    """

    def get_method_by_route_type(self, route_type: int) -> tp.Any:
        """Return the platform's name of what the request asks for."""
        if route_type == routes.RESOURCE_ROUTE and self._req.method == PATCH:
            return routes.UPDATE
        return super().get_method_by_route_type(route_type)

    def build_openapi_specification(
        self, current_path: str = "/", parameters: tp.Any = None
    ) -> tuple[tp.Any, tp.Any]:
        """Return the paths and schemas of the route, PATCH beside each PUT."""
        paths, schemas = super().build_openapi_specification(current_path, parameters)
        for path, operations in paths.items():
            # Children come in with theirs already.
            if posixpath.dirname(path) != current_path.rstrip("/") or "put" not in operations:
                continue
            patch = copy.deepcopy(operations["put"])
            patch["operationId"] = self._build_operation_id(PATCH, path)
            operations["patch"] = patch
        return paths, schemas
