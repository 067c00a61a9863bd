// Addresses, control groups and paths of a real node.

package realnode

import (
	"encoding/json"
	"net"
	"os"
	"reflect"
	"strings"
	"testing"

	"borealis.dev/e2e/cluster/internal/runfolder"
)

func TestControllersOfBothVersionsAreFound(t *testing.T) {
	info := `30 1 0:20 / /sys/fs/cgroup rw - tmpfs tmpfs rw
31 30 0:21 / /sys/fs/cgroup/cpu rw shared:3 - cgroup cgroup rw,cpu
32 30 0:22 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw
33 1 0:23 / /data rw - ext4 /dev/cgroup rw
`
	want := []string{"/sys/fs/cgroup/cpu", "/sys/fs/cgroup/unified"}
	if got := controllersIn(info); !reflect.DeepEqual(got, want) {
		t.Errorf("got %q", got)
	}
}

func TestLinksOfClustersDifferAndFitTheirNames(t *testing.T) {
	seen := map[string]bool{}
	for _, name := range []string{"a", "b", "c", "d"} {
		folder, err := runfolder.Open("/base", name)
		if err != nil {
			t.Fatal(err)
		}
		host, inner, err := freeLink(folder.Tag())
		if err != nil {
			t.Fatal(err)
		}
		if seen[host] || seen[inner] || host == inner {
			t.Errorf("%s: %s and %s are taken", name, host, inner)
		}
		seen[host], seen[inner] = true, true
		if len(hostEnd(folder.Tag())) > 15 {
			t.Errorf("%q is too long for an interface", hostEnd(folder.Tag()))
		}
	}
}

func TestAnAddressInUseIsAvoided(t *testing.T) {
	_, link, _ := net.ParseCIDR("10.201.0.4/30")
	for address, want := range map[string]bool{
		"10.201.0.5/30": true, "10.201.0.9/30": false, "10.0.0.1/8": true, "192.0.2.1/24": false,
	} {
		ip, network, _ := net.ParseCIDR(address)
		used := []net.Addr{&net.IPNet{IP: ip, Mask: network.Mask}}
		if got := overlaps(*link, used); got != want {
			t.Errorf("%s: got %v", address, got)
		}
	}
}

func TestEverythingStaysBelowTheRunFolder(t *testing.T) {
	folder, err := runfolder.Open("/base", "a")
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range strings.Split(containerdConfig(folder), "\n") {
		key, value, ok := strings.Cut(line, " = ")
		switch strings.TrimSpace(key) {
		case "root", "Root", "state", "address", "conf_dir":
			if !ok || !strings.HasPrefix(value, `"/base/a/`) {
				t.Errorf("%s", line)
			}
		}
	}
}

func TestTheFirstClustersKernelSettingsAreKeptForTheLast(t *testing.T) {
	saved := tunableNotes
	tunableNotes = t.TempDir()
	t.Cleanup(func() { tunableNotes = saved })
	base := t.TempDir()
	var folders []runfolder.Folder
	for _, name := range []string{"first", "second"} {
		folder, err := runfolder.Open(base, name)
		if err != nil {
			t.Fatal(err)
		}
		if err := folder.Create(); err != nil {
			t.Fatal(err)
		}
		folders = append(folders, folder)
	}
	first, second := folders[0], folders[1]
	if err := saveTunables(first); err != nil {
		t.Fatal(err)
	}
	// As if the first one's kubelet had changed them before the second one came.
	original := tunableNote{RunFolder: first.Path, Values: map[string]string{"kernel/panic": "original"}}
	data, _ := json.Marshal(original)
	if err := os.WriteFile(tunableNotePath(first), data, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := saveTunables(second); err != nil {
		t.Fatal(err)
	}
	if note, err := readNote(tunableNotePath(second)); err != nil || note.Values["kernel/panic"] != "original" {
		t.Errorf("the second noted %v, %v", note, err)
	}
	if n := len(otherNotes(first)); n != 1 {
		t.Errorf("the first sees %d others", n)
	}
	// One whose run folder is gone has ended without cleaning up and counts no more.
	if err := os.RemoveAll(second.Path); err != nil {
		t.Fatal(err)
	}
	if n := len(otherNotes(first)); n != 0 {
		t.Errorf("the first sees %d others that are gone", n)
	}
}

func TestWhatIsAnothersIsOnlyTouchedByAClusterThatHadANode(t *testing.T) {
	folder, err := runfolder.Open(t.TempDir(), "plain")
	if err != nil {
		t.Fatal(err)
	}
	if err := folder.Create(); err != nil {
		t.Fatal(err)
	}
	if hadNode(folder) {
		t.Error("a cluster that is not recorded had a node")
	}
	for netns, want := range map[string]bool{"": false, "/run/netns/x": true} {
		state := runfolder.State{RealNode: runfolder.RealNode{Wanted: true, Netns: netns}}
		if err := folder.Save(state); err != nil {
			t.Fatal(err)
		}
		if hadNode(folder) != want {
			t.Errorf("with the namespace %q: not %v", netns, want)
		}
	}
}
