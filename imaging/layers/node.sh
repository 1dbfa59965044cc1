#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
#
# The platform's base image (profile exordos_base) in small: what an image script
# and a node's services may count on.
set -Eeuo pipefail
shopt -s inherit_errexit

readonly AGENT=/opt/exordos_universal_agent
readonly COMPILERS=(gcc libc6-dev libev-dev python3-dev)

main() {
  apt-get -q update
  apt-get -q -y install --no-install-recommends \
    "${COMPILERS[@]}" \
    curl dbus e2fsprogs iproute2 iputils-ping kmod libev4 libjemalloc2 netcat-openbsd openssl parted procps \
    python3 python3-venv rsync rsyslog logrotate sudo swaks systemd-sysv util-linux xfsprogs
  python3 -m venv /opt/uv
  /opt/uv/bin/pip install --quiet "uv==$UV_VERSION"
  ln -s /opt/uv/bin/uv /opt/uv/bin/uvx /usr/local/bin/
  uv venv --quiet "$AGENT"
  uv pip install --quiet --python "$AGENT/bin/python" "gcl_sdk==$GCL_SDK_VERSION"
  ln -s "$AGENT/bin/exordos-universal-agent" /usr/bin/exordos-universal-agent
  apt-get -q -y purge --auto-remove "${COMPILERS[@]}"
  install_files
  # PAM's session module wants a session manager that containers lack.
  systemctl mask systemd-logind.service getty@.service console-getty.service
  systemctl enable exordos-bootstrap.service exordos-universal-agent.service
}

install_files() {
  cp -r /run/build/files/. /
  chmod 0755 /usr/local/lib/exordos/run_bootstrap.sh
  install -d -m 0755 /var/lib/exordos/bootstrap/scripts /var/lib/exordos/universal_agent \
    /etc/exordos_universal_agent /persist
}

main "$@"
