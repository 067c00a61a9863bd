// The arguments of the control plane's components.

package controlplane

import (
	"fmt"
	"strconv"
)

// url is the address of a component within the cluster.
func (c *Cluster) url(port string) string {
	return "https://" + c.hostPort(port)
}

func (c *Cluster) hostPort(port string) string {
	return fmt.Sprintf("127.0.0.1:%d", c.State.Ports[port])
}

func (c *Cluster) port(name string) string { return strconv.Itoa(c.State.Ports[name]) }

func (c *Cluster) etcdArgs() []string {
	return []string{
		"--name=" + c.Folder.Name,
		"--data-dir=" + c.Folder.In("etcd"),
		"--listen-client-urls=" + c.url("etcd"),
		"--advertise-client-urls=" + c.url("etcd"),
		"--listen-peer-urls=" + c.url("etcd-peer"),
		"--initial-advertise-peer-urls=" + c.url("etcd-peer"),
		"--initial-cluster=" + c.Folder.Name + "=" + c.url("etcd-peer"),
		"--client-cert-auth", "--trusted-ca-file=" + c.Folder.Cert("ca.crt"),
		"--cert-file=" + c.Folder.Cert("etcd.crt"), "--key-file=" + c.Folder.Cert("etcd.key"),
		"--peer-client-cert-auth", "--peer-trusted-ca-file=" + c.Folder.Cert("ca.crt"),
		"--peer-cert-file=" + c.Folder.Cert("etcd.crt"), "--peer-key-file=" + c.Folder.Cert("etcd.key"),
		// The data need not survive the machine, and waiting for the disk is most of a write.
		"--unsafe-no-fsync",
		"--snapshot-count=10000",
		"--quota-backend-bytes=4294967296",
		"--log-level=warn",
	}
}

func (c *Cluster) apiServerArgs() []string {
	args := []string{
		"--etcd-servers=" + c.url("etcd"),
		"--etcd-cafile=" + c.Folder.Cert("ca.crt"),
		"--etcd-certfile=" + c.Folder.Cert("etcd-client.crt"), "--etcd-keyfile=" + c.Folder.Cert("etcd-client.key"),
		"--advertise-address=" + c.State.Address,
		"--secure-port=" + c.port(APIServer),
		"--tls-cert-file=" + c.Folder.Cert("kube-apiserver.crt"),
		"--tls-private-key-file=" + c.Folder.Cert("kube-apiserver.key"),
		"--client-ca-file=" + c.Folder.Cert("ca.crt"),
		"--authorization-mode=Node,RBAC",
		"--enable-admission-plugins=NodeRestriction",
		"--allow-privileged=true",
		"--service-cluster-ip-range=" + ServiceRange,
		"--service-account-issuer=https://kubernetes.default.svc.cluster.local",
		"--service-account-key-file=" + c.Folder.Cert("service-accounts.pub"),
		"--service-account-signing-key-file=" + c.Folder.Cert("service-accounts.key"),
		"--kubelet-certificate-authority=" + c.Folder.Cert("ca.crt"),
		"--kubelet-client-certificate=" + c.Folder.Cert("kube-apiserver-kubelet.crt"),
		"--kubelet-client-key=" + c.Folder.Cert("kube-apiserver-kubelet.key"),
		// A node's name cannot be resolved here, its address needs no resolving.
		"--kubelet-preferred-address-types=InternalIP",
		// Two cores serve fewer requests at once than the defaults allow a test to make;
		// better they wait in a queue of the server than fail in the client.
		"--max-requests-inflight=800", "--max-mutating-requests-inflight=400",
	}
	if c.State.Audited != "" {
		args = append(args, "--audit-policy-file="+c.Folder.In("config", "audit.yaml"),
			"--audit-log-path="+c.Folder.In("audit.jsonl"), "--audit-log-maxsize=4096")
	}
	if c.State.RealNode.Netns == "" {
		// A loopback address cannot be an Endpoints address, so none are made.
		return append(args, "--bind-address=127.0.0.1", "--endpoint-reconciler-type=none")
	}
	// In a network namespace of its own every address is reachable from this
	// machine's pods and host only. With all of them bound, pods find the server at
	// its usual cluster address without a proxy.
	return append(args, "--bind-address=0.0.0.0")
}

func (c *Cluster) controllerManagerArgs() []string {
	config := c.Folder.Kubeconfig("system:kube-controller-manager")
	return append([]string{
		"--kubeconfig=" + config, "--authentication-kubeconfig=" + config, "--authorization-kubeconfig=" + config,
		"--use-service-account-credentials=true",
		"--service-account-private-key-file=" + c.Folder.Cert("service-accounts.key"),
		"--root-ca-file=" + c.Folder.Cert("ca.crt"),
		"--cluster-signing-cert-file=" + c.Folder.Cert("ca.crt"),
		"--cluster-signing-key-file=" + c.Folder.Cert("ca.key"),
		"--kube-api-qps=500", "--kube-api-burst=1000",
		fmt.Sprintf("--node-monitor-grace-period=%ds", c.State.NodeGrace),
		"--node-monitor-period=2s",
		"--leader-elect=false",
	}, c.servingArgs(ControllerManager)...)
}

func (c *Cluster) schedulerArgs() []string {
	config := c.Folder.Kubeconfig("system:kube-scheduler")
	return append([]string{
		"--config=" + c.Folder.In("config", "scheduler.yaml"),
		"--authentication-kubeconfig=" + config, "--authorization-kubeconfig=" + config,
	}, c.servingArgs(Scheduler)...)
}

// servingArgs are for the health and metrics port that two components share a shape of.
func (c *Cluster) servingArgs(component string) []string {
	return []string{
		"--bind-address=127.0.0.1", "--secure-port=" + c.port(component),
		"--tls-cert-file=" + c.Folder.Cert("component.crt"),
		"--tls-private-key-file=" + c.Folder.Cert("component.key"),
	}
}

// schedulerConfig raises the client limits, which would otherwise be all that a
// test of many pods measures.
func (c *Cluster) schedulerConfig() string {
	return fmt.Sprintf(`apiVersion: kubescheduler.config.k8s.io/v1
kind: KubeSchedulerConfiguration
clientConnection:
  kubeconfig: %s
  qps: 1000
  burst: 2000
leaderElection:
  leaderElect: false
`, c.Folder.Kubeconfig("system:kube-scheduler"))
}

// auditPolicy has every call of one user recorded, once, and by what it was about alone.
func (c *Cluster) auditPolicy() string {
	return fmt.Sprintf(`apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived, ResponseStarted]
rules:
  - level: Metadata
    users: [%q]
  - level: None
`, c.State.Audited)
}

func (c *Cluster) simulatorArgs() []string {
	return []string{
		"--kubeconfig=" + c.Folder.Kubeconfig("borealis:simulator"),
		fmt.Sprintf("--node-lease-duration-seconds=%d", LeaseSeconds(c.State.NodeGrace)),
	}
}

// LeaseSeconds is the duration of a simulated node's lease. It is renewed four
// times in that span, so at least twice within the grace period even when a
// renewal comes late, and hundreds of nodes with a long grace cost few writes.
func LeaseSeconds(grace int) int {
	return min(max(grace*2/3, 4), 160)
}
