// Addresses, control groups and paths of a real node.

package realnode

import (
	"net"
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
