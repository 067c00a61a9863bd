// Ending processes, politely and otherwise.

package procs

import (
	"syscall"
	"time"
)

// Stop asks a process to end and kills it when it has not done so in time.
// A paused process is woken first, or it could not hear the request.
func Stop(id Identity, patience time.Duration) {
	if id.Signal(syscall.SIGTERM) != nil {
		return
	}
	_ = id.Signal(syscall.SIGCONT)
	if WaitEnd(id, patience) {
		return
	}
	Kill(id)
}

// Kill ends a process at once and waits until it is gone.
func Kill(id Identity) {
	if id.Signal(syscall.SIGKILL) == nil {
		WaitEnd(id, 10*time.Second)
	}
}

// WaitEnd waits until the process has ended; false if it still runs after limit.
func WaitEnd(id Identity, limit time.Duration) bool {
	for deadline := time.Now().Add(limit); id.Alive(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			return false
		}
	}
	return true
}

// KillAll ends all that Find finds, again and again until nothing is found: a
// process may start another one between the look and the kill.
// It returns what could not be ended.
func KillAll(runFolder string) []Identity {
	var found []Identity
	for range 20 {
		if found = Find(runFolder); len(found) == 0 {
			return nil
		}
		for _, id := range found {
			_ = id.Signal(syscall.SIGKILL)
		}
		time.Sleep(100 * time.Millisecond)
	}
	return found
}
