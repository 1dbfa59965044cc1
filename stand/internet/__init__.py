# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
"""The internet of the stand: a name server for every name, a mail exchanger for every domain.

And a web server for every name, at a public address, with certificates that nodes trust.

Nothing on the stand may leave the machine, and mail cannot be judged without DNS. This
process is the world outside: an authoritative name server whose records are published over
HTTP, and a mail exchanger that accepts mail for any domain, keeps it, and judges it (SPF,
DKIM, DMARC) as a receiver would, asking that same name server over its socket.

``python -m stand.internet --help`` starts it; :mod:`clients.internet` talks to it.
"""
