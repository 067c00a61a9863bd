// Removing a run folder, and what is mounted in it first.

package runfolder

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"syscall"
)

// Mounts returns the mount points below the folder, the deepest and latest first.
func (f Folder) Mounts() ([]string, error) {
	data, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil, err
	}
	return mountsBelow(string(data), f.Path), nil
}

func mountsBelow(mountinfo, folder string) []string {
	unescape := strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`)
	var found []string
	for line := range strings.SplitSeq(mountinfo, "\n") {
		fields := strings.Fields(line)
		if len(fields) < 5 {
			continue
		}
		if point := unescape.Replace(fields[4]); strings.HasPrefix(point, folder+"/") {
			found = append(found, point)
		}
	}
	slices.Reverse(found)
	return found
}

// Remove takes away what is mounted below the folder and then the folder. It
// deletes nothing while a mount is left: what lies behind it is not ours.
func (f Folder) Remove() error {
	for range 10 {
		points, err := f.Mounts()
		if err != nil {
			return err
		}
		if len(points) == 0 {
			break
		}
		for _, point := range points {
			_ = syscall.Unmount(point, syscall.MNT_DETACH)
		}
	}
	points, err := f.Mounts()
	if err != nil {
		return err
	}
	if len(points) > 0 {
		return fmt.Errorf("cannot unmount %s", strings.Join(points, ", "))
	}
	if err := os.RemoveAll(f.Path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}
