// Package realnode adds one real node: a kubelet with containerd and runc, whose
// containers really run and whose probes really probe. It needs root. The whole
// cluster then lives in a network namespace of its own, so that pods reach the
// API server, and nothing outside this machine's root reaches a pod.
package realnode

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"borealis.dev/e2e/cluster/internal/controlplane"
)

const (
	// Name is the node's name.
	Name = "real-0"
	// Label marks the node, and the taint of the same name keeps off all pods that
	// do not tolerate it.
	Label = "borealis.dev/real"

	Containerd = "containerd"
	Kubelet    = "kubelet"

	// readyLimit is how long the node may take. It is long because a kubelet that
	// missed something at its first start is started once more.
	readyLimit = 60 * time.Second
)

// Components are the node's programs in the order in which they start.
var Components = []string{Containerd, Kubelet}

// Step tells the user how far things are.
type Step = func(format string, args ...any)

// Prepare checks what the node needs, installs packages that are missing and
// makes the network namespace. It must come before the control plane starts,
// which lives in there, too. Whatever is missing is recorded; only being
// interrupted is an error.
func Prepare(ctx context.Context, c *controlplane.Cluster, step Step) error {
	err := preflight(ctx, step)
	if err == nil {
		err = makeNetwork(ctx, c)
	}
	return record(ctx, c, err)
}

// Start starts containerd and the kubelet. It does not wait for the node.
func Start(ctx context.Context, c *controlplane.Cluster, step Step) error {
	step("starting containerd and the kubelet")
	err := saveTunables(c.Folder)
	for _, part := range []func() error{
		func() error { return startContainerd(ctx, c) },
		func() error { return importOwnImages(ctx, c) },
		func() error { return writeKubeletFiles(c) },
		func() error { return c.StartCommand(Kubelet, kubeletCommand(c)) },
	} {
		if err == nil {
			err = part()
		}
	}
	return record(ctx, c, err)
}

// Wait waits until the node is ready.
func Wait(ctx context.Context, c *controlplane.Cluster, step Step) error {
	begin := time.Now()
	step("waiting for the real node")
	selector := Label + "=true"
	err := c.WaitNodes(ctx, selector, 1, readyLimit/2)
	if err != nil && ctx.Err() == nil {
		// Seen: a kubelet that started before its CSINode could be made stays not
		// ready until it starts again.
		step("the real node is not ready yet; starting its kubelet once more")
		c.Kill(Kubelet)
		if err = c.StartCommand(Kubelet, kubeletCommand(c)); err == nil {
			err = c.WaitNodes(ctx, selector, 1, readyLimit/2)
		}
		if err != nil {
			err = fmt.Errorf("%w; the kubelet's log ends with:\n%s", err, c.LogTail(Kubelet, 10))
		}
	}
	if err == nil {
		step("the real node %s is ready (%.1f s)", Name, time.Since(begin).Seconds())
	}
	return record(ctx, c, err)
}

// StartComponent starts one of the node's programs again.
func StartComponent(ctx context.Context, c *controlplane.Cluster, name string) error {
	if c.State.Components[name].Alive() {
		return nil
	}
	if name == Containerd {
		return startContainerd(ctx, c)
	}
	if err := c.StartCommand(Kubelet, kubeletCommand(c)); err != nil {
		return err
	}
	return waitKubelet(ctx, c)
}

// record notes why there is no real node. The rest of the cluster goes on.
func record(ctx context.Context, c *controlplane.Cluster, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		c.State.RealNode.Missing = strings.TrimSpace(err.Error())
	}
	return errors.Join(c.Save())
}
