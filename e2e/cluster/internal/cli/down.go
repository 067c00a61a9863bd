// down: ends clusters and leaves nothing behind.

package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"syscall"
	"time"

	"borealis.dev/e2e/cluster/internal/controlplane"
	"borealis.dev/e2e/cluster/internal/procs"
	"borealis.dev/e2e/cluster/internal/realnode"
	"borealis.dev/e2e/cluster/internal/runfolder"
)

func down(ctx context.Context, args []string) error {
	o := newOptions("down")
	all := o.Bool("all", false, "")
	plain, err := o.parse(args, 0, 1)
	if err != nil {
		return err
	}
	if (len(plain) == 1) == *all {
		return errUsage
	}
	folders := runfolder.List(*o.base)
	if !*all {
		folder, err := runfolder.Open(*o.base, plain[0])
		if err != nil {
			return err
		}
		folders = []runfolder.Folder{folder}
	}
	var problems []error
	for _, folder := range folders {
		if !folder.Exists() {
			say("There is no cluster %q; looking for anything left of it all the same.", folder.Name)
		}
		problems = append(problems, takeDown(folder))
	}
	return errors.Join(problems...)
}

// takeDown ends a cluster and removes every trace of it. It needs no record:
// what was not recorded, because up was killed half way, is found by the marks
// that processes, mounts, interfaces and control groups carry.
func takeDown(folder runfolder.Folder) error {
	state, err := folder.Load()
	recorded := err == nil
	if recorded && state.StartedBy != procs.Self() && !state.Ready && state.StartedBy.Alive() {
		// up is still at it: it cleans up after itself when asked to end.
		_ = state.StartedBy.Signal(syscall.SIGINT)
		if !procs.WaitEnd(state.StartedBy, 30*time.Second) {
			procs.Kill(state.StartedBy)
		}
		if state, err = folder.Load(); err != nil {
			state = runfolder.State{}
		}
	}
	cluster := &controlplane.Cluster{Folder: folder, State: state}
	// Those first that watch others and would act on their end; the kubelet and
	// containerd are none of these and end before the API server does.
	order := append(slices.Clone(controlplane.Order), realnode.Components...)
	slices.Reverse(order)
	for _, component := range order {
		// Nothing that the simulator or the schedulers would still write is worth waiting for.
		if component == controlplane.Etcd || component == controlplane.APIServer {
			cluster.Stop(component)
		} else {
			cluster.Kill(component)
		}
	}
	if left := procs.KillAll(folder.Path); len(left) > 0 {
		return fmt.Errorf("cluster %q: these processes cannot be ended: %v", folder.Name, left)
	}
	return errors.Join(realnode.Clean(folder), folder.Remove())
}
