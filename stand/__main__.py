# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""The stand: a live installation of the platform with this plugin, on this machine."""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import sys
import typing as tp

from clients import exordos as exordos_client
from exordos_paas_mail import constants
from imaging import commands, images
from imaging.containers import nodes
from stand import core, installation, manifests, platform_layers, releases, settings
from stand.hypervisor import images as flashed

if tp.TYPE_CHECKING:
    from imaging.containers import sites

_MEGABYTE: tp.Final = 2**20
# What a person can do something about, told without a traceback.
_EXPECTED: tp.Final = (
    commands.CommandError,
    exordos_client.ExordosError,
    installation.InUseError,
    LookupError,
    nodes.NotUpError,
    TimeoutError,
)


def parser() -> argparse.ArgumentParser:
    """Return the command line."""
    result = argparse.ArgumentParser(prog="python -m stand", description=__doc__)
    verbs = result.add_subparsers(dest="verb", required=True, metavar="COMMAND")
    up = verbs.add_parser("up", help="bring the stand up, or what is missing of it")
    up.add_argument("--bare", action="store_true", help="without the elements metapaas, mailaas")
    verbs.add_parser("status", help="what runs, where, in how much memory")
    verbs.add_parser("down", help="take it off the machine; its disks stay")
    verbs.add_parser("env", help="the environment for tests and shells")
    exordos = verbs.add_parser("exordos", help="the exordos CLI, as the administrator")
    exordos.add_argument("command", nargs=argparse.REMAINDER)
    verbs.add_parser("previous-release", help="publish the release before the sources; say where")
    verbs.add_parser("next-release", help="build and publish a release to upgrade to; say where")
    for verb, text in (
        ("shell", "a shell on a node, or the command after the name"),
        ("power-cut", "cut a node's power; the hypervisor boots it again"),
        ("re-image", "boot a node from the image of the sources as they are, same data disk"),
        ("cut", "pull a node's network cable"),
        ("mend", "put the cable back"),
    ):
        verb_parser = verbs.add_parser(verb, help=text)
        verb_parser.add_argument("node", help="name, address or uuid; an unambiguous beginning")
        if verb == "shell":
            verb_parser.add_argument("command", nargs=argparse.REMAINDER)
    return result


def find(site: sites.Site, text: str) -> nodes.Node:
    """Return the one node that *text* means; raises LookupError."""
    found = []
    for node in nodes.all_of(site):
        if node.exists:
            address = node.spec.address.partition("/")[0]
            if (
                node.spec.name.startswith(text)
                or str(node.uuid).startswith(text)
                or address == text
            ):
                found.append(node)
    if len(found) != 1:
        names = ", ".join(node.spec.name for node in found) or "none"
        raise LookupError(f"{text!r} means one node or it means nothing; found: {names}")
    return found[0]


def _host(address: str) -> str:
    return address.partition("/")[0]


def show(site: sites.Site) -> int:
    """Print the parts of the stand; return 0 if all of them run."""
    parts = installation.parts(site)
    for part in parts:
        state = "up" if part.is_up else "DOWN"
        print(f"{state:5} {part.memory / _MEGABYTE:6.0f} MB  {part.address:12} {part.name}")
    total = sum(part.memory for part in parts) / _MEGABYTE
    print(f"{'':5} {total:6.0f} MB  in all")
    return 0 if all(part.is_up for part in parts) else 1


def down(site: sites.Site) -> int:
    """Take the stand down; return 0 if nothing is left."""
    installation.down(site)
    left = installation.leftovers(site)
    for each in left:
        print(f"left over: {each}", file=sys.stderr)
    return 1 if left else 0


def re_image(node: nodes.Node) -> None:
    """Boot *node* from its image as the sources now make it."""
    known = {
        constants.NODE_SET_NAME_PREFIX: images.MAIL,
        manifests.METAPAAS: platform_layers.METAPAAS,
    }
    found = [layer for prefix, layer in known.items() if node.spec.name.startswith(prefix)]
    if not found:
        raise LookupError(f"{node.spec.name} is re-imaged by `up`, when its image has changed")
    layers = [str(layer) for layer in images.ensure(found[0])]
    # Before the node goes down: what the hypervisor boots it from next.
    flashed.record(node, dataclasses.replace(flashed.read(node), layers=layers))
    node.reimage(layers)


def act(site: sites.Site, options: argparse.Namespace) -> int:
    """Do what the command line asks of one node; return the exit status."""
    node = find(site, options.node)
    if options.verb == "shell":
        command = node.enter(*(options.command or ["bash", "-l"]))
        os.execvp(command[0], command)  # noqa: S606
    if options.verb == "power-cut":
        node.cut_power()
    elif options.verb == "re-image":
        re_image(node)
    elif options.verb == "cut":
        node.port.cut()
    else:
        node.port.mend()
    return 0


def main() -> int:
    """Run the command; return its exit status."""
    options = parser().parse_args()
    site = settings.SITE
    if os.geteuid() != 0:
        print("The stand makes namespaces and mounts: run it as root.", file=sys.stderr)
        return 1
    try:
        if options.verb == "up":
            installation.up(site, bare=options.bare)
        elif options.verb == "status":
            return show(site)
        elif options.verb == "down":
            return down(site)
        elif options.verb == "exordos":
            exordos = core.exordos(site, core.administrator(site, settings.ensure(site.directory)))
            command = [*exordos.command, *options.command]
            os.execve(command[0], command, {**os.environ, **exordos.environment})  # noqa: S606
        elif options.verb == "next-release":
            print(json.dumps(releases.publish_next(site)))
        elif options.verb == "previous-release":
            print(json.dumps(releases.publish_previous(site)))
        elif options.verb == "env":
            print(installation.environment(site), end="")
        else:
            return act(site, options)
    except _EXPECTED as error:
        print(f"{error}\nLogs: {site.logs}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
