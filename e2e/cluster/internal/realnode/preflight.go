// What a real node needs of the machine, checked and installed.

package realnode

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
)

// pluginFolder is where Debian puts the network plugins.
const pluginFolder = "/usr/lib/cni"

// needed maps what must be there to the package that brings it.
var needed = []struct{ program, packageName string }{
	{"ip", "iproute2"},
	{"nsenter", "util-linux"},
	{"containerd", "containerd"},
	{"ctr", "containerd"},
	{"runc", "runc"},
	{filepath.Join(pluginFolder, "bridge"), "containernetworking-plugins"},
	{filepath.Join(pluginFolder, "host-local"), "containernetworking-plugins"},
	{filepath.Join(pluginFolder, "loopback"), "containernetworking-plugins"},
}

// preflight says exactly which part is missing, after trying to install it.
func preflight(ctx context.Context, step Step) error {
	if os.Getuid() != 0 {
		return errors.New("not root: a kubelet needs it to make containers")
	}
	if err := kernel(); err != nil {
		return err
	}
	packages, _ := missing()
	if len(packages) == 0 {
		return nil
	}
	step("installing %s for the real node", strings.Join(packages, ", "))
	if err := install(ctx, packages); err != nil {
		return fmt.Errorf("packages %s: %w", strings.Join(packages, ", "), err)
	}
	if _, programs := missing(); len(programs) > 0 {
		return fmt.Errorf("the packages are installed, but there is no %s", strings.Join(programs, ", "))
	}
	return nil
}

func missing() (packages, programs []string) {
	seen := map[string]bool{}
	for _, need := range needed {
		if _, err := exec.LookPath(need.program); err == nil {
			continue
		}
		programs = append(programs, need.program)
		if !seen[need.packageName] {
			packages = append(packages, need.packageName)
			seen[need.packageName] = true
		}
	}
	return packages, programs
}

func install(ctx context.Context, packages []string) error {
	if _, err := exec.LookPath("apt-get"); err != nil {
		return errors.New("missing, and there is no apt-get to install them")
	}
	// Lists that cannot be renewed may still do.
	updated := aptGet(ctx, "update")
	if err := aptGet(ctx, append([]string{"install", "-y", "--no-install-recommends"}, packages...)...); err != nil {
		return errors.Join(err, updated)
	}
	return nil
}

func aptGet(ctx context.Context, args ...string) error {
	command := exec.CommandContext(ctx, "apt-get", args...)
	command.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
	if output, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("apt-get %s: %w: %s", args[0], err, lastLine(output))
	}
	return nil
}

// kernel checks what cannot be installed.
func kernel() error {
	filesystems, err := os.ReadFile("/proc/filesystems")
	if err != nil {
		return err
	}
	if !strings.Contains(string(filesystems), "overlay") {
		return errors.New("the kernel has no overlay file system")
	}
	if len(controllers()) == 0 {
		return errors.New("no control groups are mounted under /sys/fs/cgroup")
	}
	if err := syscall.Access("/sys/fs/cgroup", 2); err != nil {
		return fmt.Errorf("/sys/fs/cgroup cannot be written: %w", err)
	}
	return nil
}

func lastLine(output []byte) string {
	lines := strings.Split(strings.TrimSpace(string(output)), "\n")
	return lines[len(lines)-1]
}

// run runs a program and returns what it said when it failed.
func run(ctx context.Context, program string, args ...string) error {
	output, err := exec.CommandContext(ctx, program, args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s %s: %w: %s", program, strings.Join(args, " "), err, lastLine(output))
	}
	return nil
}
