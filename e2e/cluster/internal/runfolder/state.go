// What a cluster records about itself, and the lock on it.

package runfolder

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"syscall"

	"borealis.dev/e2e/cluster/internal/procs"
)

// State is what a cluster records about itself, in state.json.
type State struct {
	Name      string         `json:"name"`
	Ready     bool           `json:"ready"`
	StartedBy procs.Identity `json:"startedBy"` // the up that made it

	Address   string         `json:"address"` // where the control plane listens
	Ports     map[string]int `json:"ports"`
	Nodes     int            `json:"nodes"` // simulated
	NodePods  int            `json:"nodePods"`
	NodeGrace int            `json:"nodeGraceSeconds"`
	Audited   string         `json:"audited,omitempty"` // the user whose calls are recorded, in audit.jsonl

	RealNode RealNode `json:"realNode"`

	Components map[string]procs.Identity `json:"components"`
}

// RealNode says whether a real node was asked for and what became of it.
type RealNode struct {
	Wanted  bool   `json:"wanted"`
	Netns   string `json:"netns,omitempty"`   // path of its network namespace
	Missing string `json:"missing,omitempty"` // why there is none
}

// Server is the address of the API server.
func (s State) Server() string {
	return fmt.Sprintf("https://%s:%d", s.Address, s.Ports["kube-apiserver"])
}

// Load reads the record. A folder without one gives an error that says so.
func (f Folder) Load() (State, error) {
	var state State
	data, err := os.ReadFile(f.In("state.json"))
	if errors.Is(err, os.ErrNotExist) {
		return state, fmt.Errorf("there is no cluster %q (looked in %s)", f.Name, f.Path)
	}
	if err != nil {
		return state, err
	}
	return state, json.Unmarshal(data, &state)
}

// Save writes the record, whole or not at all.
func (f Folder) Save(state State) error {
	data, err := json.MarshalIndent(state, "", "  ")
	if err != nil {
		return err
	}
	temporary := f.In("state.json.new")
	if err := os.WriteFile(temporary, append(data, '\n'), 0o600); err != nil {
		return err
	}
	return os.Rename(temporary, f.In("state.json"))
}

// Lock keeps other commands from changing the cluster until the returned
// function is called or the program ends. It does not wait: ok is false when
// another command holds it.
func (f Folder) Lock() (unlock func(), ok bool, err error) {
	file, err := os.OpenFile(f.In("lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, false, err
	}
	err = syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		file.Close()
		return nil, false, nil
	}
	if err != nil {
		file.Close()
		return nil, false, err
	}
	return func() { file.Close() }, true, nil
}
