#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
#
# Put on the data disk what must outlive the root disk. Run by
# exordos-bootstrap.service at every boot; running it again changes nothing.
# When a stage fails the relay is not configured: mail accepted, or a DKIM key
# made, on the root disk would be lost with the next image.
set -Eeuo pipefail
shopt -s inherit_errexit

readonly LIBRARY=${EXORDOS_BOOTSTRAP_LIB:-/usr/local/lib/exordos/lib_bootstrap.sh}

# directory | name under <data disk>/mail | owner:group | mode of the directory
readonly DATA=(
  '/var/spool/exim4|spool|Debian-exim:Debian-exim|0750'
  '/etc/exim4/dkim|dkim|root:Debian-exim|0750'
  '/etc/exim4/tls|tls|root:Debian-exim|0750'
  '/var/lib/exordos/exordos_paas_mail|agent|root:root|0700'
  '/var/log/exim4|log|Debian-exim:adm|2750'
  '/var/lib/exordos/mail_events|events|Debian-exim:Debian-exim|0700'
)

say() {
  printf '[mail-bootstrap] %s\n' "$*"
}

complain() {
  printf '[mail-bootstrap] %s\n' "$*" >&2
}

die() {
  complain "$@"
  exit 1
}

# A plan with a larger disk reaches the file system at the next boot. Fails when
# it does not; every command is looked at by itself, since there is no errexit in
# a function whose status is asked for.
grow_file_system() {
  local partition disk number said status=0
  partition=$(findmnt --noheadings --output SOURCE --mountpoint "$PERSISTENT_MOUNT") || return
  # A container's data disk is a directory of its host.
  [[ -b $partition ]] || return 0
  disk=$(lsblk --noheadings --nodeps --paths --output PKNAME "$partition") || return
  number=$(cat "/sys/class/block/${partition##*/}/partition") || return
  # 1: there is nothing to grow into.
  said=$(growpart "$disk" "$number" 2>&1) || status=$?
  if ((status > 1)); then
    complain "cannot grow $partition on $disk: $said"
    return 1
  fi
  if ! said=$(resize2fs "$partition" 2>&1); then
    complain "cannot grow the file system on $partition: $said"
    return 1
  fi
}

# Numeric ids of a new image may differ from those on the disk: names decide.
own_by_name() {
  local directory=$1 owner=$2 mode=$3
  find "$directory" \( ! -user "${owner%:*}" -o ! -group "${owner#*:}" \) \
    -exec chown --no-dereference "$owner" {} +
  chmod "$mode" "$directory"
}

keep_on_data_disk() {
  local directory=$1 name=$2 owner=$3 mode=$4
  install -d "$directory" "$PERSISTENT_MOUNT/mail"
  migrate_to_persistent "$directory" "$PERSISTENT_MOUNT/mail/$name"
  mountpoint --quiet "$directory" || die "$directory is not on the data disk"
  own_by_name "$directory" "$owner" "$mode"
}

main() {
  local disk grown=yes entry directory name owner mode
  # shellcheck source=/dev/null
  source "$LIBRARY"
  # Run by hand it may begin in a folder of root's, which exim's user cannot enter
  cd /
  disk=$(find_persistent_disk) || die 'no data disk: refusing to keep mail on the root disk'
  prepare_persistent_disk "$disk" "$PERSISTENT_MOUNT" ext4
  mountpoint --quiet "$PERSISTENT_MOUNT" || die "the data disk $disk is not mounted at $PERSISTENT_MOUNT"
  # What it holds is served at the size it has; systemd shows the failure.
  grow_file_system || grown=no
  for entry in "${DATA[@]}"; do
    IFS='|' read -r directory name owner mode <<<"$entry"
    keep_on_data_disk "$directory" "$name" "$owner" "$mode"
  done
  persist_migrate_complete
  # As exim's user, who can remove no more than exim can.
  runuser --user=Debian-exim -- exordos-mail-sweep-spool
  # A power cut may leave exim's hints unreadable: without its counts nobody can log
  # in, without its retry times mail is tried every minute and never bounces. Nobody
  # sees a corrupt file in time, and a whole one is worth little: counts of an hour,
  # and when to try again. Locks stay, for a run by hand beside a running exim.
  runuser --user=Debian-exim -- find /var/spool/exim4 -maxdepth 2 -path '*/db/*' -type f ! -name '*.lockfile' -delete
  # All are ordered after exordos-bootstrap.service, which is this script:
  # waiting for them would never end.
  systemctl --no-block restart exordos-metapaas-mail-configure.service
  systemctl --no-block start exordos-mail-events.service exordos-mail-queue.service exordos-mail-webhooks.service
  systemctl --no-block start exordos-mail-policy.service exordos-mail-sts.service
  [[ $grown == yes ]] || die 'data disk in place, but it could not be grown'
  say 'data disk in place'
}

main "$@"
