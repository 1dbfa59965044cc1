# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Elements: rendered as their build would, installed through the exordos CLI."""

from __future__ import annotations

import pathlib
import re
import shutil
import sys
import typing as tp

import jinja2
import yaml

from stand import commands, core, digests, images, project, repository, settings, sites, waiting

if tp.TYPE_CHECKING:
    from stand import iam

# It wants a cryptography that Core and the runtime do not: a venv of its own.
_CLI_VERSION: tp.Final = "3.2.29"
_CLI: tp.Final = sites.CACHE / f"cli-{_CLI_VERSION}"
_ELEMENTS: tp.Final = "v1/em/elements/"
_PUBLISHED: tp.Final = "v1/repo/elements/"
_ELEMENT_SECONDS: tp.Final = 300
# The form `exordos build` gives to what is no release. Core's resolver reads
# X.Y.Z and X.Y.Z-SUFFIX (exordos_core.repo.builders.element), the CLI PEP 440:
# an element of any other version satisfies no requirement of another element.
_VERSION: tp.Final = re.compile(r".*-dev\+(?P<number>\d{14})\.(?P<content>[0-9a-f]+)")
METAPAAS: tp.Final = "metapaas"
MAIL: tp.Final = "mailaas"


def cli(report: images.Report = print) -> pathlib.Path:
    """Return the exordos CLI, installed where it is missing."""
    program = _CLI / "bin" / "exordos"
    if not program.exists():
        report(f"installing the exordos CLI {_CLI_VERSION}")
        partial = _CLI.with_suffix(".partial")
        if partial.exists():
            shutil.rmtree(partial)
        uv = str(pathlib.Path(sys.executable).with_name("uv"))
        commands.run(uv, "venv", "--quiet", "--relocatable", str(partial))
        commands.run(
            *(uv, "pip", "install", "--quiet", "--python", str(partial / "bin" / "python")),
            f"exordos=={_CLI_VERSION}",
        )
        partial.rename(_CLI)
    return program


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


def command(site: sites.Site, made: settings.Settings, *arguments: str) -> list[str]:
    """Return the command line of the exordos CLI as the stand's administrator."""
    config = configure_cli(site, made)
    return [str(cli()), "--no-check-updates", "--config", str(config), *arguments]


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
    layers = images.ensure("metapaas", report)
    present = installed(admin, METAPAAS)
    version = next_version(
        images.PINS["EXORDOS_METAPAAS_VERSION"],
        images.key("metapaas")[:12],
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
    for dependency in sorted((images.ensure("index", report)[0] / "srv/wheels").glob("*.whl")):
        repository.publish_wheel(site, dependency)
    layers = images.ensure("mail", report)
    template = sites.PROJECT / "exordos/manifests/mailaas.yaml.j2"
    content = digests.of_texts(digest, images.key("mail"), template.read_text())[:12]
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
