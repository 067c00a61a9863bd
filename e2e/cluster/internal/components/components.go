// Package components holds the real programs of Kubernetes as sub-commands of
// the one binary. One binary shares the libraries: it builds in one go and is a
// third of the size of six. It is the only package that imports Kubernetes.
package components

import (
	"context"
	"os"

	"github.com/spf13/cobra"
	"go.etcd.io/etcd/server/v3/etcdmain"
	"k8s.io/component-base/cli"
	"k8s.io/component-base/logs"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	controllermanager "k8s.io/kubernetes/cmd/kube-controller-manager/app"
	scheduler "k8s.io/kubernetes/cmd/kube-scheduler/app"
	kubelet "k8s.io/kubernetes/cmd/kubelet/app"

	kubectl "k8s.io/kubectl/pkg/cmd"
	kubectlutil "k8s.io/kubectl/pkg/cmd/util"

	// As in the programs' own main packages: time zones for CronJobs, client and version metrics.
	_ "time/tzdata"

	_ "k8s.io/component-base/metrics/prometheus/clientgo"
	_ "k8s.io/component-base/metrics/prometheus/version"
)

// Main runs a component with the arguments that follow its name and returns
// the exit status; ok is false if there is no component of that name.
func Main(name string, args []string) (code int, ok bool) {
	run := map[string]func([]string) int{
		"etcd":                    runEtcd,
		"kube-apiserver":          runCommand(apiserver.NewAPIServerCommand),
		"kube-controller-manager": runCommand(controllermanager.NewControllerManagerCommand),
		"kube-scheduler":          runCommand(func() *cobra.Command { return scheduler.NewSchedulerCommand() }),
		"kubelet":                 runCommand(func() *cobra.Command { return kubelet.NewKubeletCommand(context.Background()) }),
		"kubectl":                 runKubectl,
		"kwok":                    runSimulator,
	}[name]
	if run == nil {
		return 0, false
	}
	// The programs read their arguments from here, some of them more than once.
	os.Args = append([]string{name}, args...)
	return run(args), true
}

func runCommand(create func() *cobra.Command) func([]string) int {
	return func(args []string) int {
		command := create()
		command.SetArgs(args)
		return cli.Run(command)
	}
}

func runEtcd([]string) int {
	etcdmain.Main(os.Args)
	return 0
}

func runKubectl([]string) int {
	_, _ = logs.GlogSetter(kubectl.GetLogVerbosity(os.Args))
	if err := cli.RunNoErrOutput(kubectl.NewDefaultKubectlCommand()); err != nil {
		kubectlutil.CheckErr(err)
	}
	return 0
}
