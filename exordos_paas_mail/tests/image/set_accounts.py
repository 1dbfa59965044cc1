# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""Run on the node, by the image's own Python: what the agent does with a target.

Reads ``[domain, passwd]`` from stdin, gives the image's driver that target and
prints the value the driver reports back.
"""

import json
import sys

from gcl_sdk.agents.universal.dm import models

from exordos_paas_mail import constants, driver

UUID = "5f0c2f2e-6f0e-4d3a-9c51-000000000001"


def main() -> None:
    domain, text = json.load(sys.stdin)
    value = {"uuid": UUID, "name": "image-test", "domain": domain, "passwd": text}
    target = models.Resource.from_value(value, constants.INSTANCE_NODE_KIND, frozenset(value))
    capability = driver.MailCapabilityDriver()
    known = capability.list(constants.INSTANCE_NODE_KIND)
    reported = capability.update(target) if known else capability.create(target)
    capability.finalize()
    json.dump(reported.value, sys.stdout)


main()
