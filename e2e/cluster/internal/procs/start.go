// Starting a process that outlives the command that starts it.

package procs

import (
	"os"
	"os/exec"
	"syscall"
)

// Marker is the environment variable that ties a process to its cluster. It is
// inherited, so a process is found again even when its id was never recorded.
const Marker = "BOREALIS_CLUSTER_RUN"

// Command says how to start a process.
type Command struct {
	Path      string
	Args      []string
	Env       []string // beyond the caller's own
	Dir       string
	Log       string
	RunFolder string
	Netns     string // path of a network namespace to start in, or empty
}

// Start starts a process in a session of its own, so that it outlives the
// terminal and never gets the terminal's signals. Its output goes to the log.
func Start(command Command) (Identity, error) {
	log, err := os.OpenFile(command.Log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return Identity{}, err
	}
	defer log.Close()
	path, args := command.Path, command.Args
	if command.Netns != "" {
		// nsenter replaces itself by the program: the id stays the same.
		args = append([]string{"--net=" + command.Netns, "--", path}, args...)
		if path, err = exec.LookPath("nsenter"); err != nil {
			return Identity{}, err
		}
	}
	process := exec.Command(path, args...)
	process.Dir = command.Dir
	process.Env = append(append(os.Environ(), command.Env...), Marker+"="+command.RunFolder)
	process.Stdout, process.Stderr = log, log
	process.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := process.Start(); err != nil {
		return Identity{}, err
	}
	id, err := Of(process.Process.Pid)
	// Reap it if it ends while this program is still here.
	go func() { _ = process.Wait() }()
	return id, err
}
