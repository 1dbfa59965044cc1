# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""The releases beside the one of the sources: what an installation comes from, and goes to.

The wheel of the next one has one more migration, and one more name in the answer of
GET /v1/types/mail/; both do nothing but show that they are there. The one before is
what stood in the repository at the commit PREVIOUS. The image of each is made by its
own image script from its own wheel.
"""

from __future__ import annotations

import typing as tp

from imaging import digests, images, paths, project
from stand import manifests, repository

if tp.TYPE_CHECKING:
    import pathlib

    from imaging.containers import sites

MIGRATION: tp.Final = "0d9f7a54-3c1b-4f0a-8a57-9b1f6de0c2a4"
NAME: tp.Final = "next-release"
# The last commit that was given out before the sources: it moves with each release.
PREVIOUS: tp.Final = "daf4154eae965049fb75ba5437f689eaa7acce40"
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


def publish_next(site: sites.Site) -> dict[str, str]:
    """Publish the next release; return where its manifest and its image are, and the rest."""
    built = wheel()
    published = _publish(site, "next", built, image(built, _quiet), version(), paths.PROJECT)
    return {**published, "migration": MIGRATION, "name": NAME}


def publish_previous(site: sites.Site) -> dict[str, str]:
    """Publish the release before; return where its manifest and its image are, and the rest.

    Raises CommandError when the history here does not reach back to it.
    """
    root = project.at(PREVIOUS)
    built = project.wheel(root=root)
    layers = images.ensure(images.Product("previous", images.NODE, built, root), _quiet)
    return _publish(site, "previous", built, layers, project.release(), root)


def _quiet(_: str) -> None:
    """Say nothing: standard output is the answer."""


def _publish(  # noqa: PLR0913 - what a release is made of
    site: sites.Site,
    kind: str,
    built: pathlib.Path,
    layers: tp.Sequence[pathlib.Path],
    number: str,
    root: pathlib.Path,
) -> dict[str, str]:
    """Publish *built* and *layers* under a version of *number*, by the manifest in *root*.

    The element, the wheel and the entry of the catalogue have the names of the installed
    ones: what another build gives.
    """
    digest = repository.publish_wheel(site, built)
    content = digests.of_texts(digest, str(layers[0]))[:12]
    element = manifests.next_version(number, content, None)
    name = project.image_build().name
    address = repository.publish_image(site, manifests.MAIL, element, name, layers)
    manifest = manifests.release(site, kind, root, element, address, built, digest)
    return {
        "installed": str(site.directory / "manifests" / manifest.name),
        "manifest": str(manifest),
        "version": element,
        "wheel": built.name,
        "image": address,
    }
