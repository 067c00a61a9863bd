// The objects of the simulated nodes.

package simulation

import (
	"fmt"

	"borealis.dev/e2e/cluster/internal/kubeapi"
)

// zones are given to the nodes in turn.
var zones = []string{"zone-a", "zone-b", "zone-c"}

// NodeName is the name of the simulated node with this number, from 0.
func NodeName(i int) string { return fmt.Sprintf("sim-%d", i) }

// Node is the object of a simulated node. It is not ready: KWOK says so when it
// has taken it over, so that a node that is ready is one whose pods run.
func Node(i, pods int) kubeapi.Object {
	name := NodeName(i)
	size := kubeapi.Object{
		"cpu": "32", "memory": "256Gi", "ephemeral-storage": "1Ti", "pods": fmt.Sprint(pods),
	}
	return kubeapi.Object{
		"apiVersion": "v1",
		"kind":       "Node",
		"metadata": kubeapi.Object{
			"name": name,
			"labels": kubeapi.Object{
				"kubernetes.io/hostname":      name,
				"kubernetes.io/os":            "linux",
				"kubernetes.io/arch":          "amd64",
				"topology.kubernetes.io/zone": zones[i%len(zones)],
				SimulatedLabel:                "true",
				KubeletLabel:                  KubeletUp,
			},
		},
		"status": kubeapi.Object{
			"capacity":    size,
			"allocatable": size,
			"addresses": []kubeapi.Object{
				{"type": "InternalIP", "address": fmt.Sprintf("10.64.%d.%d", (i+2)/256, (i+2)%256)},
				{"type": "Hostname", "address": name},
			},
			"nodeInfo": kubeapi.Object{
				"architecture": "amd64", "operatingSystem": "linux", "osImage": "simulated",
				"kernelVersion": "simulated", "containerRuntimeVersion": "simulated://1",
				"kubeletVersion": Version, "kubeProxyVersion": "",
				"machineID": name, "systemUUID": name, "bootID": name,
			},
		},
	}
}
