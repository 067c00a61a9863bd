// component: stops and starts parts of a running cluster.

package cli

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"borealis.dev/e2e/cluster/internal/controlplane"
	"borealis.dev/e2e/cluster/internal/realnode"
)

func component(ctx context.Context, args []string) error {
	o := newOptions("component")
	plain, err := o.parse(args, 3, 3)
	if err != nil {
		return err
	}
	verb, name := plain[1], plain[2]
	cluster, unlock, err := o.change(plain[0])
	if err != nil {
		return err
	}
	defer unlock()
	known := append(slices.Clone(controlplane.Order), realnode.Components...)
	if !slices.Contains(known, name) {
		return fmt.Errorf("there is no component %q: choose one of %s", name, strings.Join(known, ", "))
	}
	if _, started := cluster.State.Components[name]; !started {
		return fmt.Errorf("this cluster has no %s", name)
	}
	switch verb {
	case "stop":
		cluster.Stop(name)
	case "kill":
		cluster.Kill(name)
	case "start":
		return startAgain(ctx, cluster, name)
	case "restart":
		cluster.Stop(name)
		return startAgain(ctx, cluster, name)
	case "pause":
		return cluster.Pause(name)
	case "continue":
		return cluster.Continue(name)
	case "compact":
		if name != controlplane.Etcd {
			return fmt.Errorf("%s keeps no history: only etcd can be compacted", name)
		}
		return cluster.Compact(ctx)
	default:
		return errUsage
	}
	return nil
}

// startAgain starts a component with the same ports and files and waits until
// it serves.
func startAgain(ctx context.Context, cluster *controlplane.Cluster, name string) error {
	if slices.Contains(realnode.Components, name) {
		return realnode.StartComponent(ctx, cluster, name)
	}
	if err := cluster.Start(name); err != nil {
		return err
	}
	return cluster.WaitHealthy(ctx, name, 60*time.Second)
}
