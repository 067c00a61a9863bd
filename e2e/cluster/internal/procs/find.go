// Finding a cluster's processes without any record of them.

package procs

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Find returns every process of the cluster whose run folder is given: those
// that carry its marker, and those in a container whose root lies in the folder
// (a container has an environment of its own, so it carries no marker).
// The caller itself is left out.
func Find(runFolder string) []Identity {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil
	}
	var found []Identity
	for _, entry := range entries {
		pid, err := strconv.Atoi(entry.Name())
		if err != nil || pid == os.Getpid() {
			continue
		}
		if !carriesMarker(pid, runFolder) && !rootedIn(pid, runFolder) {
			continue
		}
		if id, err := Of(pid); err == nil {
			found = append(found, id)
		}
	}
	return found
}

func carriesMarker(pid int, runFolder string) bool {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
	if err != nil {
		return false
	}
	wanted := []byte(Marker + "=" + runFolder)
	for variable := range bytes.SplitSeq(data, []byte{0}) {
		if bytes.Equal(variable, wanted) {
			return true
		}
	}
	return false
}

// rootedIn says whether the root file system of a process is an overlay whose
// layers lie in the run folder, as containerd makes it.
func rootedIn(pid int, runFolder string) bool {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/mountinfo", pid))
	if err != nil {
		return false
	}
	prefix := filepath.Clean(runFolder) + "/"
	for line := range strings.SplitSeq(string(data), "\n") {
		fields := strings.Fields(line)
		if len(fields) > 6 && fields[4] == "/" && strings.Contains(fields[len(fields)-1], "upperdir="+prefix) {
			return true
		}
	}
	return false
}
