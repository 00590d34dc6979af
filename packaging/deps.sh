# Sourced by packaging/test and packaging/try: what both need of the machine.
# shellcheck shell=bash

# The oldest Go that builds this project, and the one that is fetched where the
# machine has only an older one.
go_wanted=1.26
go_fetched=1.26.8

# apache2-bin has the server without a service or a configuration; nftables, for a lab's
# own rules, has a service that stays disabled.
lab_packages=(nginx-light apache2-bin nftables libapache2-mod-php8.2 php8.2-fpm php8.2-mysql php8.2-cli php8.2-opcache mariadb-server
	wordpress wordpress-theme-twentytwentythree wordpress-theme-twentytwentytwo)

# What only the tests need. gcc: the race detector is linked with C. systemd: some tests run in a
# machine of their own with it as PID 1. chromium: the page. prometheus: promtool and a real scrape.
# libnss-systemd: users that no file names.
test_packages=(gcc libc6-dev ca-certificates systemd chromium prometheus
	libnss-systemd mandoc groff-base bash-completion)

step() { printf '== %s\n' "$*"; }
die() {
	printf '%s: %s\n' "$0" "$*" >&2
	exit 1
}

need_root() {
	[[ $EUID == 0 ]] || die "needs root: it starts nginx on port 80 of a loopback address and PHP as another user. Run: sudo $0 $*"
}

# install_missing PACKAGE…: installs those that are not there. What it brings is for
# the lab, which starts programs of its own, so no service of it is started or
# enabled: an nginx on port 80 of all addresses would leave none for the lab.
install_missing() {
	local package unit log missing=() quiet=()
	command -v apt-get >/dev/null || die "needs Debian 12 or a system derived from it: there is no apt-get"
	for package; do
		[[ $(dpkg-query -W -f '${Status}' "$package" 2>/dev/null) == 'install ok installed' ]] || missing+=("$package")
	done
	if ((${#missing[@]} == 0)); then
		step "Packages: all installed"
		return
	fi
	step "Packages: installing ${missing[*]} (no service is started)"
	for unit in nginx php8.2-fpm mariadb apache2 prometheus; do
		[[ -e /lib/systemd/system/$unit.service ]] || quiet+=("$unit")
	done
	[[ " ${missing[*]} " != *' libapache2-mod-php8.2 '* ]] || keep_apache
	log=$(mktemp)
	apt_install "${missing[@]}" >"$log" 2>&1 || {
		cat "$log" >&2
		rm -f "$log"
		die "cannot install ${missing[*]}: apt-get's own words are above. The lab is made of Debian 12's packages (PHP 8.2)"
	}
	rm -f "$log"
	for unit in "${quiet[@]}"; do
		if [[ -e /lib/systemd/system/$unit.service ]] && command -v systemctl >/dev/null; then
			systemctl --quiet disable "$unit" 2>/dev/null || echo "   could not disable $unit.service: it starts at the next boot" >&2
		fi
	done
}

# keep_apache: on a machine with Apache of its own, installing mod_php would enable it
# there and take the threaded MPM out. Debian's scripts leave alone what an
# administrator has disabled (a2query); `a2enmod php8.2` takes that back.
keep_apache() {
	local off=/var/lib/apache2/module/disabled_by_admin
	[[ -e /usr/sbin/a2query ]] || return 0
	mkdir -p "$off" && touch "$off/php8.2"
}

apt_install() ( # PACKAGE…; a subshell, for its own trap: the policy goes whatever happens
	policy=/usr/sbin/policy-rc.d
	if [[ ! -e $policy ]]; then
		trap 'rm -f "$policy"' EXIT
		printf '#!/bin/sh\nexit 101\n' >"$policy"
		chmod 0755 "$policy"
	fi
	export DEBIAN_FRONTEND=noninteractive
	get=(apt-get -q -y -o Dpkg::Use-Pty=0 -o DPkg::Lock::Timeout=120)
	# The lists may be absent or old; they are fetched only then.
	if apt-cache show "$@" && "${get[@]}" install --no-install-recommends "$@"; then
		exit
	fi
	"${get[@]}" update && "${get[@]}" install --no-install-recommends "$@"
)

# go_minor GO: the minor version of a toolchain as it is, without fetching another.
go_minor() {
	local version
	version=$(GOTOOLCHAIN=local "$1" env GOVERSION 2>/dev/null) || return 1
	[[ $version =~ ^go1\.([0-9]+) ]] && echo "${BASH_REMATCH[1]}"
}

# find_go: puts a Go that builds this project first in PATH. sudo's own PATH often
# lacks /usr/local/go, and Debian 12's Go is far older than this project's.
find_go() {
	local go minor module dir newest=''
	# Where the checkout belongs to somebody else, git answers root nothing, and
	# the build would fail for want of a revision to stamp.
	export GOFLAGS="${GOFLAGS:-} -buildvcs=false" HOME="${HOME:-/root}"
	for go in "$(command -v go || true)" /usr/local/go/bin/go /usr/lib/go-*/bin/go; do
		[[ -x $go ]] && minor=$(go_minor "$go") || continue
		if ((minor >= ${go_wanted#1.})); then
			use_go "$go"
			return
		fi
		newest=$go
	done
	if [[ -z $newest ]]; then
		install_missing golang-go ca-certificates
		newest=$(command -v go) || die "no go after installing golang-go"
	fi
	module=golang.org/toolchain@v0.0.1-go$go_fetched.linux-$(dpkg --print-architecture)
	step "Go: $("$newest" version | cut -d' ' -f3) is too old; Go $go_fetched is fetched as a module, once"
	# What a Go of 1.21 and later does by itself; Debian 12's 1.19 must be told.
	dir=$(cd / && GOTOOLCHAIN=local GO111MODULE=on "$newest" mod download -json "$module" | sed -n 's/^\t"Dir": "\(.*\)",\{0,1\}$/\1/p') && [[ -n $dir ]] ||
		die "cannot fetch Go $go_fetched. Install Go $go_wanted or newer from https://go.dev/dl into /usr/local/go and run this again"
	chmod -R a+x "$dir/bin" "$dir/pkg/tool" # module files carry no execute bits
	use_go "$dir/bin/go"
}

use_go() { # GO
	PATH=$(dirname "$1"):$PATH
	export PATH
	step "Go: $(go version | cut -d' ' -f3) ($1)"
}
