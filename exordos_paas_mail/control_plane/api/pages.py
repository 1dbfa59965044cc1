# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Pages of the platform's lists, each read from where it begins.

The platform orders what is equal by ascending uuids, whichever way the rest goes, begins
a page by an OR and asks again for what a page has not: no index answers the first two,
and of 100,000 accounts all were looked at for one page.
"""

from __future__ import annotations

import typing as tp

from restalchemy.api import controllers
from restalchemy.dm import filters as dm

_ASCENDING: tp.Final = "asc"


class Pages(controllers.Controller):
    """Comes before the platform's class of pages, which keeps the limit and the marker."""

    # The platform's: the limit of a page, and the record that it begins after.
    _pagination_limit: int
    _pagination_marker: tp.Any
    # Whether the last records of the list were found.
    _is_ended = False

    def _process_storage_filters(self, filters: tp.Any, order_by: tp.Any = None) -> list[tp.Any]:
        if self._is_ended:
            return []
        self._validate_params(filters, order_by)
        uuid = self.model.get_id_property_name()
        key, direction = next(iter((order_by or {uuid: _ASCENDING}).items()))
        # Equal ones go the same way: one index has both orders.
        order = {key: direction.lower(), uuid: direction.lower()}
        found: list[tp.Any] = []
        for part in self._parts(filters, key, order):
            found += self.model.objects.get_all(
                filters=self._apply_query_filter(dm.AND(part, filters) if part else filters),
                limit=self._pagination_limit - len(found),
                order_by=order,
            )
            if len(found) == self._pagination_limit:
                return found
        self._is_ended = True
        return found

    def _parts(
        self, filters: tp.Any, key: str, order: tp.Mapping[str, str]
    ) -> tp.Iterator[dict[str, tp.Any]]:
        """Give the ranges, one after the other, that what comes after the marker is in."""
        if not self._pagination_marker:
            yield {}
            return
        after = dm.GT if order[key] == _ASCENDING else dm.LT
        uuid = self.model.get_id_property_name()
        if key != uuid:
            marker = controllers.PaginationFilterBuilder(
                self.model, self._pagination_marker, key, order[key], marker_filters=filters
            )
            yield {key: dm.EQ(marker.sort_value), uuid: after(self._pagination_marker)}
            yield {key: after(marker.sort_value)}
        else:
            yield {uuid: after(self._pagination_marker)}
