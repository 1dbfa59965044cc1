# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""The release after the one of the sources: what an installation is upgraded to.

Its wheel has one more migration, and one more name in the answer of
GET /v1/types/mail/; both do nothing but show that they are there. Its image is
made by the product's image script from that wheel.
"""

from __future__ import annotations

import typing as tp

import yaml

from imaging import digests, images, paths, project
from stand import manifests, repository

if tp.TYPE_CHECKING:
    import pathlib

    from imaging.containers import sites

MIGRATION: tp.Final = "0d9f7a54-3c1b-4f0a-8a57-9b1f6de0c2a4"
NAME: tp.Final = "next-release"
_MIGRATION: tp.Final = """\
from restalchemy.storage.sql import migrations


class MigrationStep(migrations.AbstractMigrationStep):
    def __init__(self):
        self._depends = ["{last}"]

    @property
    def migration_id(self):
        return "{uuid}"

    def upgrade(self, session):
        session.execute("SELECT 1")

    def downgrade(self, session):
        session.execute("SELECT 1")


migration_step = MigrationStep()
"""
_LISTED: tp.Final = f"""

_listed = MailController.filter
MailController.filter = lambda self, *args, **kwargs: [
    *_listed(self, *args, **kwargs), "{NAME}"
]
"""


def version() -> str:
    """Return the version that follows the last release."""
    head, _, patch = project.release().rpartition(".")
    return f"{head}.{int(patch) + 1}"


def appended() -> dict[str, str]:
    """Return what the next release has more than the sources: text at the end of files, by name."""
    package = "exordos_paas_mail"
    last = max((paths.PROJECT / package / "migrations").glob("0*.py")).name
    return {
        f"{package}/migrations/9999-next-release.py": _MIGRATION.format(last=last, uuid=MIGRATION),
        f"{package}/controllers.py": _LISTED,
    }


def wheel() -> pathlib.Path:
    """Return the wheel of the next release, built if the sources are new."""
    return project.wheel(appended(), version())


def image(built: pathlib.Path, report: images.Report = print) -> list[pathlib.Path]:
    """Return the layers of an image that has *built* installed, made if it is new.

    Raises CommandError when the image script fails.
    """
    return images.ensure(images.Product("next", images.MAIL, built), report)


def publish(site: sites.Site) -> dict[str, str]:
    """Publish the next release; return where its manifest and its image are, and the rest.

    The manifest is that of the installed element with another wheel and, under
    the same name in the catalogue, another image: what the next build gives.
    """
    progress: list[str] = []
    built = wheel()
    layers = image(built, progress.append)
    digest = repository.publish_wheel(site, built)
    content = digests.of_texts(digest, str(layers[0]))[:12]
    installed = site.directory / "manifests" / "mailaas.yaml"
    manifest = yaml.safe_load(installed.read_text())
    manifest["version"] = manifests.next_version(version(), content, None)
    name = project.image_build().name
    address = repository.publish_image(site, manifests.MAIL, manifest["version"], name, layers)
    resources = manifest["resources"]
    resources["$metapaas.types"]["mail"].update(
        version=manifest["version"],
        package=f"{repository.url(site)}/simple/exordos-paas-mail/{built.name}#sha256={digest}",
    )
    resources["$mailaas.types.mail.versions"]["exim4_1"]["image"] = address
    target = site.directory / "manifests" / "next" / installed.name
    target.parent.mkdir(exist_ok=True)
    target.write_text(yaml.safe_dump(manifest, sort_keys=False))
    return {
        "installed": str(installed),
        "manifest": str(target),
        "version": manifest["version"],
        "wheel": built.name,
        "image": address,
        "migration": MIGRATION,
        "name": NAME,
    }
