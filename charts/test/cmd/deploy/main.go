// Command deploy writes deploy/ from the chart; with --check it only says what is not as it should be.
package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"borealis.dev/charts/test/rendered"
)

func main() {
	if err := run(len(os.Args) > 1 && os.Args[1] == "--check"); err != nil {
		fmt.Fprintln(os.Stderr, "deploy:", err)
		os.Exit(1)
	}
}

func run(check bool) error {
	root, err := rendered.Repository()
	if err != nil {
		return err
	}
	files, err := rendered.Deploy()
	if err != nil {
		return err
	}
	folder := filepath.Join(root, "deploy")
	stale, err := rendered.Stale(folder, files)
	if err != nil {
		return err
	}
	if check {
		if len(stale) > 0 {
			return fmt.Errorf("deploy/ is not what charts/borealis comes to (%s): run `make generate`", strings.Join(stale, ", "))
		}
		return nil
	}
	for _, name := range stale {
		path := filepath.Join(folder, name)
		if text, ours := files[name]; ours {
			err = os.WriteFile(path, []byte(text), 0o644)
		} else {
			err = os.Remove(path)
		}
		if err != nil {
			return err
		}
		fmt.Println(path)
	}
	return nil
}
