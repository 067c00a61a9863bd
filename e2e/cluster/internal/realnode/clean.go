// Removing what a real node leaves outside the run folder.

package realnode

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"borealis.dev/e2e/cluster/internal/runfolder"
)

// Clean removes what a real node leaves outside the run folder. Its processes
// must have ended. It needs no record and may be called twice.
func Clean(folder runfolder.Folder) error {
	if os.Getuid() != 0 {
		return nil // without root nothing of it can have been made
	}
	removeSockets(folder)
	removeLogLinks(folder)
	removeNotes(folder)
	if hadNode(folder) {
		removeDeviceSocket()
	}
	restoreTunables(folder)
	return errors.Join(removeNetwork(folder.Tag()), removeGroups(folder.Tag()))
}

// hadNode says whether this cluster had a real node, by its record or by the
// control group of its kubelet: what has a fixed path may be another's.
func hadNode(folder runfolder.Folder) bool {
	if state, err := folder.Load(); err == nil && state.RealNode.Netns != "" {
		return true
	}
	return slices.ContainsFunc(controllers(), func(controller string) bool {
		return exists(filepath.Join(controller, folder.Tag()))
	})
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

// removeSockets removes the sockets of the containers' shims, which lie in a
// folder that all containerds share. Each container notes its own.
func removeSockets(folder runfolder.Folder) {
	notes, _ := filepath.Glob(folder.In("containerd", "state", "io.containerd.runtime.v2.task", "*", "*", "address"))
	for _, note := range notes {
		data, err := os.ReadFile(note)
		path, ok := strings.CutPrefix(strings.TrimSpace(string(data)), "unix://")
		if err == nil && ok && filepath.Dir(path) == "/run/containerd/s" {
			_ = os.Remove(path)
		}
	}
	// Only if nothing else is in there.
	_ = os.Remove("/run/containerd/s")
	_ = os.Remove("/run/containerd")
}

// removeLogLinks removes the links to containers' logs that the kubelet makes for
// log collectors. They are ours if they point into the run folder.
func removeLogLinks(folder runfolder.Folder) {
	const links = "/var/log/containers"
	entries, err := os.ReadDir(links)
	if err != nil {
		return
	}
	for _, entry := range entries {
		path := filepath.Join(links, entry.Name())
		if target, err := os.Readlink(path); err == nil && strings.HasPrefix(target, folder.Path+"/") {
			_ = os.Remove(path)
		}
	}
	_ = os.Remove(links)
}

// removeNotes removes what the network plugins remember of pods that were
// killed, in a folder that all containerds share. The names hold the container's
// id, and for its real network the network's name.
func removeNotes(folder runfolder.Folder) {
	const results = "/var/lib/cni/results"
	patterns := []string{folder.Tag() + "-*"}
	containers, _ := filepath.Glob(folder.In("containerd", "state", "io.containerd.runtime.v2.task", "*", "*"))
	for _, container := range containers {
		patterns = append(patterns, "*-"+filepath.Base(container)+"-*")
	}
	for _, pattern := range patterns {
		notes, _ := filepath.Glob(filepath.Join(results, pattern))
		for _, note := range notes {
			_ = os.Remove(note)
		}
	}
	_ = os.Remove(results)
	_ = os.Remove(filepath.Dir(results))
}

// removeDeviceSocket removes the socket for device plugins that the cluster's
// kubelet left, whose path is fixed, unless another kubelet answers on it.
func removeDeviceSocket() {
	const folder = "/var/lib/kubelet/device-plugins"
	path := filepath.Join(folder, "kubelet.sock")
	if connection, err := net.DialTimeout("unix", path, time.Second); err == nil {
		connection.Close()
		return
	}
	for _, file := range []string{path, filepath.Join(folder, "kubelet_internal_checkpoint"), folder,
		"/var/lib/kubelet"} {
		_ = os.Remove(file)
	}
}
