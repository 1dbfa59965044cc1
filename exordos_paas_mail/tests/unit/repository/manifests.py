# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""The element's manifests, as the element manager reads them."""

import pathlib
import typing as tp

import jinja2
import yaml

from exordos_paas_mail import constants

DIRECTORY = pathlib.Path(__file__).parents[4] / "exordos/manifests"


def render(name: str, **variables: tp.Any) -> dict[str, tp.Any]:
    """Return the manifest as the element manager reads it."""
    template = jinja2.Template((DIRECTORY / name).read_text(), undefined=jinja2.StrictUndefined)
    return tp.cast("dict[str, tp.Any]", yaml.safe_load(template.render(**variables)))


def declared(*manifests: dict[str, tp.Any]) -> list[tuple[str, dict[str, tp.Any]]]:
    """Return what is declared under the element: (path under types.mail, values)."""
    prefix = f"${constants.ELEMENT_NAME}.types.{constants.SLUG}."
    return [
        (
            ".".join(
                part for part in link.removeprefix(prefix).split(".") if not part.startswith("$")
            ),
            values,
        )
        for manifest in manifests
        for link, items in manifest["resources"].items()
        if link.startswith(prefix)
        for values in items.values()
    ]
