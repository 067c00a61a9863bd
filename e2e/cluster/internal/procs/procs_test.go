// Real processes, started, found, paused and ended.

package procs

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// start runs a shell line as a process of the cluster in folder.
func start(t *testing.T, folder, line string) Identity {
	t.Helper()
	id, err := Start(Command{Path: "/bin/sh", Args: []string{"-c", line},
		Log: filepath.Join(folder, "log"), RunFolder: folder})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = id.Signal(syscall.SIGKILL) })
	return id
}

// waitFor waits for a file that a shell line makes when it has got so far.
func waitFor(t *testing.T, path string) {
	t.Helper()
	for range 250 {
		if _, err := os.Stat(path); err == nil {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Fatalf("%s never came", path)
}

func TestStopKillsTheOneThatIgnoresTheRequest(t *testing.T) {
	folder := t.TempDir()
	id := start(t, folder, "trap '' TERM; touch "+folder+"/ready; while :; do sleep 0.1; done")
	waitFor(t, folder+"/ready")
	if !id.Alive() {
		t.Fatal("it does not run")
	}
	Stop(id, 100*time.Millisecond)
	if id.Alive() {
		t.Error("it still runs")
	}
}

func TestStopWakesAPausedProcess(t *testing.T) {
	folder := t.TempDir()
	id := start(t, folder, "trap 'touch "+folder+"/ended; exit 0' TERM; touch "+folder+"/ready; while :; do sleep 0.05; done")
	waitFor(t, folder+"/ready")
	if err := id.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	for range 100 {
		if id.Paused() {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	if !id.Paused() {
		t.Fatal("it is not paused")
	}
	Stop(id, 5*time.Second)
	if _, err := os.Stat(folder + "/ended"); err != nil {
		t.Error("it was killed and could not end by itself")
	}
}

func TestFindSeesChildrenAndOnlyThisFolder(t *testing.T) {
	mine, other := t.TempDir(), t.TempDir()
	start(t, mine, "sleep 60 & sleep 60 & touch "+mine+"/ready; wait")
	foreign := start(t, other, "touch "+other+"/ready; sleep 60; true")
	// The name of one folder is the start of another's name.
	if err := os.Mkdir(mine+"0", 0o700); err != nil {
		t.Fatal(err)
	}
	longer := start(t, mine+"0", "sleep 60; true")
	defer func() {
		if !longer.Alive() {
			t.Error("a process of a folder with a longer name was ended")
		}
		KillAll(mine + "0")
		os.RemoveAll(mine + "0")
	}()
	waitFor(t, mine+"/ready")
	waitFor(t, other+"/ready")
	if n := len(Find(mine)); n != 3 {
		t.Errorf("found %d processes, want the shell and its two children", n)
	}
	if left := KillAll(mine); len(left) != 0 {
		t.Errorf("left: %v", left)
	}
	if n := len(Find(mine)); n != 0 {
		t.Errorf("%d processes are left", n)
	}
	if !foreign.Alive() {
		t.Error("a process of another cluster was ended")
	}
	KillAll(other)
}

func TestAnIdThatWasUsedAgainIsAnotherProcess(t *testing.T) {
	id := Self()
	if !id.Alive() {
		t.Fatal("this test does not run?")
	}
	id.Start--
	if id.Alive() {
		t.Error("another start time was taken for the same process")
	}
	if id.Signal(syscall.Signal(0)) == nil {
		t.Error("a signal went to a process that is not the one meant")
	}
}
