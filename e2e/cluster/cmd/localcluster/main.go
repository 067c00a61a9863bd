// Command localcluster runs a real Kubernetes on this machine. It is both the
// harness (up, down, status, …) and, under their own names, the programs that
// the harness starts (etcd, kube-apiserver, kubelet, kubectl, …).
package main

import (
	"os"

	"borealis.dev/e2e/cluster/internal/cli"
	"borealis.dev/e2e/cluster/internal/components"
)

func main() {
	if len(os.Args) > 1 {
		if code, ok := components.Main(os.Args[1], os.Args[2:]); ok {
			os.Exit(code)
		}
	}
	os.Exit(cli.Main(os.Args[1:]))
}
