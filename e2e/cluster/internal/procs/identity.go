// Package procs starts, finds and ends the processes of a cluster. A process is
// named by its id and its start time together, since the kernel uses ids again.
package procs

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
)

// Identity names one process for as long as the machine is up.
type Identity struct {
	PID   int    `json:"pid"`
	Start uint64 `json:"start"` // clock ticks since boot
}

// Self is the identity of the running program.
func Self() Identity {
	id, _ := Of(os.Getpid())
	return id
}

// Of reads the identity of a process that exists now.
func Of(pid int) (Identity, error) {
	start, state, err := stat(pid)
	if err != nil {
		return Identity{}, err
	}
	if state == "Z" {
		return Identity{}, errors.New("it has ended")
	}
	return Identity{PID: pid, Start: start}, nil
}

// Alive says whether this very process still runs. One that has ended but was
// not yet reaped by its parent does not.
func (id Identity) Alive() bool {
	if id.PID <= 0 {
		return false
	}
	start, state, err := stat(id.PID)
	return err == nil && start == id.Start && state != "Z" && state != "X"
}

// Paused says whether the process is stopped by SIGSTOP.
func (id Identity) Paused() bool {
	start, state, err := stat(id.PID)
	return err == nil && start == id.Start && state == "T"
}

// Signal sends a signal, unless the process has ended.
func (id Identity) Signal(signal syscall.Signal) error {
	if !id.Alive() {
		return os.ErrProcessDone
	}
	return syscall.Kill(id.PID, signal)
}

// stat reads start time and state. The command name stands in parentheses and
// may itself hold spaces and parentheses, so the fields are counted from the last one.
func stat(pid int) (start uint64, state string, err error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, "", err
	}
	end := bytes.LastIndexByte(data, ')')
	if end < 0 {
		return 0, "", errors.New("cannot read /proc/PID/stat")
	}
	fields := strings.Fields(string(data[end+1:]))
	if len(fields) < 20 {
		return 0, "", errors.New("cannot read /proc/PID/stat")
	}
	start, err = strconv.ParseUint(fields[19], 10, 64)
	return start, fields[0], err
}
