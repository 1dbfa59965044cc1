#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
#
# What a node needs to be a machine of its own and not a container: a kernel, a
# boot loader for BIOS, devices, DHCP, and a way in. exordos_base brings all of
# this.
set -Eeuo pipefail
shopt -s inherit_errexit

main() {
  local flavour ID
  # shellcheck source=/dev/null
  source /etc/os-release
  case $ID in
  debian) flavour=linux-image-cloud-amd64 ;;
  ubuntu) flavour=linux-image-virtual ;;
  *)
    printf 'No kernel is known for this distribution\n' >&2
    return 1
    ;;
  esac
  apt-get -q update
  # There is no disk to install the boot loader on yet.
  debconf-set-selections <<<'grub-pc grub-pc/install_devices_empty boolean true'
  apt-get -q -y install --no-install-recommends \
    "$flavour" cloud-guest-utils grub-pc initramfs-tools openssh-server systemd-resolved udev
  cp -r /run/build/files/. /
  # Each machine makes host keys of its own.
  rm -f /etc/ssh/ssh_host_*
  systemctl unmask systemd-logind.service getty@.service console-getty.service
  systemctl enable systemd-networkd.service systemd-resolved.service
}

main "$@"
