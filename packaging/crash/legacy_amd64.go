package crash

import "golang.org/x/sys/unix"

// legacy names the calls that newer machines have no numbers for.
func legacy(nr int) string {
	switch nr {
	case unix.SYS_RENAME:
		return "rename"
	case unix.SYS_UNLINK, unix.SYS_RMDIR:
		return "unlink"
	case unix.SYS_MKDIR:
		return "mkdir"
	case unix.SYS_LINK:
		return "link"
	case unix.SYS_SYMLINK:
		return "symlink"
	case unix.SYS_CREAT:
		return "open"
	case unix.SYS_CHMOD:
		return "chmod"
	case unix.SYS_CHOWN, unix.SYS_LCHOWN:
		return "chown"
	case unix.SYS_UTIMES:
		return "utime"
	}
	return ""
}
