// Bringing up the control plane in the right order.

package controlplane

import (
	"context"
	"time"

	"borealis.dev/e2e/cluster/internal/kubeapi"
)

// Prepare makes all files that the components need.
func (c *Cluster) Prepare() error { return c.prepare() }

// Up starts the control plane and waits until it serves and namespaces can
// be used. The parts that need no API server start while it does.
func (c *Cluster) Up(ctx context.Context) error {
	for _, component := range []string{Etcd, APIServer} {
		if err := c.Start(component); err != nil {
			return err
		}
	}
	if err := c.WaitHealthy(ctx, APIServer, 90*time.Second); err != nil {
		return err
	}
	for _, component := range []string{ControllerManager, Scheduler} {
		if err := c.Start(component); err != nil {
			return err
		}
	}
	return nil
}

// WaitUsable waits until pods can be made and placed: the default service
// account is there and the other components say they are healthy.
func (c *Cluster) WaitUsable(ctx context.Context) error {
	for _, component := range []string{ControllerManager, Scheduler} {
		if err := c.WaitHealthy(ctx, component, 60*time.Second); err != nil {
			return err
		}
	}
	client, err := c.Admin()
	if err != nil {
		return err
	}
	return kubeapi.Until(ctx, "the default service account", 60*time.Second, func(ctx context.Context) error {
		return client.Get(ctx, "/api/v1/namespaces/default/serviceaccounts/default", nil)
	})
}
