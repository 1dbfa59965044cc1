# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Elements: rendered as their build would, installed through the exordos CLI."""

from __future__ import annotations

import re
import sys
import typing as tp

import jinja2
import yaml

from imaging import commands, digests, exordos_cli, images, paths, project
from stand import core, platform_layers, repository, settings, waiting

if tp.TYPE_CHECKING:
    import pathlib

    from imaging.containers import sites
    from stand import iam

_ELEMENTS: tp.Final = "v1/em/elements/"
_PUBLISHED: tp.Final = "v1/repo/elements/"
_ELEMENT_SECONDS: tp.Final = 300
# The form `exordos build` gives to what is no release. Core's resolver reads
# X.Y.Z and X.Y.Z-SUFFIX (exordos_core.repo.builders.element), the CLI PEP 440:
# an element of any other version satisfies no requirement of another element.
_VERSION: tp.Final = re.compile(r".*-dev\+(?P<number>\d{14})\.(?P<content>[0-9a-f]+)")
METAPAAS: tp.Final = "metapaas"
MAIL: tp.Final = "mailaas"


def configure_cli(site: sites.Site, made: settings.Settings) -> pathlib.Path:
    """Write and return the administrator's settings of the CLI."""
    file = site.directory / "exordosctl.yaml"
    context = {"user": "admin", "password": made.admin_password}
    realm = {
        "endpoint": core.url(site),
        "check_updates": False,
        "contexts": {"admin": context},
        "current-context": "admin",
    }
    config = {"schema_version": 1, "realms": {"stand": realm}, "current-realm": "stand"}
    settings.write_private(file, yaml.safe_dump(config))
    return file


def _tell(text: str) -> None:
    print(text, file=sys.stderr)


def command(site: sites.Site, made: settings.Settings, *arguments: str) -> list[str]:
    """Return the command line of the exordos CLI as the stand's administrator."""
    config = configure_cli(site, made)
    program = str(exordos_cli.ensure(_tell))
    return [program, "--no-check-updates", "--config", str(config), *arguments]


def installed(admin: iam.Session, name: str) -> dict[str, tp.Any] | None:
    """Return the installed element of that name, if there is one."""
    found = admin.call("GET", _ELEMENTS, name=name)
    return found[0] if found else None


def ensure(
    site: sites.Site, made: settings.Settings, admin: iam.Session, manifest: pathlib.Path
) -> str | None:
    """Install the element of *manifest*, or update it; wait until it is ACTIVE.

    Returns which of both was done, None where it was there in that version.
    Raises CommandError with the CLI's words, TimeoutError.
    """
    wanted = yaml.safe_load(manifest.read_text())
    present = installed(admin, wanted["name"])
    done = None
    if not present or present["version"] != wanted["version"]:
        verb = ["update", "--yes"] if present else ["install"]
        # A repository takes each version once; what it has is named.
        known = admin.call("GET", _PUBLISHED, name=wanted["name"], version=wanted["version"])
        element = [wanted["name"], "--version", wanted["version"]] if known else [str(manifest)]
        commands.run(*command(site, made, "em", "elements", *verb, *element))
        done = "updated" if present else "installed"
    wait_active(admin, wanted["name"], _ELEMENT_SECONDS, wanted["version"])
    return done


def wait_active(admin: iam.Session, name: str, seconds: float, version: str | None = None) -> None:
    """Wait until the element, in *version* if one is given, is ACTIVE."""

    def is_active() -> bool:
        element = installed(admin, name)
        if element is None or version not in {None, element["version"]}:
            return False
        return bool(element["status"] == "ACTIVE")

    waiting.until(f"element {name} {version or ''} ACTIVE", is_active, seconds)


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


def metapaas_manifest(
    site: sites.Site, admin: iam.Session, report: images.Report = print
) -> pathlib.Path:
    """Render the runtime's own manifest, with its image on the stand's repository."""
    layers = images.ensure(platform_layers.METAPAAS, report)
    present = installed(admin, METAPAAS)
    version = next_version(
        platform_layers.PINS["EXORDOS_METAPAAS_VERSION"],
        images.key(platform_layers.METAPAAS)[:12],
        present["version"] if present else None,
    )
    template = layers[0] / "opt/exordos_metapaas/exordos/manifests/metapaas.yaml.j2"
    image = repository.publish_image(site, METAPAAS, version, "exordos-metapaas", layers)
    return _render(site, template, version=version, images={"exordos_metapaas": image})


def mail_manifest(
    site: sites.Site, admin: iam.Session, report: images.Report = print
) -> pathlib.Path:
    """Render the product's manifest for the sources as they are.

    Publishes the wheel, what the wheel needs, and the node image. Another wheel
    or another image makes another version of the element.
    """
    wheel = project.wheel()
    digest = repository.publish_wheel(site, wheel)
    index = images.ensure(platform_layers.INDEX, report)[0]
    for dependency in sorted((index / "srv/wheels").glob("*.whl")):
        repository.publish_wheel(site, dependency)
    layers = images.ensure(images.MAIL, report)
    template = paths.PROJECT / "exordos/manifests/mailaas.yaml.j2"
    content = digests.of_texts(digest, images.key(images.MAIL), template.read_text())[:12]
    present = installed(admin, MAIL)
    version = next_version(project.release(), content, present["version"] if present else None)
    name = project.image_build().name
    image = repository.publish_image(site, MAIL, version, name, layers)
    return _render(
        site,
        template,
        version=version,
        images={name.replace("-", "_"): image},
        index_url=f"{repository.url(site)}/simple/",
        wheel=wheel.name,
        wheel_sha256=digest,
    )


def _render(site: sites.Site, template: pathlib.Path, **variables: tp.Any) -> pathlib.Path:
    environment = jinja2.Environment(undefined=jinja2.StrictUndefined, autoescape=False)  # noqa: S701
    text = environment.from_string(template.read_text()).render(**variables)
    target = site.directory / "manifests" / template.name.removesuffix(".j2")
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(text)
    return target
