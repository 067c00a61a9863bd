// Names, records, locks and the removal of run folders.

package runfolder

import (
	"os"
	"reflect"
	"testing"

	"borealis.dev/e2e/cluster/internal/procs"
)

func open(t *testing.T, name string) Folder {
	t.Helper()
	folder, err := Open(t.TempDir(), name)
	if err != nil {
		t.Fatal(err)
	}
	if err := folder.Create(); err != nil {
		t.Fatal(err)
	}
	return folder
}

func TestNamesThatCouldLeaveTheBaseAreRefused(t *testing.T) {
	for _, name := range []string{"", "..", "a/b", "../x", "A", "-a", "a-", "a.b", ".hidden"} {
		if folder, err := Open("/base", name); err == nil {
			t.Errorf("%q was taken: %s", name, folder.Path)
		}
	}
	if _, err := Open("/base", "e2e-1"); err != nil {
		t.Error(err)
	}
}

func TestUserNamesBecomeDifferentSafeFiles(t *testing.T) {
	seen := map[string]string{}
	for _, user := range []string{"a:b", "a-b", "a/b", "../../x", "..", "system:serviceaccount:a:b"} {
		name := FileName(user)
		for _, letter := range name {
			if letter == '/' {
				t.Errorf("%q gives the path %q", user, name)
			}
		}
		if name[0] == '.' {
			t.Errorf("%q gives %q", user, name)
		}
		if other, ok := seen[name]; ok {
			t.Errorf("%q and %q share %q", user, other, name)
		}
		seen[name] = user
	}
}

func TestStateIsReadBackAsSaved(t *testing.T) {
	folder := open(t, "a")
	if _, err := folder.Load(); err == nil {
		t.Error("a cluster that never was has a state")
	}
	saved := State{Name: "a", Ports: map[string]int{"etcd": 1}, Nodes: 5, Components: map[string]procs.Identity{"etcd": {PID: 3, Start: 4}}}
	if err := folder.Save(saved); err != nil {
		t.Fatal(err)
	}
	read, err := folder.Load()
	if err != nil || !reflect.DeepEqual(read, saved) {
		t.Errorf("got %+v, %v", read, err)
	}
}

func TestOnlyOneHoldsTheLock(t *testing.T) {
	folder := open(t, "a")
	unlock, ok, err := folder.Lock()
	if err != nil || !ok {
		t.Fatal(ok, err)
	}
	if _, ok, _ := folder.Lock(); ok {
		t.Error("two hold the lock")
	}
	unlock()
	again, ok, err := folder.Lock()
	if err != nil || !ok {
		t.Fatal("the lock was not given back")
	}
	again()
}

func TestMountsBelowAreFoundDeepestFirst(t *testing.T) {
	info := `22 1 0:20 / /proc rw - proc proc rw
30 1 0:30 / /run/x/a/root rw - overlay overlay rw
31 1 0:31 / /run/x/a/root/with\040space rw - tmpfs tmpfs rw
32 1 0:32 / /run/x/ab rw - tmpfs tmpfs rw
33 1 0:33 / /run/x/a rw - tmpfs tmpfs rw
`
	want := []string{"/run/x/a/root/with space", "/run/x/a/root"}
	if got := mountsBelow(info, "/run/x/a"); !reflect.DeepEqual(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestRemoveTwice(t *testing.T) {
	folder := open(t, "a")
	for range 2 {
		if err := folder.Remove(); err != nil {
			t.Error(err)
		}
	}
	if _, err := os.Stat(folder.Path); err == nil {
		t.Error("it is still there")
	}
}
