// node: loses and restores simulated nodes.

package cli

import "context"

func node(ctx context.Context, args []string) error {
	o := newOptions("node")
	now := o.Bool("now", false, "")
	plain, err := o.parse(args, 3, 3)
	if err != nil {
		return err
	}
	cluster, err := o.open(plain[0])
	if err != nil {
		return err
	}
	switch plain[1] {
	case "lose":
		return cluster.LoseNode(ctx, plain[2], *now)
	case "restore":
		return cluster.RestoreNode(ctx, plain[2])
	default:
		return errUsage
	}
}
