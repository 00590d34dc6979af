# A machine with a real systemd as PID 1, on top of the host's own files:
# bash systemd.sh STAGE DIR
#
# Namespaces for processes, mounts, host name, System V IPC, network and control
# groups; the root is an overlay whose lower layer is the host's "/" and whose
# upper layer is a tmpfs that only the machine's own mounts know. Its network is
# nothing but lo. It protects from accidents and is no wall against a hostile root.
#
# guard  on the host: starts the machine, waits until standard input closes or the
#        machine ends, kills what is left, removes its control groups and DIR
# join   PID 1 of the new namespace: moves into the machine's control groups
# boot   builds the root, pivots into it and becomes systemd
set -eu
stage=$1
dir=$2
group=wpmend-lab-${dir##*/}
# What the host's clock, kernel and devices hang on.
DROP=-sys_time,-sys_module,-sys_rawio,-mknod,-wake_alarm,-block_suspend,-mac_admin,-mac_override,-syslog

# A controller lives in one hierarchy only. Where the host keeps memory and pids on
# version 1, a machine with nothing but version 2 would accept MemoryMax= and not
# enforce it, so it gets both, as Debian's "hybrid" layout has them.
hierarchies() {
	local v2= v1=() at type options o controllers
	while read -r _ at type options _; do
		case $type in
		cgroup2) [[ -n $v2 ]] || v2=$at ;;
		cgroup)
			controllers=
			for o in ${options//,/ }; do
				case $o in
				cpu | cpuacct | cpuset | memory | pids | devices | blkio | freezer | hugetlb | perf_event | net_cls | net_prio | rdma | misc | name=systemd)
					controllers+=${controllers:+,}$o ;;
				esac
			done
			[[ -z $controllers ]] || v1+=("$at|$controllers") ;;
		esac
	done </proc/mounts
	[[ -n $v2 ]] || { echo "no cgroup2 is mounted on this host" >&2; exit 1; }
	echo "$v2/$group" >"$dir/cgroups"
	: >"$dir/v1"
	if [[ " $(<"$v2/cgroup.controllers") " != *" memory "* && " ${v1[*]-} " == *"|memory"* && " ${v1[*]-} " == *name=systemd* ]]; then
		printf '%s\n' "${v1[@]##*|}" >"$dir/v1"
		for o in "${v1[@]}"; do echo "${o%%|*}/$group"; done >>"$dir/cgroups"
	fi
	while read -r o; do
		mkdir "$o"
		# A cpuset of version 1 takes no process before it is filled in.
		for at in cpuset.cpus cpuset.mems; do
			[[ ! -e $o/$at || $o/$at -ef $v2/$group/$at ]] || cat "${o%/*}/$at" >"$o/$at"
		done
	done <"$dir/cgroups"
}

remove() {
	local try o left
	for ((try = 0; try < 200; try++)); do
		left=
		while read -r o; do
			[[ -d $o && $o == */"$group" ]] || continue
			[[ ! -w $o/cgroup.kill ]] || echo 1 >"$o/cgroup.kill" 2>/dev/null || true
			find "$o" -depth -type d -exec rmdir {} \; 2>/dev/null || true
			[[ ! -d $o ]] || left=$o
		done <"$dir/cgroups"
		[[ -n $left ]] || break
		sleep 0.02
	done
	rm -rf --one-file-system -- "$dir"
	[[ -z $left ]] || { echo "the control group $left cannot be removed" >&2; return 1; }
}

guard() {
	local machine pid
	trap '' HUP INT TERM
	cd /
	hierarchies
	# Whoever kills the guard kills the machine: the signal goes from one to the next.
	setpriv --pdeathsig KILL unshare --fork --kill-child=KILL --pid --mount --uts --ipc --net bash "$dir/systemd.sh" join "$dir" </dev/null >"$dir/log" 2>&1 &
	machine=$!
	# Nothing is ever written: this fails at once when the pipe closes, else after a look.
	while kill -0 $machine 2>/dev/null; do
		read -r -t 0.5 _ && continue
		(($? > 128)) || break
	done
	set +e
	if read -r pid 2>/dev/null <"$dir/pid"; then
		# It is PID 1 of its namespace, so the kernel ends all the others with it.
		[[ ! /proc/$pid/root -ef / ]] && kill -KILL "$pid" 2>/dev/null
	fi
	kill -KILL $machine 2>/dev/null
	wait $machine 2>/dev/null
	remove
}

join() {
	local pid group
	read -r pid _ </proc/self/stat # as the host sees it
	echo "$pid" >"$dir/pid.new"
	mv "$dir/pid.new" "$dir/pid"
	while read -r group; do echo 0 >"$group/cgroup.procs"; done <"$dir/cgroups"
	exec unshare --cgroup bash "$dir/systemd.sh" boot "$dir"
}

boot() {
	local root=$dir/fs/root n c b unit
	mount --make-rprivate /
	mount -t tmpfs -o mode=755,size=2g wpmend-lab "$dir/fs"
	mkdir -m 755 "$dir/fs/upper" "$dir/fs/work" "$root"
	mount -t overlay -o "lowerdir=/,upperdir=$dir/fs/upper,workdir=$dir/fs/work" overlay "$root"

	mount -t proc -o nosuid,nodev,noexec proc "$root/proc"
	mount --bind "$root/proc/sys" "$root/proc/sys"
	mount --bind "$root/proc/sys/net" "$root/proc/sys/net" # the network is its own
	mount -o remount,bind,ro "$root/proc/sys"
	for n in sysrq-trigger irq bus fs acpi; do
		[[ -e $root/proc/$n ]] || continue
		mount --bind "$root/proc/$n" "$root/proc/$n"
		mount -o remount,bind,ro "$root/proc/$n"
	done
	mount -t sysfs -o ro,nosuid,nodev,noexec sysfs "$root/sys"
	if [[ -s $dir/v1 ]]; then
		mount -t tmpfs -o mode=755,nosuid,nodev,noexec tmpfs "$root/sys/fs/cgroup"
		mkdir "$root/sys/fs/cgroup/unified"
		mount -t cgroup2 -o nosuid,nodev,noexec cgroup2 "$root/sys/fs/cgroup/unified"
		while read -r c; do
			n=${c#name=}
			mkdir "$root/sys/fs/cgroup/$n"
			case $c in name=*) c=none,$c ;; esac
			mount -t cgroup -o "nosuid,nodev,noexec,$c" cgroup "$root/sys/fs/cgroup/$n"
			case $n in *,*) for b in ${n//,/ }; do ln -s "$n" "$root/sys/fs/cgroup/$b"; done ;; esac
		done <"$dir/v1"
	else
		mount -t cgroup2 -o nosuid,nodev,noexec cgroup2 "$root/sys/fs/cgroup"
	fi
	mount -t tmpfs -o mode=755,nosuid dev "$root/dev"
	for n in null zero full random urandom tty; do
		: >"$root/dev/$n"
		mount --bind "/dev/$n" "$root/dev/$n"
	done
	mkdir "$root/dev/pts" "$root/dev/shm" "$root/dev/mqueue" "$root/dev/hugepages"
	mount -t devpts -o newinstance,ptmxmode=0666,mode=620,gid=5,nosuid,noexec devpts "$root/dev/pts"
	mount -t tmpfs -o mode=1777,nosuid,nodev shm "$root/dev/shm"
	ln -s pts/ptmx "$root/dev/ptmx"
	ln -s /proc/self/fd "$root/dev/fd"
	for n in 0:stdin 1:stdout 2:stderr; do ln -s "fd/${n%%:*}" "$root/dev/${n##*:}"; done
	mount -t tmpfs -o mode=755,nosuid,nodev run "$root/run"
	mount -t tmpfs -o mode=1777,nosuid,nodev,size=2g tmp "$root/tmp"

	echo lab >"$root/etc/hostname"
	printf '127.0.0.1 localhost\n127.0.1.1 lab\n' >"$root/etc/hosts"
	rm -f "$root/etc/machine-id" "$root/usr/sbin/policy-rc.d"
	tr -d - </proc/sys/kernel/random/uuid >"$root/etc/machine-id"
	: >"$root/etc/fstab"

	# Nothing of what the host has enabled is started, only what is asked for.
	rm -rf "$root"/etc/systemd/system/*.wants "$root"/etc/systemd/system/*.requires "$root"/etc/rc[0-6S].d
	mkdir -p "$root/etc/systemd/system/multi-user.target.wants" "$root/etc/systemd/journald.conf.d"
	cp -a --no-preserve=ownership "$dir/files/." "$root/"
	while read -r unit; do
		for n in "$root/etc/systemd/system/$unit" "$root/lib/systemd/system/$unit"; do
			[[ ! -e $n ]] || break
		done
		[[ -e $n ]] || { echo "there is no unit $unit"; exit 1; }
		ln -sfn "${n#"$root"}" "$root/etc/systemd/system/multi-user.target.wants/$unit"
	done <"$dir/units"
	ln -sfn /lib/systemd/system/multi-user.target "$root/etc/systemd/system/default.target"
	for unit in getty.target console-getty.service systemd-{timesyncd,networkd,networkd-wait-online,resolved,firstboot,udevd,udev-trigger,sysctl}.service \
		systemd-networkd.socket sys-kernel-{debug,tracing,config}.mount sys-fs-fuse-connections.mount proc-sys-fs-binfmt_misc.automount; do
		ln -sfn /dev/null "$root/etc/systemd/system/$unit"
	done
	printf '[Journal]\nStorage=volatile\nRateLimitIntervalSec=0\n' >"$root/etc/systemd/journald.conf.d/lab.conf"
	mkdir -p "$root/lab"
	mount --bind "$dir/share" "$root/lab"

	mkdir -p "$root/.host"
	cd "$root"
	pivot_root . .host
	umount -l /.host
	rmdir /.host
	exec env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 container=wpmend-lab \
		setpriv --bounding-set "$DROP" --inh-caps "$DROP" /lib/systemd/systemd --system --show-status=0 --log-target=journal
}

# Read to its end before it runs: after the pivot this file is gone.
case $stage in
guard) guard; exit ;;
join) join; exit ;;
boot) boot; exit ;;
esac
