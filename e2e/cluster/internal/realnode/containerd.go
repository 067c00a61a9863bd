// containerd: its configuration, its start and its images.

package realnode

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"borealis.dev/e2e/cluster/internal/controlplane"
	"borealis.dev/e2e/cluster/internal/imagearchive"
	"borealis.dev/e2e/cluster/internal/kubeapi"
	"borealis.dev/e2e/cluster/internal/procs"
	"borealis.dev/e2e/cluster/internal/runfolder"
)

// The images that every real node has.
const (
	AppImage   = "borealis.test/app:1"
	NextImage  = "borealis.test/app:2"
	BadImage   = "borealis.test/app:bad"
	PauseImage = "borealis.test/pause:1"
)

func socket(folder runfolder.Folder) string { return folder.In("containerd", "containerd.sock") }

// containerdConfig keeps everything below the run folder, beside a containerd
// that the system may run for itself.
func containerdConfig(folder runfolder.Folder) string {
	return fmt.Sprintf(`version = 2
root = %q
state = %q
disabled_plugins = ["io.containerd.internal.v1.opt", "io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.zfs"]

[grpc]
  address = %q

[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = %q
  # Without it runc fails where CAP_SYS_RESOURCE is withheld, as in many containers.
  restrict_oom_score_adj = true
  disable_apparmor = true
  stream_server_address = "127.0.0.1"
  # Below the run folder, so that down finds and unmounts them.
  netns_mounts_under_state_dir = true

  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "overlayfs"
    default_runtime_name = "runc"

    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"

      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
        Root = %q

  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = %q
    conf_dir = %q
`, folder.In("containerd", "root"), folder.In("containerd", "state"), socket(folder), PauseImage,
		folder.In("runc"), pluginFolder, folder.In("config", "cni"))
}

// networkConfig is one bridge for all pods. Its name is the cluster's tag, since
// the plugins keep notes by name in a folder that all clusters share.
func networkConfig(folder runfolder.Folder) string {
	return fmt.Sprintf(`{
  "cniVersion": "0.4.0",
  "name": %q,
  "plugins": [{
    "type": "bridge",
    "bridge": "pods",
    "isGateway": true,
    "ipMasq": false,
    "hairpinMode": true,
    "ipam": {
      "type": "host-local",
      "dataDir": %q,
      "ranges": [[{"subnet": %q}]],
      "routes": [{"dst": "0.0.0.0/0"}]
    }
  }]
}
`, folder.Tag(), folder.In("cni"), podSubnet)
}

func startContainerd(ctx context.Context, c *controlplane.Cluster) error {
	folder := c.Folder
	for _, path := range []string{folder.In("containerd"), folder.In("config", "cni")} {
		if err := os.MkdirAll(path, 0o700); err != nil {
			return err
		}
	}
	config := folder.In("config", "containerd.toml")
	if err := os.WriteFile(config, []byte(containerdConfig(folder)), 0o600); err != nil {
		return err
	}
	if err := os.WriteFile(folder.In("config", "cni", "10-bridge.conflist"), []byte(networkConfig(folder)), 0o600); err != nil {
		return err
	}
	program, err := exec.LookPath("containerd")
	if err != nil {
		return err
	}
	if err := c.StartCommand(Containerd, procs.Command{
		Path: program, Args: []string{"--config", config}, Dir: folder.Path,
		Log: folder.Log(Containerd), RunFolder: folder.Path, Netns: c.State.RealNode.Netns,
	}); err != nil {
		return err
	}
	return kubeapi.Until(ctx, "containerd", 30*time.Second, func(ctx context.Context) error {
		if !c.State.Components[Containerd].Alive() {
			return kubeapi.Final{Err: fmt.Errorf("it has ended; the last lines of its log:\n%s", c.LogTail(Containerd, 10))}
		}
		return ctr(ctx, folder, "version")
	})
}

func ctr(ctx context.Context, folder runfolder.Folder, args ...string) error {
	return run(ctx, "ctr", append([]string{"--address", socket(folder), "--namespace", "k8s.io"}, args...)...)
}

// Import brings an image archive into the node. Pods that use it must say
// imagePullPolicy Never or IfNotPresent.
func Import(ctx context.Context, folder runfolder.Folder, archive string) error {
	return ctr(ctx, folder, "images", "import", archive)
}

// importOwnImages makes the test image, its next release, one that is never
// healthy, and the sandbox image. All are the one program that lies beside this
// one.
func importOwnImages(ctx context.Context, c *controlplane.Cluster) error {
	program := filepath.Join(filepath.Dir(c.Binary), "testimage")
	for name, image := range map[string]imagearchive.Image{
		AppImage:   {Command: []string{"/testimage"}},
		NextImage:  {Command: []string{"/testimage", "release-2"}},
		BadImage:   {Command: []string{"/testimage"}, Env: []string{"HEALTH=fail"}},
		PauseImage: {Command: []string{"/testimage", "pause"}},
	} {
		archive := c.Folder.In("image.tar")
		image.Name, image.Program, image.Path = name, program, "/testimage"
		if err := imagearchive.Write(archive, image); err != nil {
			return fmt.Errorf("image %s: %w", name, err)
		}
		if err := Import(ctx, c.Folder, archive); err != nil {
			return fmt.Errorf("image %s: %w", name, err)
		}
		if err := os.Remove(archive); err != nil {
			return err
		}
	}
	return nil
}
