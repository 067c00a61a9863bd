// Settings of the kernel that a kubelet changes, and how they were.

package realnode

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"

	"borealis.dev/e2e/cluster/internal/runfolder"
)

// tunables are the settings of the kernel that a kubelet changes for the whole
// machine when it starts.
var tunables = []string{
	"vm/overcommit_memory", "vm/panic_on_oom",
	"kernel/panic", "kernel/panic_on_oops", "kernel/keys/root_maxkeys", "kernel/keys/root_maxbytes",
}

func tunablesFile(folder runfolder.Folder) string { return folder.In("kernel-settings.json") }

// saveTunables notes how the settings were, for restoreTunables.
func saveTunables(folder runfolder.Folder) error {
	values := map[string]string{}
	for _, name := range tunables {
		if data, err := os.ReadFile(filepath.Join("/proc/sys", name)); err == nil {
			values[name] = strings.TrimSpace(string(data))
		}
	}
	data, err := json.Marshal(values)
	if err != nil {
		return err
	}
	return os.WriteFile(tunablesFile(folder), data, 0o600)
}

// restoreTunables sets them back. A kubelet that still runs, another cluster's or
// the system's, set them on purpose and has no need of them any more once it runs.
func restoreTunables(folder runfolder.Folder) {
	data, err := os.ReadFile(tunablesFile(folder))
	var values map[string]string
	if err != nil || json.Unmarshal(data, &values) != nil {
		return
	}
	for name, value := range values {
		path := filepath.Join("/proc/sys", name)
		if now, err := os.ReadFile(path); err == nil && strings.TrimSpace(string(now)) != value {
			_ = os.WriteFile(path, []byte(value), 0o644)
		}
	}
}
