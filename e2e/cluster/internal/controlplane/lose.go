// Losing a simulated node, and bringing it back.

package controlplane

import (
	"context"
	"fmt"
	"time"

	"borealis.dev/e2e/cluster/internal/kubeapi"
	"borealis.dev/e2e/cluster/internal/simulation"
)

// unreachable is the key of the taints that a node gets when its kubelet is silent.
const unreachable = "node.kubernetes.io/unreachable"

// LoseNode ends the simulated kubelet of a node: no lease is renewed, no pod
// changes. The node controller notices when the grace period is over. With now,
// what it would write then is written at once, so that a test need not wait and
// the grace period can be long enough for a busy machine. It stays, since the
// controller takes it back only when a kubelet reports again.
func (c *Cluster) LoseNode(ctx context.Context, name string, now bool) error {
	client, err := c.Admin()
	if err != nil {
		return err
	}
	if err := c.setKubelet(ctx, client, name, simulation.KubeletLost); err != nil || !now {
		return err
	}
	// The simulator sees the label some milliseconds later; what it was about to
	// write must not come after what is written here.
	time.Sleep(300 * time.Millisecond)
	stamp := time.Now().UTC().Format(time.RFC3339)
	var conditions []kubeapi.Object
	for _, kind := range []string{"Ready", "MemoryPressure", "DiskPressure", "PIDPressure"} {
		conditions = append(conditions, kubeapi.Object{"type": kind, "status": "Unknown", "reason": "NodeStatusUnknown",
			"message": "Kubelet stopped posting node status.", "lastTransitionTime": stamp})
	}
	path := "/api/v1/nodes/" + name
	if err := client.StrategicPatch(ctx, path+"/status", kubeapi.Object{"status": kubeapi.Object{"conditions": conditions}}); err != nil {
		return err
	}
	if err := c.changeTaints(ctx, client, name, []taint{
		{Key: unreachable, Effect: "NoSchedule", TimeAdded: stamp},
		{Key: unreachable, Effect: "NoExecute", TimeAdded: stamp},
	}); err != nil {
		return err
	}
	return markPodsNotReady(ctx, client, name, stamp)
}

// RestoreNode brings the simulated kubelet back and waits until the node can be
// used again. Its pods then do at once what they missed.
func (c *Cluster) RestoreNode(ctx context.Context, name string) error {
	client, err := c.Admin()
	if err != nil {
		return err
	}
	if err := c.setKubelet(ctx, client, name, simulation.KubeletUp); err != nil {
		return err
	}
	path := "/api/v1/nodes/" + name
	return kubeapi.Until(ctx, "node "+name, 60*time.Second, func(ctx context.Context) error {
		var node node
		if err := client.Get(ctx, path, &node); err != nil {
			return err
		}
		if !node.ready() {
			return fmt.Errorf("taints %v, conditions %v", node.Spec.Taints, node.Status.Conditions)
		}
		return nil
	})
}

// setKubelet sets the label by which the simulator takes or leaves a node.
func (c *Cluster) setKubelet(ctx context.Context, client *kubeapi.Client, name, value string) error {
	path := "/api/v1/nodes/" + name
	var node node
	if err := client.Get(ctx, path, &node); err != nil {
		return err
	}
	if node.Metadata.Labels[simulation.SimulatedLabel] != "true" {
		return fmt.Errorf("%s is no simulated node", name)
	}
	return client.MergePatch(ctx, path, kubeapi.Object{"metadata": kubeapi.Object{
		"labels": kubeapi.Object{simulation.KubeletLabel: value}}})
}

// changeTaints adds taints, leaving the others.
func (c *Cluster) changeTaints(ctx context.Context, client *kubeapi.Client, name string, added []taint) error {
	return kubeapi.Until(ctx, "taint "+name, 10*time.Second, func(ctx context.Context) error {
		path := "/api/v1/nodes/" + name
		var current struct {
			Metadata struct{ ResourceVersion string }
			Spec     struct{ Taints []taint }
		}
		if err := client.Get(ctx, path, &current); err != nil {
			return err
		}
		taints := current.Spec.Taints
		for _, wanted := range added {
			present := false
			for _, taint := range taints {
				present = present || taint.Key == wanted.Key && taint.Effect == wanted.Effect
			}
			if !present {
				taints = append(taints, wanted)
			}
		}
		// The list is replaced whole: the version makes sure that no taint set meanwhile is lost.
		return client.MergePatch(ctx, path, kubeapi.Object{
			"metadata": kubeapi.Object{"resourceVersion": current.Metadata.ResourceVersion},
			"spec":     kubeapi.Object{"taints": taints}})
	})
}

// markPodsNotReady does what the node controller does to the pods of a node that
// became unreachable: they no longer count as ready.
func markPodsNotReady(ctx context.Context, client *kubeapi.Client, name, stamp string) error {
	var pods struct {
		Items []struct {
			Metadata struct{ Name, Namespace string }
			Status   struct {
				Conditions []struct{ Type, Status string }
			}
		}
	}
	if err := client.Get(ctx, "/api/v1/pods?fieldSelector=spec.nodeName%3D"+name, &pods); err != nil {
		return err
	}
	for _, pod := range pods.Items {
		for _, condition := range pod.Status.Conditions {
			if condition.Type != "Ready" || condition.Status != "True" {
				continue
			}
			path := fmt.Sprintf("/api/v1/namespaces/%s/pods/%s/status", pod.Metadata.Namespace, pod.Metadata.Name)
			patch := kubeapi.Object{"status": kubeapi.Object{"conditions": []kubeapi.Object{
				{"type": "Ready", "status": "False", "lastTransitionTime": stamp}}}}
			if err := client.StrategicPatch(ctx, path, patch); err != nil && !kubeapi.HasCode(err, 404) {
				return err
			}
		}
	}
	return nil
}
