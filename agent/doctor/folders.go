package doctor

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"wpmend/agent/lock"
)

const (
	// leastRoom is what the state folder must have: a change is not made whose record
	// cannot be written.
	leastRoom = 16 << 20
	// littleRoom is when that is near.
	littleRoom = 128 << 20
	leastFiles = 1000
)

// kinds of file systems that matter, by statfs(2).
var fileSystems = map[int64]string{
	unix.TMPFS_MAGIC: "tmpfs", unix.RAMFS_MAGIC: "ramfs", unix.NFS_SUPER_MAGIC: "NFS", unix.SMB_SUPER_MAGIC: "SMB", 0xff534d42: "CIFS", 0xfe534d42: "SMB2",
	unix.FUSE_SUPER_MAGIC: "FUSE", unix.OVERLAYFS_SUPER_MAGIC: "overlay", unix.EXT4_SUPER_MAGIC: "ext4", unix.XFS_SUPER_MAGIC: "xfs", unix.BTRFS_SUPER_MAGIC: "btrfs",
}

// folder is what is known of one of wpmend's folders.
type folder struct {
	path  string
	err   error // of the first look: fs.ErrNotExist if it is not there
	isDir bool
	uid   uint32
	mode  uint32 // permissions
	above string // the first folder above that others than root may write, "" none

	kind  string // of the file system, "" another
	free  uint64 // bytes
	files uint64 // inodes that are free; of a file system that does not count them, many
	ro    bool   // mounted read-only
}

func examineFolder(path string) folder {
	f := folder{path: path}
	var st unix.Stat_t
	at := path
	if f.err = unix.Lstat(path, &st); f.err == nil {
		f.uid, f.mode, f.isDir = st.Uid, st.Mode&0o7777, st.Mode&unix.S_IFMT == unix.S_IFDIR
	}
	for above := filepath.Dir(path); ; above = filepath.Dir(above) {
		switch err := unix.Stat(above, &st); {
		case err != nil:
		case st.Uid != 0 || st.Mode&0o022 != 0 && st.Mode&unix.S_ISVTX == 0:
			f.above = above
		}
		if above == "/" {
			break
		}
	}
	for ; ; at = filepath.Dir(at) { // where it would be made
		var v unix.Statfs_t
		if unix.Statfs(at, &v) == nil {
			f.kind, f.free, f.files, f.ro = fileSystems[int64(v.Type)], v.Bavail*uint64(v.Bsize), v.Ffree, v.Flags&unix.ST_RDONLY != 0
			if v.Files == 0 {
				f.files = 1 << 40 // btrfs counts none
			}
			break
		}
		if at == "/" {
			break
		}
	}
	return f
}

func (h *host) folders() []Finding {
	s := &sheet{area: "folders"}
	judgeState(s, examineFolder(h.State))
	judgeLocks(s, examineFolder(lock.Dir))
	return s.findings
}

// judgeState looks at the folder of the journal and the history.
func judgeState(s *sheet, f folder) {
	const check = "state folder"
	switch {
	case errors.Is(f.err, fs.ErrNotExist):
		if f.ro {
			s.bad(check, "mount "+f.path+" where it can be written, or use another with --state", "%s is not there, and cannot be made: its file system is read-only", f.path)
			return
		}
		s.ok(check, "%s is not there yet; wpmend makes it when it runs first", f.path)
	case f.err != nil:
		s.bad(check, "", "%s cannot be looked at: %v", f.path, f.err)
		return
	case !f.isDir:
		s.bad(check, "move it away", "%s is no folder, so no change can be written down and none is made", f.path)
		return
	case f.uid != 0:
		s.bad(check, "chown root: "+f.path+", after a look at who put it there", "%s belongs to uid %d and not to root, so wpmend refuses to run: its undo records could be forged", f.path, f.uid)
	case f.mode&0o022 != 0:
		s.bad(check, "chmod 700 "+f.path, "%s may be written by others than root (mode %04o), so wpmend refuses to run: its undo records could be forged", f.path, f.mode)
	case f.mode&0o055 != 0:
		s.warn(check, "chmod 700 "+f.path, "%s may be read by others than root (mode %04o); the records name what failed on every site", f.path, f.mode)
	default:
		s.ok(check, "%s is root's alone (mode %04o)", f.path, f.mode)
	}
	if f.above != "" {
		s.bad("state folder, the way there", fmt.Sprintf("chown root: %s; chmod go-w %s", f.above, f.above), "others than root may change %s, and so exchange %s: wpmend refuses to run", f.above, f.path)
	}
	judgeRoom(s, check, f)
	switch f.kind {
	case "tmpfs", "ramfs":
		s.warn("state folder, file system", "put it on a disk: /var/lib/wpmend, or another with --state", "%s lies in memory (%s): after a reboot nobody knows what wpmend changed, nor how to undo it", f.path, f.kind)
	case "NFS", "SMB", "CIFS", "SMB2", "FUSE":
		s.warn("state folder, file system", "put it on a local disk: /var/lib/wpmend, or another with --state", "%s lies on %s: a server that does not answer keeps wpmend from mending, and locks may not hold", f.path, f.kind)
	}
}

func judgeRoom(s *sheet, check string, f folder) {
	check += ", room"
	do := fmt.Sprintf("make room: df -h %s; journalctl --vacuum-size=200M, apt-get clean and old logs are the usual places", f.path)
	switch {
	case f.ro && f.err == nil:
		s.bad(check, "mount -o remount,rw, after a look at why it is so (dmesg)", "%s is on a file system that is mounted read-only: wpmend only observes", f.path)
	case f.free < leastRoom:
		s.bad(check, do, "%s has %s left: a change is not made whose record cannot be written, so wpmend only observes", f.path, size(f.free))
	case f.files < leastFiles:
		s.bad(check, "remove small files that nobody needs (sessions, caches): df -i "+f.path, "%s has only %d inodes left: no record can be written soon, and wpmend only observes then", f.path, f.files)
	case f.free < littleRoom:
		s.warn(check, do, "%s has only %s left", f.path, size(f.free))
	default:
		s.ok(check, "%s free", size(f.free))
	}
}

// judgeLocks looks at the folder that all wpmends of this host meet in.
func judgeLocks(s *sheet, f folder) {
	const check = "lock folder"
	switch {
	case errors.Is(f.err, fs.ErrNotExist) && !f.ro:
		s.ok(check, "%s is not there yet; wpmend makes it when it runs first", f.path)
		return
	case f.err != nil:
		s.bad(check, "", "%s cannot be had (%v), and nothing is changed without a lock", f.path, f.err)
		return
	case !f.isDir:
		s.bad(check, "move it away", "%s is no folder, and nothing is changed without a lock", f.path)
		return
	case f.uid != 0 || f.mode&0o022 != 0:
		s.bad(check, "chown root: "+f.path+"; chmod 700 "+f.path, "%s is not root's alone (uid %d, mode %04o), so wpmend refuses its locks and changes nothing", f.path, f.uid, f.mode)
		return
	case f.free < 1<<20 || f.files < 10 || f.ro:
		s.bad(check, "df -h "+f.path+"; df -i "+f.path, "%s has no room for locks (%s, %d inodes), and nothing is changed without one", f.path, size(f.free), f.files)
		return
	case f.kind == "NFS" || f.kind == "CIFS" || f.kind == "SMB2":
		s.warn(check, "mount a tmpfs at /run", "%s lies on %s, where locks may not hold", f.path, f.kind)
		return
	}
	s.ok(check, "%s is root's alone", f.path)
}

func size(n uint64) string {
	switch {
	case n >= 10<<30:
		return fmt.Sprintf("%d GB", n>>30)
	case n >= 10<<20:
		return fmt.Sprintf("%d MB", n>>20)
	}
	return fmt.Sprintf("%d kB", n>>10)
}

// exists says whether something is there, without following a link.
func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}
