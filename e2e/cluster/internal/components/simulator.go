// KWOK, as a library, with the stages of package simulation.

package components

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
	"k8s.io/utils/clock"
	"sigs.k8s.io/kwok/pkg/apis/internalversion"
	kwokconfig "sigs.k8s.io/kwok/pkg/config"
	"sigs.k8s.io/kwok/pkg/kwok/controllers"
	kwokclient "sigs.k8s.io/kwok/pkg/utils/client"

	"borealis.dev/e2e/cluster/internal/simulation"
)

// runSimulator is KWOK with this project's stages. It is used as a library and
// not by its own command so that the stages get one more function (see onlyUp),
// and so that clients have no rate limit of their own.
func runSimulator(args []string) int {
	flags := flag.NewFlagSet("kwok", flag.ExitOnError)
	config := flags.String("kubeconfig", "", "kubeconfig of the simulator")
	lease := flags.Uint("node-lease-duration-seconds", 40, "duration of a node's lease; it is renewed four times as often")
	if err := flags.Parse(args); err != nil {
		return 2
	}
	ctx, cancel := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer cancel()
	if err := simulate(ctx, *config, *lease); err != nil {
		slog.Error("the simulator ended", "error", err)
		return 1
	}
	return 0
}

func simulate(ctx context.Context, config string, lease uint) error {
	stages, err := loadStages()
	if err != nil {
		return err
	}
	clients, err := kwokclient.NewClientset("", config)
	if err != nil {
		return err
	}
	restConfig, err := clients.ToRESTConfig() // already without a rate limit
	if err != nil {
		return err
	}
	dynamicClient, err := clients.ToDynamicClient()
	if err != nil {
		return err
	}
	mapper, err := clients.ToRESTMapper()
	if err != nil {
		return err
	}
	restClient, err := rest.RESTClientFor(restConfig)
	if err != nil {
		return err
	}
	typed, err := kubernetes.NewForConfig(restConfig)
	if err != nil {
		return err
	}
	guard, err := onlyUp(ctx, typed)
	if err != nil {
		return err
	}
	controller, err := controllers.NewController(controllers.Config{
		Clock:                        clock.RealClock{},
		DynamicClient:                dynamicClient,
		RESTClient:                   restClient,
		RESTMapper:                   mapper,
		TypedClient:                  typed,
		ManageNodesWithLabelSelector: simulation.KubeletLabel + "=" + simulation.KubeletUp,
		CIDR:                         simulation.PodNetwork,
		NodeIP:                       simulation.NodeAddress,
		LocalStages:                  stages,
		PodPlayStageParallelism:      16,
		NodePlayStageParallelism:     8,
		NodeLeaseParallelism:         8,
		PodsOnNodeSyncParallelism:    8,
		NodeLeaseDurationSeconds:     lease,
		// A fixed identity: after a restart the leases are still its own.
		ID:      "simulator",
		FuncMap: map[string]any{"OnlyUp": guard},
	})
	if err != nil {
		return err
	}
	if err := controller.Start(ctx); err != nil {
		return err
	}
	slog.Info("simulating nodes", "pid", os.Getpid())
	<-ctx.Done()
	return nil
}

// onlyUp returns the function that a stage calls to check that the node of a
// pod is not lost. KWOK forgets a node that loses its label, but goes on with
// what it had already planned for its pods; an error here stops that.
func onlyUp(ctx context.Context, client kubernetes.Interface) (func(string) (string, error), error) {
	factory := informers.NewSharedInformerFactoryWithOptions(client, 0,
		informers.WithTweakListOptions(func(options *metav1.ListOptions) {
			options.LabelSelector = simulation.KubeletLabel + "=" + simulation.KubeletUp
		}))
	nodes := factory.Core().V1().Nodes()
	informer := nodes.Informer()
	factory.Start(ctx.Done())
	if !cache.WaitForCacheSync(ctx.Done(), informer.HasSynced) {
		return nil, ctx.Err()
	}
	return func(name string) (string, error) {
		if _, err := nodes.Lister().Get(name); err != nil {
			return "", fmt.Errorf("node %s is lost", name)
		}
		return "", nil
	}, nil
}

func loadStages() (map[internalversion.StageResourceRef][]*internalversion.Stage, error) {
	documents, err := simulation.Stages()
	if err != nil {
		return nil, err
	}
	stages := map[internalversion.StageResourceRef][]*internalversion.Stage{}
	for name, document := range documents {
		stage, err := kwokconfig.UnmarshalWithType[*internalversion.Stage](document)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		ref := stage.Spec.ResourceRef
		stages[ref] = append(stages[ref], stage)
	}
	return stages, nil
}
