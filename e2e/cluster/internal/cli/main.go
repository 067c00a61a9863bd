// Package cli is the command line of the harness: one file for each command.
package cli

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"borealis.dev/e2e/cluster/internal/controlplane"
	"borealis.dev/e2e/cluster/internal/runfolder"
)

const usage = `localcluster runs a real Kubernetes on this machine, with simulated nodes.

  localcluster up NAME [--nodes N] [--node-pods N] [--node-grace SECONDS]
                       [--real-node | --real-node-required] [--audit USER]
  localcluster down NAME | --all
  localcluster status [NAME]
  localcluster kubeconfig NAME [--user CN [--group G]...]    prints the path of a kubeconfig
  localcluster component NAME stop|kill|start|restart|pause|continue|compact COMPONENT
  localcluster node NAME lose [--now] NODE
  localcluster node NAME restore NODE
  localcluster load-image NAME ARCHIVE                       for the real node

  localcluster etcd|kube-apiserver|kube-controller-manager|kube-scheduler|kubelet|kubectl|kwok ...
                                                             the programs themselves

Every command takes --run-dir DIR: the folder that holds the clusters' folders
(default $BOREALIS_RUN, or /tmp/borealis-UID).
`

// errUsage asks for the usage text and exit status 2.
var errUsage = errors.New("usage")

// Main runs a command and returns the exit status.
func Main(args []string) int {
	if len(args) == 0 || args[0] == "help" || args[0] == "--help" || args[0] == "-h" {
		fmt.Print(usage)
		return 0
	}
	run := map[string]func(context.Context, []string) error{
		"up": up, "down": down, "status": status, "kubeconfig": kubeconfig,
		"component": component, "node": node, "load-image": loadImage,
	}[args[0]]
	if run == nil {
		fmt.Fprintf(os.Stderr, "localcluster: there is no command %q\n\n%s", args[0], usage)
		return 2
	}
	ctx, cancel := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	defer cancel()
	err := run(ctx, args[1:])
	switch {
	case err == nil:
		return 0
	case errors.Is(err, errUsage) || errors.Is(err, flag.ErrHelp):
		fmt.Fprint(os.Stderr, usage)
		return 2
	default:
		fmt.Fprintln(os.Stderr, "localcluster:", err)
		return 1
	}
}

// options are the flags of one command. Flags may stand before, between and
// after the other arguments.
type options struct {
	*flag.FlagSet
	base *string
}

func newOptions(command string) options {
	set := flag.NewFlagSet(command, flag.ContinueOnError)
	set.SetOutput(os.Stderr)
	set.Usage = func() {}
	return options{FlagSet: set, base: set.String("run-dir", "", "")}
}

// parse returns the arguments that are no flags; there must be so many.
func (o options) parse(args []string, least, most int) ([]string, error) {
	var plain []string
	for {
		if err := o.Parse(args); err != nil {
			return nil, err
		}
		if o.NArg() == 0 {
			break
		}
		plain = append(plain, o.Arg(0))
		args = o.Args()[1:]
	}
	if len(plain) < least || len(plain) > most {
		return nil, errUsage
	}
	return plain, nil
}

// open reads the record of a cluster that exists.
func (o options) open(name string) (*controlplane.Cluster, error) {
	folder, err := runfolder.Open(*o.base, name)
	if err != nil {
		return nil, err
	}
	state, err := folder.Load()
	if err != nil {
		return nil, err
	}
	binary, err := os.Executable()
	return &controlplane.Cluster{Folder: folder, State: state, Binary: binary}, err
}

// change opens a cluster and keeps others from changing it meanwhile.
func (o options) change(name string) (cluster *controlplane.Cluster, unlock func(), err error) {
	if cluster, err = o.open(name); err != nil {
		return nil, nil, err
	}
	unlock, ok, err := cluster.Folder.Lock()
	if err == nil && !ok {
		err = fmt.Errorf("another command is changing cluster %q", name)
	}
	return cluster, unlock, err
}

func say(format string, args ...any) { fmt.Fprintf(os.Stderr, format+"\n", args...) }
