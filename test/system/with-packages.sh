#!/bin/bash
# Runs a command on a machine that has what the system tests need: bash test/system/with-packages.sh COMMAND...
# As root on Debian 12: Debian packages that are missing are installed first. Every step is bounded in time.
set -eu
export DEBIAN_FRONTEND=noninteractive

installed=(
  telnet netcat-openbsd systemd systemd-container dbus iproute2 util-linux bsdutils mount tzdata iputils-ping
  libcap2-bin libc-bin dpkg python3 python3-minimal netbase dnsmasq-base libtirpc3 libwrap0 libbsd0 libevent-2.1-7 buildah mmdebstrap
  mandoc man-db groff bash-completion fish zsh logrotate lintian liblua5.3-0 libopentracing-c-wrapper0
  libcdb1 libfstrm0 libh2o-evloop0.13 liblmdb0 libluajit-5.1-2 libre2-9 libsnmp40 libsodium23 libedit2
  gcc libc6-dev finger nftables fping curl openssl libnetfilter-conntrack3 chromium tmux
)
# Debian starts a daemon that it installs, and lets only one inetd be: unpacked, all are there for the tests to start.
# Firewalls that are installed would be enabled as well.
unpacked=(
  xinetd inetutils-inetd openbsd-inetd prometheus haproxy dnsdist fingerd oidentd
  ufw firewalld python3-firewall python3-gi python3-dbus python3-nftables gir1.2-glib-2.0 libgirepository-1.0-1
)
directory=$PWD/node_modules/.cache/smallservd/daemons

die() {
  echo "test/system/with-packages.sh: $1" >&2
  exit 1
}

is_installed() {
  [ "$(dpkg-query --show --showformat='${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

[ "$(id -u)" = 0 ] || die 'the system tests and the attacks need root'
command -v apt-get >/dev/null || die 'the system tests and the attacks need Debian 12, and its apt-get'

# Whether all of this list are there, not those of an earlier one.
is_unpacked() {
  [ "$(cat "$directory/complete" 2>/dev/null)" = "${unpacked[*]}" ]
}

missing=()
for package in "${installed[@]}"; do
  is_installed "$package" || missing+=("$package")
done
if [ ${#missing[@]} -gt 0 ] || ! is_unpacked; then
  timeout 600 apt-get update -q || die 'the lists of packages cannot be had'
fi
if [ ${#missing[@]} -gt 0 ]; then
  timeout 900 apt-get install -q -y --no-install-recommends "${missing[@]}" || die "cannot install ${missing[*]}"
fi
if ! is_unpacked; then
  rm -rf "$directory"
  mkdir -p "$directory/control"
  (
    cd "$directory"
    # Before ||, set -e does not end this.
    timeout 300 apt-get download -q "${unpacked[@]}" || exit 1
    for package in *.deb; do
      dpkg --extract "$package" .
      # The inetd.conf of some is in their scripts.
      dpkg --control "$package" "control/${package%%_*}"
    done
    rm ./*.deb
    echo "${unpacked[*]}" >complete
  ) || die "cannot unpack ${unpacked[*]}"
fi
export PATH="$PATH:$directory/usr/sbin:$directory/usr/bin"
exec "$@"
