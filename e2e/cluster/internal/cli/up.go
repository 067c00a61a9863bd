// up: makes a cluster and waits until it can be used.

package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"borealis.dev/e2e/cluster/internal/controlplane"
	"borealis.dev/e2e/cluster/internal/ports"
	"borealis.dev/e2e/cluster/internal/procs"
	"borealis.dev/e2e/cluster/internal/realnode"
	"borealis.dev/e2e/cluster/internal/runfolder"
	"borealis.dev/e2e/cluster/internal/simulation"
)

func up(ctx context.Context, args []string) error {
	o := newOptions("up")
	nodes := o.Int("nodes", 10, "")
	nodePods := o.Int("node-pods", 110, "")
	grace := o.Int("node-grace", 0, "")
	audited := o.String("audit", "", "")
	real := o.Bool("real-node", false, "")
	// The same rule as that of the tests, which read it too.
	environment := os.Getenv("REQUIRE_REAL_NODE")
	required := o.Bool("real-node-required", environment != "" && environment != "0", "")
	plain, err := o.parse(args, 1, 1)
	if err != nil {
		return err
	}
	folder, err := runfolder.Open(*o.base, plain[0])
	if err != nil {
		return err
	}
	binary, err := os.Executable()
	if err != nil {
		return err
	}
	if folder.Exists() {
		return fmt.Errorf("cluster %q exists already; end it first: localcluster down %s", folder.Name, folder.Name)
	}
	if err := folder.Create(); err != nil {
		return err
	}
	// Opened again: only now that it exists are links in its path resolved.
	if folder, err = runfolder.Open(*o.base, plain[0]); err != nil {
		return err
	}
	unlock, ok, err := folder.Lock()
	if err != nil || !ok {
		return errors.Join(err, fmt.Errorf("another command is changing cluster %q", folder.Name))
	}
	defer unlock()
	cluster := &controlplane.Cluster{Folder: folder, Binary: binary, State: runfolder.State{
		Name: folder.Name, StartedBy: procs.Self(), Address: "127.0.0.1",
		Nodes: *nodes, NodePods: *nodePods, NodeGrace: graceFor(*grace, *nodes), Audited: *audited,
		RealNode:   runfolder.RealNode{Wanted: *real || *required},
		Components: map[string]procs.Identity{},
	}}
	if err := bringUp(ctx, cluster, *required); err != nil {
		if ctx.Err() != nil {
			say("Interrupted: what was started is taken down again.")
			return errors.Join(errors.New("interrupted"), takeDown(folder))
		}
		say("That did not work, so what was started is taken down again.")
		saveLogs(cluster)
		return errors.Join(err, takeDown(folder))
	}
	return nil
}

// graceFor chooses how long the node controller waits for a silent node. Many
// nodes on few cores report late, and a node wrongly called lost upsets a test
// more than one that is noticed late: tests use lose --now.
func graceFor(given, nodes int) int {
	switch {
	case given > 0:
		return given
	case nodes <= 100:
		return 60
	default:
		return 300
	}
}

func bringUp(ctx context.Context, cluster *controlplane.Cluster, required bool) error {
	begin := time.Now()
	step := func(format string, args ...any) {
		say("%5.1fs  %s", time.Since(begin).Seconds(), fmt.Sprintf(format, args...))
	}
	if err := cluster.Save(); err != nil {
		return err
	}
	if cluster.State.RealNode.Wanted {
		if err := realnode.Prepare(ctx, cluster, step); err != nil {
			return err
		}
		if missing := cluster.State.RealNode.Missing; missing != "" && required {
			return fmt.Errorf("no real node: %s", missing)
		}
	}
	free, err := ports.Free("127.0.0.1", 5)
	if err != nil {
		return err
	}
	cluster.State.Ports = map[string]int{"etcd": free[0], "etcd-peer": free[1], controlplane.APIServer: free[2],
		controlplane.ControllerManager: free[3], controlplane.Scheduler: free[4]}
	if cluster.State.RealNode.Netns != "" {
		cluster.State.Ports[controlplane.APIServer] = 443 // nobody else is there; see apiServerArgs
	}
	if err := errors.Join(cluster.Save(), cluster.Prepare()); err != nil {
		return err
	}
	step("starting etcd and the API server")
	if err := cluster.Up(ctx); err != nil {
		return err
	}
	step("the API server is ready at %s", cluster.State.Server())
	if cluster.State.RealNode.Netns != "" {
		if err := realnode.Start(ctx, cluster, step); err != nil {
			return err
		}
	}
	if err := cluster.CreateNodes(ctx); err != nil {
		return err
	}
	if err := cluster.Start(controlplane.Simulator); err != nil {
		return err
	}
	if err := cluster.WaitUsable(ctx); err != nil {
		return err
	}
	step("the control plane is usable; waiting for %d simulated nodes", cluster.State.Nodes)
	limit := time.Minute + time.Duration(cluster.State.Nodes)*300*time.Millisecond
	if err := cluster.WaitNodes(ctx, simulation.SimulatedLabel+"=true", cluster.State.Nodes, limit); err != nil {
		return err
	}
	step("%d simulated nodes are ready", cluster.State.Nodes)
	if cluster.State.RealNode.Netns != "" && cluster.State.RealNode.Missing == "" {
		if err := realnode.Wait(ctx, cluster, step); err != nil {
			return err
		}
	}
	if missing := cluster.State.RealNode.Missing; missing != "" {
		if required {
			return fmt.Errorf("no real node: %s", missing)
		}
		step("there is NO real node: %s", missing)
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	cluster.State.Ready = true
	if err := cluster.Save(); err != nil {
		return err
	}
	step("ready. KUBECONFIG=%s", cluster.Folder.Kubeconfig("admin"))
	return nil
}

// saveLogs keeps the logs of a start that failed, since the run folder goes.
func saveLogs(cluster *controlplane.Cluster) {
	if entries, err := os.ReadDir(cluster.Folder.In("logs")); err != nil || len(entries) == 0 {
		return
	}
	kept, err := os.MkdirTemp("", "borealis-failed-"+cluster.Folder.Name+"-")
	if err != nil {
		return
	}
	if os.CopyFS(kept, os.DirFS(cluster.Folder.In("logs"))) == nil {
		say("The logs are in %s", kept)
	}
}
