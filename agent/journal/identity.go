package journal

import (
	"fmt"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Identity tells one file system object from another that has taken its name. The
// kernel reuses inode numbers at once, so the time of birth counts too, where the
// file system keeps it; device numbers may change with the next boot, so they count
// only within one.
type Identity struct {
	Dev  uint64    `json:"dev"`
	Ino  uint64    `json:"ino"`
	Born time.Time `json:"born,omitzero"`
	Boot string    `json:"boot,omitempty"` // /proc/sys/kernel/random/boot_id when it was seen
	Type string    `json:"type"`           // folder, file or link
}

func (i Identity) is(other Identity) bool {
	born := !i.Born.IsZero() && !other.Born.IsZero() // both are known
	switch {
	case i.Ino != other.Ino, i.Type != other.Type, born && !i.Born.Equal(other.Born):
		return false
	}
	return i.Dev == other.Dev || born && i.Boot != other.Boot
}

func (i Identity) String() string {
	return fmt.Sprintf("%s, inode %d on device %d", i.Type, i.Ino, i.Dev)
}

// object is what lies under one name.
type object struct {
	Identity
	uid uint32
}

// identify describes name in an open folder, without following it; "" is what is open
// itself. Absent: nil, nil.
func identify(dir int, name string) (*object, error) {
	var st unix.Statx_t
	flags := unix.AT_SYMLINK_NOFOLLOW | unix.AT_NO_AUTOMOUNT
	if name == "" {
		flags |= unix.AT_EMPTY_PATH
	}
	err := eintr(func() error {
		return unix.Statx(dir, name, flags, unix.STATX_BASIC_STATS|unix.STATX_BTIME, &st)
	})
	if err == unix.ENOENT {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	o := &object{uid: st.Uid, Identity: Identity{Dev: unix.Mkdev(st.Dev_major, st.Dev_minor), Ino: st.Ino, Boot: boot(), Type: "special file"}}
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFDIR:
		o.Type = "folder"
	case unix.S_IFREG:
		o.Type = "file"
	case unix.S_IFLNK:
		o.Type = "link"
	}
	if st.Mask&unix.STATX_BTIME != 0 {
		o.Born = time.Unix(st.Btime.Sec, int64(st.Btime.Nsec)).UTC()
	}
	return o, nil
}

func boot() string {
	id, _ := os.ReadFile("/proc/sys/kernel/random/boot_id")
	return strings.TrimSpace(string(id))
}
