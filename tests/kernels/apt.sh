# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# For scripts that fetch Debian's packages for guests: apt with a list of sources and a state of its own. It fetches and verifies; this machine's sources and
# installed packages are not touched. To be sourced.

mirror=http://deb.debian.org
keyring=/usr/share/keyrings/debian-archive-keyring.gpg
cache=${PLUMB_TEST_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/plumb}

# Debian's name of an architecture; 1 if the tests know none of that name.
debian_architecture() {
	case $1 in
	x86_64) echo amd64 ;;
	arm64) echo arm64 ;;
	*) return 1 ;;
	esac
}

# What keeps apt from being used here, or nothing.
apt_lacks() {
	command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null || { echo "needs apt and dpkg"; return; }
	[ -r "$keyring" ] || echo "needs $keyring (package debian-archive-keyring)"
}

# private_apt FOLDER ARCHITECTURE < SUITES: from here on apt works in that folder, for that architecture (Debian's name), with lines of suites
# ("debian bookworm"). Fetches their lists.
private_apt() {
	local work=$1 architecture=$2 archive suite
	mkdir -p "$work/state/lists/partial" "$work/archives/partial"
	while read -r archive suite; do
		echo "deb [arch=$architecture signed-by=$keyring] $mirror/$archive $suite main"
	done > "$work/sources.list"
	cat > "$work/apt.conf" <<-CONF
		APT::Architecture "$architecture";
		APT::Architectures { "$architecture"; };
		APT::Sandbox::User "root";
		Dir::State "$work/state";
		Dir::State::status "/dev/null";
		Dir::Cache "$work";
		Dir::Etc::sourcelist "$work/sources.list";
		Dir::Etc::sourceparts "/dev/null";
	CONF
	export APT_CONFIG=$work/apt.conf
	apt-get -qq update >&2
}
