package realnode

import (
	"context"
	"errors"

	"borealis.dev/e2e/cluster/internal/controlplane"
	"borealis.dev/e2e/cluster/internal/runfolder"
)

const (
	Name  = "real-0"
	Label = "borealis.dev/real"
)

var Components []string

type Step = func(string, ...any)

func Prepare(ctx context.Context, c *controlplane.Cluster, step Step) error {
	c.State.RealNode.Missing = "not built yet"
	return nil
}
func Start(ctx context.Context, c *controlplane.Cluster, step Step) {}
func Wait(ctx context.Context, c *controlplane.Cluster, step Step)  {}
func Clean(runfolder.Folder) error                                  { return nil }
func Import(context.Context, runfolder.Folder, string) error        { return errors.New("no") }
func StartComponent(context.Context, *controlplane.Cluster, string) error {
	return errors.New("no")
}
