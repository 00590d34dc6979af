package evidence

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"golang.org/x/sys/unix"

	"wpmend/agent/diagnose"
	"wpmend/agent/site"
	"wpmend/php/fpm"
)

// The machine that the test runs on, and what such files look like elsewhere.
func TestHost(t *testing.T) {
	t.Parallel()
	h := host()
	if h.CPUs < 1 || h.Memory < 64<<20 || h.MemoryAvailable <= 0 || h.MemoryAvailable > h.Memory || h.Files <= 0 || h.MaxFiles < h.Files {
		t.Errorf("%+v", h)
	}
	for text, want := range map[string]float64{
		"some avg10=12.50 avg60=1.00 avg300=0.00 total=1\nfull avg10=99.00 avg60=0.00 avg300=0.00 total=0\n": 0.125,
		"full avg10=99.00 avg60=0.00\n": -1, "": -1, "some avg10=x": -1, "some avg10=101": -1, "some": -1,
	} {
		got, ok := someStall(text)
		if !ok {
			got = -1
		}
		if got != want {
			t.Errorf("%q: %v, want %v", text, got, want)
		}
	}
	if files, limit := fileNr("10\t0\t20\n"); files != 10 || limit != 20 {
		t.Errorf("%d, %d", files, limit)
	}
	if files, limit := openFiles(os.Getpid()); files < 3 || limit < files {
		t.Errorf("%d of %d", files, limit)
	}
	if n := maxOpenFiles([]byte("Limit Soft Hard\nMax open files            unlimited            unlimited            files\n")); n != 0 {
		t.Error(n)
	}
}

// Real file systems: one full, one without inodes, one well.
func TestDisks(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	mount := func(name, options string) string {
		at := filepath.Join(dir, name)
		if err := os.Mkdir(at, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := unix.Mount("tmpfs", at, "tmpfs", 0, options); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := unix.Unmount(at, unix.MNT_DETACH); err != nil {
				t.Error(err)
			}
		})
		return at
	}
	full, crowded, well := mount("full", "size=64k"), mount("crowded", "size=1m,nr_inodes=8"), mount("well", "size=1m")
	if err := os.WriteFile(filepath.Join(full, "log"), make([]byte, 1<<20), 0o600); err == nil {
		t.Fatal("64k hold a megabyte")
	}
	for i := 0; ; i++ {
		if err := os.WriteFile(fmt.Sprintf("%s/%d", crowded, i), nil, 0o600); err != nil {
			break
		}
	}
	if err := os.Mkdir(full+"/www", 0o755); err != nil && !strings.Contains(err.Error(), "no space") {
		t.Fatal(err)
	}
	s := site.Site{Root: well, Handler: site.FPM, Master: fpm.Master{ErrorLog: full + "/fpm.log"},
		Pool: fpm.Pool{Name: "www", Directives: []fpm.Directive{{Key: "env[TMPDIR]", Value: crowded}, {Key: "slowlog", Value: full + "/slow.log"}}}}
	found := map[string]diagnose.Disk{}
	for _, d := range disks(places(s, func(name string) string { return map[string]string{"session.save_path": "2;0600;" + well}[name] }, nil)) {
		if strings.HasPrefix(d.Path, dir) {
			found[d.For] = d
		}
	}
	if len(found) != 3 || found["logs"].Free != 0 || found["logs"].Total < 60<<10 || found["temporary files"].FreeInodes != 0 || found["temporary files"].Free == 0 ||
		found["site"].Path != well || found["site"].Free == 0 || found["site"].FreeInodes == 0 {
		t.Errorf("%+v", found)
	}
}

func TestParseKernel(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]string{
		"Out of memory: Killed process 4321 (php-fpm8.2) total-vm:900000kB, anon-rss:800000kB, file-rss:0kB, shmem-rss:0kB, UID:33 pgtables:2000kB oom_score_adj:0":                              "oom-kill 4321 php-fpm8.2 33",
		"Memory cgroup out of memory: Killed process 99 (mariadbd) total-vm:1kB, anon-rss:1kB, UID:106":                                                                                          "oom-kill 99 mariadbd 106",
		"php-fpm8.2[77]: segfault at 0 ip 00005581 sp 00007ffd error 4 in php-fpm8.2[5581+1000] likely on CPU 1":                                                                                 "segfault 77 php-fpm8.2 -1",
		"traps: php-fpm8.2[78] general protection fault ip:55 sp:7f error:0 in opcache.so[7f+1000]":                                                                                              "segfault 78 php-fpm8.2 -1",
		"traps: php-fpm[79] trap invalid opcode ip:1 sp:2 error:0":                                                                                                                               "segfault 79 php-fpm -1",
		`audit: type=1400 audit(1700000000.250:45): apparmor="DENIED" operation="open" class="file" profile="php-fpm" name="/srv/a" pid=5 comm="php-fpm8.2" requested_mask="r" fsuid=33 ouid=0`:  "denial 5 php-fpm8.2 -1",
		`type=AVC msg=audit(1700000000.001:9): avc:  denied  { connectto } for  pid=6 comm="nginx" path="/run/php-fpm/www.sock" scontext=system_u:system_r:httpd_t:s0 tclass=unix_stream_socket`: "denial 6 nginx -1",
		`type=AVC msg=audit(1700000000.001:9): avc:  denied  { read } for  pid=7 comm=6E67696E7820 path="/x"`:                                                                                    "denial 7 nginx  -1",
		`audit: type=1400 audit(1700000000.250:45): apparmor="ALLOWED" operation="open" pid=5 comm="php-fpm8.2"`:                                                                                 "",
		"php-fpm8.2 invoked oom-killer: gfp_mask=0x140cca(GFP_HIGHUSER_MOVABLE|__GFP_COMP), order=0, oom_score_adj=0":                                                                            "",
		"Killed process 99999999999999 (x)": "", "usb 1-1: new device": "", "": "",
	} {
		got := ""
		if k, ok := ParseKernel(line); ok {
			got = fmt.Sprint(k.Kind, " ", k.PID, " ", k.Comm, " ", k.UID)
			if strings.Contains(line, "audit(") && k.Time.Unix() != 1700000000 {
				t.Errorf("%s: %v", line, k.Time)
			}
		}
		if got != want {
			t.Errorf("%s: %q, want %q", line, got, want)
		}
	}
	if after, message, ok := kmsgRecord("6,339,5140900,-;NET: Registered protocol family 10\n SUBSYSTEM=net\n"); !ok || after != 5140900*time.Microsecond || message != "NET: Registered protocol family 10" {
		t.Errorf("%v %q %v", after, message, ok)
	}
	for _, bad := range []string{"", ";", "6,1;x", "6,1,-5,-;x", "6,1,99999999999999999999,-;x"} {
		if _, _, ok := kmsgRecord(bad); ok {
			t.Errorf("%q is a record", bad)
		}
	}
}

// What the real kernel keeps, written there as root may.
func TestKernelLog(t *testing.T) {
	t.Parallel()
	s := site.Site{Owner: 33, Master: fpm.Master{Binary: "/usr/sbin/php-fpm8.2-wpmend-test"}}
	since := time.Now()
	kmsgWrite, err := os.OpenFile(kmsg, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer kmsgWrite.Close()
	first := 100_000 + int(since.UnixNano()%1_000_000_000) // other runs write there too
	for i, line := range []string{"php-fpm8.2-wpme[%d]: segfault at 0 ip 0 sp 0 error 4", "Out of memory: Killed process %d (php-fpm8.2-wpme) total-vm:1kB, UID:1234",
		"other[%d]: segfault at 0 ip 0 sp 0 error 4", "Out of memory: Killed process %d (php-fpm8.2-wpme) total-vm:1kB, UID:33"} {
		// One without its end is held back for what may be added.
		if _, err := fmt.Fprintf(kmsgWrite, line+"\n", first+i); err != nil {
			t.Fatal(err)
		}
	}
	var found []int
	for _, k := range kernel(s, since.Add(-kernelBefore)) {
		if n := k.PID - first; n >= 0 && n < 4 {
			found = append(found, n)
		}
		if k.Source != kmsg || k.Time.Before(since.Add(-kernelBefore)) || k.Time.After(time.Now().Add(kernelBefore)) {
			t.Errorf("%+v", k)
		}
	}
	if fmt.Sprint(found) != "[0 3]" {
		t.Errorf("%v", found)
	}
	// As it is read where our own unit may not.
	asked := 0
	kmsgRecords(askKmsg(), func(after time.Duration, message string) {
		if strings.HasPrefix(message, fmt.Sprintf("Out of memory: Killed process %d ", first+3)) && after > 0 {
			asked++
		}
	})
	if asked != 1 {
		t.Errorf("dd has read the record %d times", asked)
	}
	if later := kernel(s, time.Now().Add(kernelBefore)); len(later) != 0 {
		t.Errorf("%+v", later)
	}
}

func FuzzParseKernel(f *testing.F) {
	f.Add("Out of memory: Killed process 4321 (php-fpm8.2) total-vm:900000kB, UID:33")
	f.Add("traps: a b[78] general protection fault ip:55")
	f.Add(`type=AVC msg=audit(1.001:9): avc:  denied  { read } for  pid=7 comm=6E67 path="/x"`)
	f.Fuzz(func(t *testing.T, line string) {
		k, ok := ParseKernel(line)
		if !ok {
			return
		}
		if k.Kind == "" || k.PID < 0 || k.Kind != diagnose.KernelDenial && k.PID == 0 || k.UID < -1 || !utf8.ValidString(k.Text) || !utf8.ValidString(k.Comm) {
			t.Errorf("%q: %+v", line, k)
		}
		if again, ok := ParseKernel(k.Text); !ok || again != k {
			t.Errorf("%q: a second time %+v, %v", line, again, ok)
		}
	})
}
