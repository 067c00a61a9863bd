// Settings of the kernel that a kubelet changes, and how they were.

package realnode

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"

	"borealis.dev/e2e/cluster/internal/runfolder"
)

// tunables are the settings that a kubelet changes for the whole machine when it
// starts.
var tunables = []string{
	"vm/overcommit_memory", "vm/panic_on_oom",
	"kernel/panic", "kernel/panic_on_oops", "kernel/keys/root_maxkeys", "kernel/keys/root_maxbytes",
}

// tunableNotes is where each cluster with a real node notes how the settings
// were. It is one folder for the machine, as the settings are: the last cluster
// to end sets them back, to what the first one found. A restart empties it.
var tunableNotes = "/run/borealis-kernel-settings"

// tunableNote is one cluster's note.
type tunableNote struct {
	RunFolder string            `json:"runFolder"`
	Values    map[string]string `json:"values"`
}

// saveTunables notes how the settings were before any of our kubelets started.
func saveTunables(folder runfolder.Folder) error {
	note := tunableNote{RunFolder: folder.Path}
	if others := otherNotes(folder); len(others) > 0 {
		note.Values = others[0].Values
	} else {
		note.Values = readTunables()
	}
	data, err := json.Marshal(note)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(tunableNotes, 0o700); err != nil {
		return err
	}
	return os.WriteFile(tunableNotePath(folder), data, 0o600)
}

// restoreTunables sets them back, unless another cluster has a kubelet.
func restoreTunables(folder runfolder.Folder) {
	note, err := readNote(tunableNotePath(folder))
	if err != nil {
		return
	}
	if len(otherNotes(folder)) == 0 {
		current := readTunables()
		for name, value := range note.Values {
			if current[name] != value {
				_ = os.WriteFile(filepath.Join("/proc/sys", name), []byte(value), 0o644)
			}
		}
	}
	_ = os.Remove(tunableNotePath(folder))
	_ = os.Remove(tunableNotes) // if it is empty now
}

func readTunables() map[string]string {
	values := map[string]string{}
	for _, name := range tunables {
		if data, err := os.ReadFile(filepath.Join("/proc/sys", name)); err == nil {
			values[name] = strings.TrimSpace(string(data))
		}
	}
	return values
}

func tunableNotePath(folder runfolder.Folder) string {
	return filepath.Join(tunableNotes, folder.Tag()+".json")
}

// otherNotes are those of other clusters that still have their run folder.
func otherNotes(folder runfolder.Folder) []tunableNote {
	paths, _ := filepath.Glob(filepath.Join(tunableNotes, "*.json"))
	var notes []tunableNote
	for _, path := range paths {
		note, err := readNote(path)
		if err == nil && note.RunFolder != folder.Path && exists(note.RunFolder) {
			notes = append(notes, note)
		}
	}
	return notes
}

func readNote(path string) (note tunableNote, err error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return note, err
	}
	return note, json.Unmarshal(data, &note)
}
