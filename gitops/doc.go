// Package gitops holds Borealis's objects against the tools that deliver them: Flux's kstatus, Argo CD's scripts, and the
// diffs and merges that decide what counts as drift. It has tests only; what they are about is in docs/gitops.
package gitops
