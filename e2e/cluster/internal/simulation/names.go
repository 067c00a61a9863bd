// Package simulation describes the simulated nodes and what pods do on them:
// the Node objects, and the stages by which KWOK plays a kubelet. What a pod
// does is chosen by annotations in its template (see next.jq and the README).
package simulation

const (
	// SimulatedLabel marks a simulated node for good.
	SimulatedLabel = "borealis.dev/simulated"
	// KubeletLabel says whether the simulated kubelet of a node works. KWOK looks
	// after the nodes where it says up and after no others, real ones included.
	KubeletLabel = "sim.borealis.dev/kubelet"
	KubeletUp    = "up"
	KubeletLost  = "lost"

	// PodNetwork is where pod addresses are taken from. Nothing listens there.
	PodNetwork = "10.128.0.1/9"
	// NodeAddress is given to a node that has no address of its own.
	NodeAddress = "10.64.0.1"

	// Version is what the simulated kubelets say they are.
	Version = "v1.36.3"
)
