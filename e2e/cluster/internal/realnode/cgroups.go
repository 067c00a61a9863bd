// The control groups of a cluster's containers.

package realnode

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// controllers are the mount points of the control groups: one for each
// controller in the first version, a single one in the second.
func controllers() []string {
	data, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil
	}
	return controllersIn(string(data))
}

func controllersIn(mountinfo string) []string {
	var found []string
	for line := range strings.SplitSeq(mountinfo, "\n") {
		before, after, ok := strings.Cut(line, " - ")
		fields, kind := strings.Fields(before), strings.Fields(after)
		if ok && len(fields) > 4 && len(kind) > 0 && strings.HasPrefix(kind[0], "cgroup") {
			found = append(found, fields[4])
		}
	}
	return found
}

// adoptCPUSets gives the cluster's group all processors and memory nodes: in the
// first version a new group has none, and no process can enter it.
func adoptCPUSets(tag string) error {
	for _, controller := range controllers() {
		for _, file := range []string{"cpuset.cpus", "cpuset.mems"} {
			path := filepath.Join(controller, tag, file)
			current, err := os.ReadFile(path)
			if errors.Is(err, os.ErrNotExist) || err == nil && len(bytes.TrimSpace(current)) > 0 {
				continue
			}
			all, err := os.ReadFile(filepath.Join(controller, file))
			if errors.Is(err, os.ErrNotExist) || err == nil && len(bytes.TrimSpace(all)) == 0 {
				continue // the second version: empty means inherited
			}
			if err == nil {
				err = os.WriteFile(path, all, 0o644)
			}
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// removeGroups removes the cluster's groups, the deepest first. A group can be
// removed a moment after its last process ended, so it is tried for a while.
func removeGroups(tag string) error {
	var last error
	for range 50 {
		last = nil
		for _, controller := range controllers() {
			last = errors.Join(last, removeGroup(filepath.Join(controller, tag)))
		}
		if last == nil {
			return nil
		}
		time.Sleep(100 * time.Millisecond)
	}
	return last
}

func removeGroup(path string) error {
	entries, err := os.ReadDir(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if entry.IsDir() {
			if err := removeGroup(filepath.Join(path, entry.Name())); err != nil {
				return err
			}
		}
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}
