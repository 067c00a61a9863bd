// status: what runs and what does not.

package cli

import (
	"context"
	"fmt"
	"time"

	"borealis.dev/e2e/cluster/internal/controlplane"
	"borealis.dev/e2e/cluster/internal/realnode"
	"borealis.dev/e2e/cluster/internal/runfolder"
	"borealis.dev/e2e/cluster/internal/simulation"
)

func status(ctx context.Context, args []string) error {
	o := newOptions("status")
	plain, err := o.parse(args, 0, 1)
	if err != nil {
		return err
	}
	if len(plain) == 1 {
		cluster, err := o.open(plain[0])
		if err != nil {
			return err
		}
		return describe(ctx, cluster)
	}
	folders := runfolder.List(*o.base)
	if len(folders) == 0 {
		fmt.Println("no clusters in", runfolder.Base(*o.base))
	}
	for _, folder := range folders {
		cluster, err := o.open(folder.Name)
		if err != nil {
			fmt.Printf("%s: never came up; clean up with: localcluster down %s\n", folder.Name, folder.Name)
			continue
		}
		if err := describe(ctx, cluster); err != nil {
			return err
		}
	}
	return nil
}

func describe(ctx context.Context, cluster *controlplane.Cluster) error {
	state := cluster.State
	fmt.Printf("cluster     %s\nrun folder  %s\nserver      %s\nkubeconfig  %s\n",
		state.Name, cluster.Folder.Path, state.Server(), cluster.Folder.Kubeconfig("admin"))
	if !state.Ready {
		fmt.Println("            up did not finish, or has not yet")
	}
	for _, component := range append(append([]string{}, controlplane.Order...), realnode.Components...) {
		id, known := state.Components[component]
		word := "stopped"
		switch {
		case !known:
			continue
		case id.Paused():
			word = "paused"
		case id.Alive():
			word = fmt.Sprintf("runs, process %d", id.PID)
		}
		fmt.Printf("  %-24s %s\n", component, word)
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	if ready, all, err := cluster.ReadyNodes(ctx, simulation.SimulatedLabel+"=true"); err != nil {
		fmt.Println("simulated nodes: the API server does not answer:", err)
	} else {
		fmt.Printf("simulated nodes: %d of %d ready\n", ready, all)
	}
	switch {
	case !state.RealNode.Wanted:
		fmt.Println("real node: not asked for")
	case state.RealNode.Missing != "":
		fmt.Println("real node: MISSING:", state.RealNode.Missing)
	default:
		ready, _, err := cluster.ReadyNodes(ctx, realnode.Label+"=true")
		fmt.Printf("real node: %s, ready: %v\n", realnode.Name, err == nil && ready == 1)
	}
	return nil
}
