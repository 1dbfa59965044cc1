#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
#
# Make a disk that boots by BIOS out of image layers: disk.sh LAYERS DISK BYTES
#
# LAYERS are directories joined by colons, the topmost first. To be run in a
# mount namespace of its own: its mounts end with it.
set -Eeuo pipefail
shopt -s inherit_errexit

main() {
  local layers=$1 disk=$2 bytes=$3
  # These two are not local: the trap runs when main is gone.
  scratch=$(mktemp -d)
  mount -t tmpfs tmpfs "$scratch"
  mkdir "$scratch/tree" "$scratch/root"
  mount -t overlay overlay -o "ro,lowerdir=$layers" "$scratch/tree"

  rm -f "$disk"
  truncate --size "$bytes" "$disk"
  sfdisk --quiet "$disk" <<'TABLE'
label: gpt
size=1MiB, type=21686148-6449-6E6F-744E-656564454649, name=bios
type=4F68BCE3-E8CD-4DB1-96E7-FBCAF984B709, name=root
TABLE
  loop=$(losetup --find --show "$disk")
  trap 'detach "$loop" "$scratch"' EXIT
  # A loop driver built without partitions does not look for them itself.
  partx --update "$loop"
  mkfs.ext4 -q -L root -d "$scratch/tree" "${loop}p2"
  mount "${loop}p2" "$scratch/root"
  settle "$scratch/root" "${loop}p2"
  make_bootable "$scratch/root" "$loop"
}

# What differs between a tree of layers and a machine that was never booted.
settle() {
  local root=$1 partition=$2
  printf 'UUID=%s / ext4 errors=remount-ro 0 1\n' "$(blkid --probe --match-tag UUID --output value "$partition")" >"$root/etc/fstab"
  # Empty, not absent: an absent one makes the first boot enable every unit.
  : >"$root/etc/machine-id"
  printf 'localhost\n' >"$root/etc/hostname"
  printf '127.0.0.1 localhost\n' >"$root/etc/hosts"
  rm -f "$root/etc/resolv.conf"
  ln -s ../run/systemd/resolve/stub-resolv.conf "$root/etc/resolv.conf"
  find "$root/var/log" -type f -delete
}

make_bootable() {
  local root=$1 loop=$2 device
  mount -t tmpfs tmpfs "$root/dev"
  for device in null zero full random urandom "${loop##*/}" "${loop##*/}p1" "${loop##*/}p2"; do
    cp --archive "/dev/$device" "$root/dev/"
  done
  # grub-mkconfig names the root by its UUID only where udev would have linked it.
  mkdir -p "$root/dev/disk/by-uuid"
  ln -s "../../${loop##*/}p2" "$root/dev/disk/by-uuid/$(blkid --probe --match-tag UUID --output value "${loop}p2")"
  mount -t proc proc "$root/proc"
  mount -t sysfs -o ro sysfs "$root/sys"
  chroot "$root" grub-install --target=i386-pc "$loop"
  chroot "$root" update-grub
  umount "$root/sys" "$root/proc" "$root/dev"
}

detach() {
  local loop=$1 scratch=$2
  if mountpoint --quiet "$scratch/root"; then
    umount --recursive "$scratch/root"
  fi
  partx --delete "$loop"
  losetup --detach "$loop"
  umount --recursive "$scratch"
  rmdir "$scratch"
}

main "$@"
