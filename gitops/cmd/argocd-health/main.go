// Command argocd-health writes the health scripts for Argo CD, each into the folder of its kind.
package main

import (
	"fmt"
	"os"
	"path/filepath"

	"borealis.dev/gitops/internal/argolua"
)

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: argocd-health TEMPLATES FOLDER, such as health docs/gitops/resource_customizations/borealis.dev")
		os.Exit(2)
	}
	if err := write(os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, "argocd-health:", err)
		os.Exit(1)
	}
}

func write(templates, folder string) error {
	scripts, err := argolua.HealthScripts(templates)
	if err != nil {
		return err
	}
	for kind, script := range scripts {
		if err := os.WriteFile(filepath.Join(folder, kind, "health.lua"), script, 0o644); err != nil {
			return err
		}
	}
	return nil
}
