// Having etcd forget its history.

package controlplane

import (
	"context"
	"net/http"
	"os"
	"os/exec"
	"syscall"

	"borealis.dev/e2e/cluster/internal/kubeapi"
)

// Compact has etcd forget all history up to now: who watches and was away has to
// begin anew.
func (c *Cluster) Compact(ctx context.Context) error {
	if err := c.enterNetns(); err != nil {
		return err
	}
	client, err := c.etcdClient()
	if err != nil {
		return err
	}
	var now struct {
		Header struct{ Revision string }
	}
	if err := client.Do(ctx, http.MethodPost, "/v3/maintenance/status", "application/json", kubeapi.Object{}, &now); err != nil {
		return err
	}
	wanted := kubeapi.Object{"revision": now.Header.Revision, "physical": true}
	return client.Do(ctx, http.MethodPost, "/v3/kv/compaction", "application/json", wanted, nil)
}

// enterNetns begins this very command anew where etcd listens, unless it is there:
// beside a real node that is the loopback interface of another network namespace.
func (c *Cluster) enterNetns() error {
	netns := c.State.RealNode.Netns
	if netns == "" {
		return nil
	}
	there, err := os.Stat(netns)
	if err != nil {
		return err
	}
	here, err := os.Stat("/proc/self/ns/net")
	if err != nil || os.SameFile(here, there) {
		return err
	}
	nsenter, err := exec.LookPath("nsenter")
	if err != nil {
		return err
	}
	program, err := os.Executable()
	if err != nil {
		return err
	}
	args := append([]string{nsenter, "--net=" + netns, "--", program}, os.Args[1:]...)
	return syscall.Exec(nsenter, args, os.Environ())
}
