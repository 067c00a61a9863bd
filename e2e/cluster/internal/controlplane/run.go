// Starting, stopping, pausing and watching one component.

package controlplane

import (
	"context"
	"fmt"
	"os"
	"strings"
	"syscall"
	"time"

	"borealis.dev/e2e/cluster/internal/kubeapi"
	"borealis.dev/e2e/cluster/internal/procs"
)

// Admin is a client of the API server with all rights.
func (c *Cluster) Admin() (*kubeapi.Client, error) { return c.AdminOf(c.State.Server()) }

// AdminOf is a client with all rights of any server of the cluster.
func (c *Cluster) AdminOf(server string) (*kubeapi.Client, error) {
	cert := userCert("admin")
	return kubeapi.New(server, c.Folder.Cert("ca.crt"), c.Folder.Cert(cert+".crt"), c.Folder.Cert(cert+".key"))
}

// Start starts a component, unless it runs, and records it.
func (c *Cluster) Start(component string) error {
	if c.State.Components[component].Alive() {
		return nil
	}
	return c.StartCommand(component, c.command(component))
}

// StartCommand starts a process of the cluster and records it under a name.
func (c *Cluster) StartCommand(name string, command procs.Command) error {
	id, err := procs.Start(command)
	if err != nil {
		return fmt.Errorf("start %s: %w", name, err)
	}
	c.State.Components[name] = id
	return c.Save()
}

// Stop ends a component and waits until it has ended.
func (c *Cluster) Stop(component string) {
	// An API server waits up to a minute for watches to end, and etcd for the API
	// server; here nothing is lost when they do not.
	procs.Stop(c.State.Components[component], 3*time.Second)
}

// Kill ends a component without warning.
func (c *Cluster) Kill(component string) { procs.Kill(c.State.Components[component]) }

// Pause stops a component's work without ending it: its connections stay open
// and get no answer.
func (c *Cluster) Pause(component string) error {
	return c.State.Components[component].Signal(syscall.SIGSTOP)
}

// Continue lets a paused component go on.
func (c *Cluster) Continue(component string) error {
	return c.State.Components[component].Signal(syscall.SIGCONT)
}

// WaitHealthy waits until a component says of itself that it is ready.
func (c *Cluster) WaitHealthy(ctx context.Context, component string, limit time.Duration) error {
	var client *kubeapi.Client
	path := "/healthz"
	var err error
	switch component {
	case APIServer:
		client, err = c.Admin()
		path = "/readyz"
	case Etcd, ControllerManager, Scheduler:
		if c.State.RealNode.Netns != "" {
			return nil // it listens on the loopback interface of another network namespace
		}
		if component == Etcd {
			client, err = c.etcdClient()
			path = "/health"
		} else {
			client, err = c.AdminOf(c.url(component))
		}
	default:
		return nil
	}
	if err != nil {
		return err
	}
	return kubeapi.Until(ctx, component, limit, func(ctx context.Context) error {
		if !c.State.Components[component].Alive() {
			return kubeapi.Final{Err: fmt.Errorf("%s has ended; the last lines of its log:\n%s", component, c.LogTail(component, 15))}
		}
		return client.Get(ctx, path, nil)
	})
}

func (c *Cluster) etcdClient() (*kubeapi.Client, error) {
	return kubeapi.New(c.url("etcd"), c.Folder.Cert("ca.crt"), c.Folder.Cert("etcd-client.crt"), c.Folder.Cert("etcd-client.key"))
}

// LogTail is the end of a component's log.
func (c *Cluster) LogTail(component string, lines int) string {
	data, err := os.ReadFile(c.Folder.Log(component))
	if err != nil {
		return err.Error()
	}
	all := strings.Split(strings.TrimSpace(string(data)), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}
