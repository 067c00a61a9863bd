// load-image: brings an image to the real node.

package cli

import (
	"context"
	"fmt"

	"borealis.dev/e2e/cluster/internal/realnode"
)

func loadImage(ctx context.Context, args []string) error {
	o := newOptions("load-image")
	plain, err := o.parse(args, 2, 2)
	if err != nil {
		return err
	}
	cluster, err := o.open(plain[0])
	if err != nil {
		return err
	}
	if cluster.State.RealNode.Netns == "" || cluster.State.RealNode.Missing != "" {
		return fmt.Errorf("cluster %q has no real node", cluster.Folder.Name)
	}
	return realnode.Import(ctx, cluster.Folder, plain[1])
}
