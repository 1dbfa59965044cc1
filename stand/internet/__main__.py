# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Start the stand's internet and serve until SIGTERM or SIGINT."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
import pathlib
import signal
import sys

from aiohttp import web

from clients import internet
from stand.internet import (
    api,
    authority,
    exchanger,
    hierarchy,
    mailbox,
    nameserver,
    records,
    resolver,
    secondaries,
    signing,
    verdicts,
    web_server,
)


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not host or not port.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is not HOST:PORT")
    return host.strip("[]"), int(port)


def parser() -> argparse.ArgumentParser:
    """Return the command line."""
    result = argparse.ArgumentParser(prog="python -m stand.internet", description=__doc__)
    result.add_argument(
        "--state", type=pathlib.Path, required=True, help="directory of records and mail"
    )
    result.add_argument("--dns", type=_address, default=("10.77.0.1", 53), metavar="HOST:PORT")
    result.add_argument("--smtp", type=_address, default=("10.77.0.3", 25), metavar="HOST:PORT")
    result.add_argument("--http", type=_address, default=("10.77.0.1", 8053), metavar="HOST:PORT")
    for option, text in (
        ("--root", "the root's name server"),
        ("--world", "the name server of all zones that nobody else has"),
        ("--primary", "the first name server of zones that are delegated to a cloud"),
        ("--secondary", "their second one, which can be made to fail"),
        ("--cloud", "who answers to both"),
        ("--web", "the web server of every name"),
    ):
        result.add_argument(option, type=_address, required=True, metavar="HOST:PORT", help=text)
    result.add_argument(
        "--mx-name", default="mx.stand.test", help="host name of the mail exchanger"
    )
    return result


async def serve(options: argparse.Namespace) -> None:
    """Serve until a signal; HTTP is the last to answer, so that its answer means all is up."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    options.state.mkdir(parents=True, exist_ok=True)
    published = records.Records(options.state / "records.json", options.mx_name)
    published.publish(options.mx_name, "A", [options.smtp[0]])
    zones = hierarchy.Zones(published, signing.ensure(options.state))
    kept = mailbox.Mailbox(options.state / "mail")
    issuer = authority.ensure(options.state)
    tls = exchanger.ensure_certificate(options.state, options.mx_name, issuer)
    servers: dict[str, tuple[tuple[str, int], nameserver.Server]] = {
        hierarchy.ROOT_SERVER: (options.root, hierarchy.Root(zones)),
        hierarchy.WORLD_SERVER: (options.world, hierarchy.World(zones)),
    }
    clouds = {}
    for name, address in zip(
        internet.CLOUD_SERVERS, (options.primary, options.secondary), strict=True
    ):
        clouds[name] = secondaries.Secondary(name, options.cloud)
        servers[name] = address, clouds[name]
    for name, (address, _) in servers.items():
        published.publish(name, "A", [address[0]])
    async with contextlib.AsyncExitStack() as stack:
        recursive = resolver.Resolver(zones, options.root[1])
        for address, server in [(options.dns, recursive), *servers.values()]:
            datagrams, streams = await nameserver.start(address, server)
            stack.callback(datagrams.close)
            stack.callback(streams.close)
        judge = verdicts.Judge(*options.dns)
        mx = await exchanger.start(options.smtp, options.mx_name, tls, (kept, judge))
        stack.callback(mx.close)
        sites = web_server.WebServer(published, issuer, options.state / "web")
        stack.push_async_callback((await sites.start(options.web)).cleanup)
        parts = api.Parts(*(published, kept, clouds[internet.CLOUD_SERVERS[1]]), mx, sites, issuer)
        runner = web.AppRunner(api.application(parts), access_log=None)
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        await web.TCPSite(runner, *options.http).start()
        await stop.wait()


def main() -> int:
    """Run the command; return its exit status."""
    options = parser().parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    # One line a session is enough; aiosmtpd logs every command.
    logging.getLogger("mail.log").setLevel(logging.WARNING)
    try:
        asyncio.run(serve(options))
    except OSError as error:
        print(f"The stand's internet cannot start: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
