package crash

import "golang.org/x/sys/unix"

// name is what a call that changes something is called here, "" any other. Those that
// only amd64 has are in legacy.
func name(nr int) string {
	switch nr {
	case unix.SYS_WRITE:
		return "write"
	case unix.SYS_PWRITE64, unix.SYS_WRITEV, unix.SYS_PWRITEV, unix.SYS_PWRITEV2, unix.SYS_COPY_FILE_RANGE, unix.SYS_SENDFILE, unix.SYS_SPLICE, unix.SYS_FALLOCATE:
		return "other write"
	case unix.SYS_OPENAT:
		return "open"
	case unix.SYS_RENAMEAT, unix.SYS_RENAMEAT2:
		return "rename"
	case unix.SYS_UNLINKAT:
		return "unlink"
	case unix.SYS_MKDIRAT:
		return "mkdir"
	case unix.SYS_LINKAT:
		return "link"
	case unix.SYS_SYMLINKAT:
		return "symlink"
	case unix.SYS_MKNODAT:
		return "mknod"
	case unix.SYS_FSYNC, unix.SYS_FDATASYNC:
		return "fsync"
	case unix.SYS_FTRUNCATE:
		return "ftruncate"
	case unix.SYS_TRUNCATE:
		return "truncate"
	case unix.SYS_FCHMOD, unix.SYS_FCHMODAT, unix.SYS_FCHMODAT2:
		return "chmod"
	case unix.SYS_FCHOWN, unix.SYS_FCHOWNAT:
		return "chown"
	case unix.SYS_SETXATTR, unix.SYS_LSETXATTR, unix.SYS_FSETXATTR:
		return "setxattr"
	case unix.SYS_REMOVEXATTR, unix.SYS_LREMOVEXATTR, unix.SYS_FREMOVEXATTR:
		return "removexattr"
	case unix.SYS_UTIMENSAT:
		return "utime"
	}
	return legacy(nr)
}

// maxCall is above the number of every call that has a name.
const maxCall = 512

// program is the filter: calls that change something wait, all others pass. Of the opens
// only those that make or cut a file count.
func program() []unix.SockFilter {
	const (
		load, and = unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, unix.BPF_ALU | unix.BPF_AND | unix.BPF_K
		equal     = unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K
		ret       = unix.BPF_RET | unix.BPF_K
		// offsets in struct seccomp_data; both kinds of machine are little-endian
		number, third = 0, 16 + 2*8
	)
	wait, pass := unix.SockFilter{Code: ret, K: unix.SECCOMP_RET_USER_NOTIF}, unix.SockFilter{Code: ret, K: unix.SECCOMP_RET_ALLOW}
	f := []unix.SockFilter{{Code: load, K: number}, {Code: equal, Jf: 5, K: unix.SYS_OPENAT},
		{Code: load, K: third}, {Code: and, K: unix.O_CREAT | unix.O_TRUNC}, {Code: equal, Jf: 1, K: 0}, pass, wait}
	for nr := range maxCall {
		if nr != unix.SYS_OPENAT && name(nr) != "" {
			f = append(f, unix.SockFilter{Code: equal, Jf: 1, K: uint32(nr)}, wait)
		}
	}
	return append(f, pass)
}
