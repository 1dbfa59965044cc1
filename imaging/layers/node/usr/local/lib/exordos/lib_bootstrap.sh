#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 The mailaas authors
# SPDX-License-Identifier: Apache-2.0
#
# Sourced by bootstrap scripts: the persistent disk, and moving things onto it.
# The platform's base image carries a library of this name with these functions;
# this one keeps to what is documented of it.

export PERSISTENT_MOUNT=/persist

_persist_log() {
  printf '[persist] %s\n' "$*" >&2
}

# Print the device that holds persistent data; 1 if the machine has none.
find_persistent_disk() {
  local root disk
  # A container gets its data disk mounted, and sees the block devices of the
  # machine it runs on: they are not its own.
  if mountpoint --quiet "$PERSISTENT_MOUNT"; then
    findmnt --noheadings --output SOURCE --mountpoint "$PERSISTENT_MOUNT" | tail -n 1
    return 0
  fi
  if systemd-detect-virt --quiet --container; then
    return 1
  fi
  root=$(lsblk --noheadings --list --inverse --output NAME,TYPE "$(findmnt --noheadings --output SOURCE /)" |
    awk '$2 == "disk" { print $1; exit }')
  for disk in $(lsblk --noheadings --nodeps --list --output NAME,TYPE | awk '$2 == "disk" { print $1 }'); do
    case $disk in
    "$root" | fd* | ram* | zram*) continue ;;
    esac
    printf '/dev/%s\n' "$disk"
    return 0
  done
  return 1
}

# prepare_persistent_disk DISK [MOUNT [FSTYPE]]: one GPT partition, a file system, mounted now and at boot.
prepare_persistent_disk() {
  local disk=$1 mount=${2:-$PERSISTENT_MOUNT} fstype=${3:-ext4} partition type uuid
  mkdir -p "$mount"
  if mountpoint --quiet "$mount"; then
    return 0
  fi
  partition=$(_first_partition "$disk")
  if [[ -z $partition ]]; then
    parted --script --align optimal "$disk" mklabel gpt mkpart persist 1MiB 100%
    udevadm settle
    partition=$(_first_partition "$disk")
  fi
  # Exit 2: no file system. A bare partition has attributes of its own, so what
  # counts is a type.
  type=$(blkid --probe --usages filesystem --match-tag TYPE --output value "$partition" || [[ $? -eq 2 ]])
  if [[ -z $type ]]; then
    "mkfs.$fstype" "$partition"
  fi
  uuid=$(blkid --probe --match-tag UUID --output value "$partition")
  if ! grep --quiet "^UUID=$uuid " /etc/fstab; then
    printf 'UUID=%s %s %s defaults,nofail 0 2\n' "$uuid" "$mount" "$fstype" >>/etc/fstab
    systemctl daemon-reload
  fi
  mount "$mount"
}

_first_partition() {
  lsblk --noheadings --list --paths --output NAME,TYPE "$1" | awk '$2 == "part" { print $1; exit }'
}

# migrate_to_persistent SOURCE DESTINATION [USER [GROUP]]: what is at SOURCE moves
# to DESTINATION the first time; at every boot DESTINATION is mounted over SOURCE.
migrate_to_persistent() {
  local source=$1 destination=$2 user=${3:-} group=${4:-}
  mkdir -p "$source"
  if mountpoint --quiet "$source"; then
    return 0
  fi
  if [[ ! -e $destination ]]; then
    mkdir -p "${destination%/*}"
    rm -rf "$destination.migrating"
    mkdir "$destination.migrating"
    rsync --archive --hard-links --acls --xattrs "$source/" "$destination.migrating/"
    sync --file-system "$destination.migrating"
    mv "$destination.migrating" "$destination"
    _persist_log "$source moved to $destination"
  fi
  if [[ -n $user ]]; then
    chown -R "$user:${group:-$user}" "$destination"
  fi
  mount --bind "$destination" "$source"
}

# migrate_to_persistent_restart SOURCE DESTINATION "SERVICES": and restart SERVICES if they run.
migrate_to_persistent_restart() {
  local source=$1 destination=$2 services=$3 service
  if mountpoint --quiet "$source"; then
    return 0
  fi
  migrate_to_persistent "$source" "$destination"
  for service in $services; do
    systemctl try-restart "$service"
  done
}

# migrate_to_persistent_stop_start SOURCE DESTINATION "SERVICES" [USER [GROUP]]: SERVICES are down meanwhile, up after.
migrate_to_persistent_stop_start() {
  local source=$1 destination=$2 services=$3 user=${4:-} group=${5:-} service
  if ! mountpoint --quiet "$source"; then
    for service in $services; do
      systemctl stop "$service"
    done
    migrate_to_persistent "$source" "$destination" "$user" "$group"
  fi
  for service in $services; do
    systemctl start "$service"
  done
}

# Said by a bootstrap script when everything it moves is moved.
persist_migrate_complete() {
  touch "$PERSISTENT_MOUNT/.migrate_complete"
  sync --file-system "$PERSISTENT_MOUNT"
}

generate_secure_password() {
  openssl rand -hex 32
}

# setup_postgresql_user_and_db USER PASSWORD DATABASE: a role that owns a database; idempotent.
setup_postgresql_user_and_db() {
  local user=$1 password=$2 database=$3
  _psql --set=user="$user" --set=password="$password" --set=database="$database" <<'SQL'
SELECT format('CREATE ROLE %I LOGIN', :'user')
 WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = :'user') \gexec
SELECT format('ALTER ROLE %I PASSWORD %L', :'user', :'password') \gexec
SELECT format('CREATE DATABASE %I OWNER %I', :'database', :'user')
 WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = :'database') \gexec
SQL
}

_psql() {
  sudo -u postgres psql --no-psqlrc --quiet --set=ON_ERROR_STOP=1 "$@"
}
