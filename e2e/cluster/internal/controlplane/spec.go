// Package controlplane starts, stops and watches the components of a cluster:
// etcd, the API server, the controller manager, the scheduler and the simulator.
package controlplane

import (
	"borealis.dev/e2e/cluster/internal/procs"
	"borealis.dev/e2e/cluster/internal/runfolder"
)

// The components in the order in which they start. They stop in the reverse
// order: an API server that has lost etcd hangs in its own shutdown.
const (
	Etcd              = "etcd"
	APIServer         = "kube-apiserver"
	ControllerManager = "kube-controller-manager"
	Scheduler         = "kube-scheduler"
	Simulator         = "kwok"
)

// Order is the start order.
var Order = []string{Etcd, APIServer, ControllerManager, Scheduler, Simulator}

// ServiceRange is where cluster addresses of Services come from, and its first
// address is that of the API server itself.
const (
	ServiceRange       = "10.96.0.0/16"
	APIServerClusterIP = "10.96.0.1"
)

// Cluster is one cluster: its folder and its record.
type Cluster struct {
	Folder runfolder.Folder
	State  runfolder.State
	Binary string // this very program, which is every component, too
}

// Save writes the record.
func (c *Cluster) Save() error { return c.Folder.Save(c.State) }

// command is how a component is started. It is made anew each time, so that a
// component that is stopped and started again gets the same ports and files.
func (c *Cluster) command(component string) procs.Command {
	args := map[string]func() []string{
		Etcd:              c.etcdArgs,
		APIServer:         c.apiServerArgs,
		ControllerManager: c.controllerManagerArgs,
		Scheduler:         c.schedulerArgs,
		Simulator:         c.simulatorArgs,
	}[component]()
	return procs.Command{
		Path:      c.Binary,
		Args:      append([]string{component}, args...),
		Dir:       c.Folder.Path,
		Log:       c.Folder.Log(component),
		RunFolder: c.Folder.Path,
		Netns:     c.State.RealNode.Netns,
	}
}
