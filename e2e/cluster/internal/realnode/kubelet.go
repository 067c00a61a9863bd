// The kubelet: its configuration, identity and start.

package realnode

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"borealis.dev/e2e/cluster/internal/certs"
	"borealis.dev/e2e/cluster/internal/controlplane"
	"borealis.dev/e2e/cluster/internal/kubeapi"
	"borealis.dev/e2e/cluster/internal/procs"
)

func kubeletConfig(c *controlplane.Cluster) string {
	folder := c.Folder
	return fmt.Sprintf(`apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
authentication:
  anonymous:
    enabled: false
  webhook:
    enabled: true
  x509:
    clientCAFile: %s
authorization:
  mode: Webhook
tlsCertFile: %s
tlsPrivateKeyFile: %s
containerRuntimeEndpoint: unix://%s
podLogsDir: %s
volumePluginDir: %s
registerWithTaints:
- key: %s
  value: "true"
  effect: NoSchedule
maxPods: 60
nodeStatusUpdateFrequency: 5s
# Works on machines with the older control groups, which a container may still have.
failCgroupV1: false
cgroupDriver: cgroupfs
# Its own place in the tree, so that down can remove it.
cgroupRoot: /%s
# The machine is not the node's alone: nothing is reserved, and no pod is evicted
# or image deleted because something else fills the disk.
enforceNodeAllocatable: []
evictionHard: {}
localStorageCapacityIsolation: false
imageGCHighThresholdPercent: 100
failSwapOn: false
`, folder.Cert("ca.crt"), folder.Cert("kubelet.crt"), folder.Cert("kubelet.key"), socket(folder),
		folder.In("pod-logs"), folder.In("kubelet", "volume-plugins"), Label, folder.Tag())
}

func writeKubeletFiles(c *controlplane.Cluster) error {
	authority, err := certs.Open(c.Folder.Certs())
	if err != nil {
		return err
	}
	if err := authority.Issue("kubelet", certs.Request{
		CommonName: "system:node:" + Name, Groups: []string{"system:nodes"}, Hosts: []string{c.State.Address, Name},
	}); err != nil {
		return err
	}
	if _, err := c.IssueUser("system:node:"+Name, []string{"system:nodes"}); err != nil {
		return err
	}
	for _, controller := range controllers() {
		if err := os.MkdirAll(filepath.Join(controller, c.Folder.Tag()), 0o755); err != nil {
			return fmt.Errorf("control group: %w", err)
		}
	}
	if err := adoptCPUSets(c.Folder.Tag()); err != nil {
		return fmt.Errorf("control group: %w", err)
	}
	return os.WriteFile(c.Folder.In("config", "kubelet.yaml"), []byte(kubeletConfig(c)), 0o600)
}

func kubeletCommand(c *controlplane.Cluster) procs.Command {
	folder := c.Folder
	return procs.Command{
		Path: c.Binary,
		Args: []string{"kubelet",
			"--config=" + folder.In("config", "kubelet.yaml"),
			"--kubeconfig=" + folder.Kubeconfig("system:node:"+Name),
			"--root-dir=" + folder.In("kubelet"),
			"--cert-dir=" + folder.In("kubelet", "pki"),
			"--hostname-override=" + Name,
			"--node-ip=" + c.State.Address,
			"--node-labels=" + Label + "=true",
		},
		Dir: folder.Path, Log: folder.Log(Kubelet), RunFolder: folder.Path, Netns: c.State.RealNode.Netns,
	}
}

// waitKubelet waits until the kubelet serves. It listens on the address of the
// link, so it can be asked from outside the namespace.
func waitKubelet(ctx context.Context, c *controlplane.Cluster) error {
	client, err := c.AdminOf(fmt.Sprintf("https://%s:10250", c.State.Address))
	if err != nil {
		return err
	}
	return kubeapi.Until(ctx, "kubelet", readyLimit, func(ctx context.Context) error {
		if !c.State.Components[Kubelet].Alive() {
			return kubeapi.Final{Err: fmt.Errorf("it has ended; the last lines of its log:\n%s", c.LogTail(Kubelet, 10))}
		}
		return client.Get(ctx, "/healthz", nil)
	})
}
