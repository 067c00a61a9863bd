// Making the simulated nodes, and waiting for nodes to be ready.

package controlplane

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"borealis.dev/e2e/cluster/internal/kubeapi"
	"borealis.dev/e2e/cluster/internal/simulation"
)

// CreateNodes makes the simulated nodes and what the simulator may do, some
// requests at a time.
func (c *Cluster) CreateNodes(ctx context.Context) error {
	client, err := c.Admin()
	if err != nil {
		return err
	}
	for path, object := range simulatorRights() {
		if err := client.Create(ctx, path, object); err != nil {
			return err
		}
	}
	var (
		wait    sync.WaitGroup
		numbers = make(chan int)
		errs    = make(chan error, c.State.Nodes)
	)
	for range 8 {
		wait.Go(func() {
			for i := range numbers {
				if err := client.Create(ctx, "/api/v1/nodes", simulation.Node(i, c.State.NodePods)); err != nil {
					errs <- fmt.Errorf("node %d: %w", i, err)
				}
			}
		})
	}
	for i := range c.State.Nodes {
		numbers <- i
	}
	close(numbers)
	wait.Wait()
	close(errs)
	return <-errs
}

// simulatorRights lets the simulator do what the kubelets it plays may do.
func simulatorRights() map[string]kubeapi.Object {
	const group = "rbac.authorization.k8s.io"
	rule := func(apiGroup string, resources []string, verbs ...string) kubeapi.Object {
		return kubeapi.Object{"apiGroups": []string{apiGroup}, "resources": resources, "verbs": verbs}
	}
	name := kubeapi.Object{"name": "borealis:simulator"}
	return map[string]kubeapi.Object{
		"/apis/" + group + "/v1/clusterroles": {
			"apiVersion": group + "/v1", "kind": "ClusterRole", "metadata": name,
			"rules": []kubeapi.Object{
				rule("", []string{"nodes", "pods"}, "get", "list", "watch", "delete"),
				rule("", []string{"nodes/status", "pods/status"}, "patch", "update"),
				rule("", []string{"events"}, "create", "patch", "update"),
				rule("coordination.k8s.io", []string{"leases"}, "get", "list", "watch", "create", "update", "patch"),
			},
		},
		"/apis/" + group + "/v1/clusterrolebindings": {
			"apiVersion": group + "/v1", "kind": "ClusterRoleBinding", "metadata": name,
			"roleRef":  kubeapi.Object{"apiGroup": group, "kind": "ClusterRole", "name": "borealis:simulator"},
			"subjects": []kubeapi.Object{{"apiGroup": group, "kind": "User", "name": "borealis:simulator"}},
		},
	}
}

// node is the little of a Node that is read here.
type node struct {
	Metadata struct {
		Name   string
		Labels map[string]string
	}
	Spec struct {
		Taints []taint
	}
	Status struct {
		Conditions []struct{ Type, Status string }
	}
}

type taint struct {
	Key       string `json:"key"`
	Value     string `json:"value,omitempty"`
	Effect    string `json:"effect"`
	TimeAdded string `json:"timeAdded,omitempty"`
}

// ready says whether pods can be placed and run: the node says it is ready, and
// the controllers have taken away the taint it was born with.
func (n node) ready() bool {
	for _, taint := range n.Spec.Taints {
		if strings.HasPrefix(taint.Key, "node.kubernetes.io/") {
			return false
		}
	}
	for _, condition := range n.Status.Conditions {
		if condition.Type == "Ready" {
			return condition.Status == "True"
		}
	}
	return false
}

// why says what keeps a node from being ready.
func (n node) why() string {
	words := []string{"Ready is not reported"}
	for _, condition := range n.Status.Conditions {
		if condition.Type == "Ready" {
			words = []string{"Ready is " + condition.Status}
		}
	}
	for _, taint := range n.Spec.Taints {
		words = append(words, "taint "+taint.Key+":"+taint.Effect)
	}
	return n.Metadata.Name + ": " + strings.Join(words, ", ")
}

// ReadyNodes counts the nodes that a label selector chooses and those of them that are ready.
func (c *Cluster) ReadyNodes(ctx context.Context, selector string) (ready, all int, err error) {
	unready, all, err := c.unreadyNodes(ctx, selector)
	return all - len(unready), all, err
}

func (c *Cluster) unreadyNodes(ctx context.Context, selector string) (unready []node, all int, err error) {
	client, err := c.Admin()
	if err != nil {
		return nil, 0, err
	}
	var list struct{ Items []node }
	if err := client.Get(ctx, "/api/v1/nodes?labelSelector="+selector, &list); err != nil {
		return nil, 0, err
	}
	for _, node := range list.Items {
		if !node.ready() {
			unready = append(unready, node)
		}
	}
	return unready, len(list.Items), nil
}

// nudgeAfter is how long nodes may take before they are touched.
const nudgeAfter = 10 * time.Second

// WaitNodes waits until so many nodes that the selector chooses are ready.
//
// Whoever takes a node's taints away acts when the node changes, and does not try again when that fails, on a busy
// machine for example. So nodes that take long are touched, to have them looked at again.
func (c *Cluster) WaitNodes(ctx context.Context, selector string, wanted int, limit time.Duration) error {
	touched := time.Now()
	return kubeapi.Until(ctx, "nodes with "+selector, limit, func(ctx context.Context) error {
		unready, all, err := c.unreadyNodes(ctx, selector)
		if err != nil || all-len(unready) >= wanted {
			return err
		}
		if time.Since(touched) > nudgeAfter {
			touched = time.Now()
			c.nudge(ctx, unready)
		}
		err = fmt.Errorf("%d of %d are ready (%d exist)", all-len(unready), wanted, all)
		if len(unready) > 0 {
			err = fmt.Errorf("%w; %s", err, unready[0].why())
		}
		return err
	})
}

// nudge changes an annotation of nodes; where that fails the next time will do.
func (c *Cluster) nudge(ctx context.Context, nodes []node) {
	client, err := c.Admin()
	if err != nil {
		return
	}
	for _, node := range nodes {
		_ = client.MergePatch(ctx, "/api/v1/nodes/"+node.Metadata.Name, kubeapi.Object{
			"metadata": kubeapi.Object{"annotations": kubeapi.Object{
				"sim.borealis.dev/nudged": time.Now().Format(time.RFC3339),
			}},
		})
	}
}
