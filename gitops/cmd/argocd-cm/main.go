// Command argocd-cm writes the scripts for Argo CD as one patch of its ConfigMap to its standard output.
package main

import (
	"fmt"
	"os"

	"borealis.dev/gitops/internal/argolua"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: argocd-cm FOLDER, such as docs/gitops/resource_customizations")
		os.Exit(2)
	}
	text, err := argolua.ConfigMap(os.Args[1])
	if err == nil {
		_, err = os.Stdout.Write(text)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "argocd-cm:", err)
		os.Exit(1)
	}
}
