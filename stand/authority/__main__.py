# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Start the authority and serve until SIGTERM or SIGINT, or until pebble ends."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import pathlib
import signal
import ssl
import sys
import typing as tp

from aiohttp import web

from stand.authority import front, identity

_ACME: tp.Final = "127.0.0.1:14000"
_LIFETIME_SECONDS: tp.Final = 90 * 86_400
_ENVIRONMENT: tp.Final = {
    "PEBBLE_VA_NOSLEEP": "1",
    # Core's agent answers the challenge of a name that is proven too; pebble takes that amiss.
    "PEBBLE_AUTHZREUSE": "0",
    "PEBBLE_WFE_NONCEREJECT": "0",
}


def parser() -> argparse.ArgumentParser:
    """Return the command line."""
    result = argparse.ArgumentParser(prog="python -m stand.authority", description=__doc__)
    result.add_argument("--state", type=pathlib.Path, required=True, help="directory of its files")
    result.add_argument("--name", required=True, help="host name of the authority")
    result.add_argument("--address", required=True, help="where it answers, on port 443")
    result.add_argument("--management", required=True, metavar="HOST:PORT", help="pebble's own")
    result.add_argument("--resolver", required=True, metavar="HOST:PORT", help="whom it asks")
    return result


def _configuration(options: argparse.Namespace, files: identity.Files) -> dict[str, tp.Any]:
    return {
        "pebble": {
            "listenAddress": _ACME,
            "managementListenAddress": options.management,
            "certificate": str(files.certificate),
            "privateKey": str(files.key),
            "httpPort": 80,
            "tlsPort": 443,
            "ocspResponderURL": "",
            "externalAccountBindingRequired": False,
            "certificateValidityPeriod": _LIFETIME_SECONDS,
        }
    }


async def serve(options: argparse.Namespace) -> int:
    """Serve; return pebble's exit status, or 0 after a signal."""
    files = identity.ensure(options.state, options.name)
    configuration = options.state / "pebble.json"
    configuration.write_text(json.dumps(_configuration(options, files)))
    pebble = await asyncio.create_subprocess_exec(
        *("pebble", "-config", str(configuration), "-dnsserver", options.resolver),
        env={**os.environ, **_ENVIRONMENT},
    )
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    shown = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    shown.load_cert_chain(files.certificate, files.key)
    trusted = ssl.create_default_context(cafile=str(files.root))
    server = front.Front(options.name, f"https://{_ACME}", trusted)
    runner = web.AppRunner(server.application(), access_log=None)
    await runner.setup()
    await web.TCPSite(runner, options.address, 443, ssl_context=shown).start()
    ended, stopped = asyncio.create_task(pebble.wait()), asyncio.create_task(stop.wait())
    await asyncio.wait({ended, stopped}, return_when=asyncio.FIRST_COMPLETED)
    await runner.cleanup()
    stopped.cancel()
    if ended.done():
        return ended.result()
    pebble.terminate()
    await ended
    return 0


def main() -> int:
    """Run the command; return its exit status."""
    options = parser().parse_args()
    try:
        return asyncio.run(serve(options))
    except OSError as error:
        print(f"The stand's certificate authority cannot start: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
