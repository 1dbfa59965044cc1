# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Manifests of the elements of a stand, rendered as their build would."""

from __future__ import annotations

import re
import typing as tp

import jinja2

from imaging import digests, images, paths, project
from stand import platform_layers, repository

if tp.TYPE_CHECKING:
    import pathlib

    from clients import rest
    from imaging.containers import sites

# The form `exordos build` gives to what is no release. Core's resolver reads
# X.Y.Z and X.Y.Z-SUFFIX (exordos_core.repo.builders.element), the CLI PEP 440:
# an element of any other version satisfies no requirement of another element.
_VERSION: tp.Final = re.compile(r".*-dev\+(?P<number>\d{14})\.(?P<content>[0-9a-f]+)")
METAPAAS: tp.Final = "metapaas"
MAIL: tp.Final = "mailaas"
# The runtime's one node, by its name in that manifest.
CONTROL_PLANE: tp.Final = "metapaas-cp"
_MAIL_TEMPLATE: tp.Final = "exordos/manifests/mailaas.yaml.j2"


def next_version(release: str, content: str, present: str | None) -> str:
    """Return the version of an element of that content, where *present* is installed.

    The same content keeps its version; another has a higher one.
    """
    number = 1
    if present and (found := _VERSION.fullmatch(present)):
        if found["content"] == content:
            return present
        number = int(found["number"]) + 1
    return f"{release}-dev+{number:014d}.{content}"


def metapaas(
    site: sites.Site, present: rest.Json | None, report: images.Report = print
) -> pathlib.Path:
    """Render the runtime's own manifest, with its image on the stand's repository.

    *present* is the installed element, if there is one.
    """
    layers = images.ensure(platform_layers.METAPAAS, report)
    version = next_version(
        platform_layers.PINS["EXORDOS_METAPAAS_VERSION"],
        images.key(platform_layers.METAPAAS)[:12],
        present["version"] if present else None,
    )
    template = layers[0] / "opt/exordos_metapaas/exordos/manifests/metapaas.yaml.j2"
    image = repository.publish_image(site, METAPAAS, version, "exordos-metapaas", layers)
    return _render(site, template, version=version, images={"exordos_metapaas": image})


def mail(
    site: sites.Site, present: rest.Json | None, report: images.Report = print
) -> pathlib.Path:
    """Render the product's manifest for the sources as they are.

    Publishes the wheel, what the wheel needs, and the node image. Another wheel
    or another image makes another version of the element. *present* is the
    installed element, if there is one.
    """
    wheel = project.wheel()
    digest = repository.publish_wheel(site, wheel)
    index = images.ensure(platform_layers.INDEX, report)[0]
    for dependency in sorted((index / "srv/wheels").glob("*.whl")):
        repository.publish_wheel(site, dependency)
    layers = images.ensure(images.MAIL, report)
    template = (paths.PROJECT / _MAIL_TEMPLATE).read_text()
    content = digests.of_texts(digest, images.key(images.MAIL), template)[:12]
    version = next_version(project.release(), content, present["version"] if present else None)
    image = repository.publish_image(site, MAIL, version, project.image_build().name, layers)
    return release(site, "", paths.PROJECT, version, image, wheel, digest)


def release(  # noqa: PLR0913 - what a manifest names
    site: sites.Site,
    kind: str,
    root: pathlib.Path,
    version: str,
    image: str,
    wheel: pathlib.Path,
    wheel_sha256: str,
) -> pathlib.Path:
    """Render the product's manifest of the sources in *root*, in the directory *kind*."""
    return _render(
        site,
        root / _MAIL_TEMPLATE,
        kind,
        version=version,
        images={project.image_build().name.replace("-", "_"): image},
        index_url=f"{repository.url(site)}/simple/",
        wheel=wheel.name,
        wheel_sha256=wheel_sha256,
    )


def _render(
    site: sites.Site, template: pathlib.Path, kind: str = "", **variables: tp.Any
) -> pathlib.Path:
    environment = jinja2.Environment(undefined=jinja2.StrictUndefined, autoescape=False)  # noqa: S701
    text = environment.from_string(template.read_text()).render(**variables)
    target = site.directory / "manifests" / kind / template.name.removesuffix(".j2")
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(text)
    return target
