// The network namespace in which a cluster with a real node lives.

package realnode

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"strings"

	"borealis.dev/e2e/cluster/internal/controlplane"
	"borealis.dev/e2e/cluster/internal/runfolder"
)

const (
	// podSubnet lies behind a bridge inside the namespace, so that all clusters can use the same.
	podSubnet = "10.202.0.0/24"
	// linkNetwork is cut into /30s, one for each cluster's link to the host.
	linkNetwork = "10.201.0.0/16"
)

// netnsPath is where ip keeps the namespaces that have a name.
func netnsPath(tag string) string { return "/var/run/netns/" + tag }

// The link's two ends. Interface names hold 15 characters at most.
func hostEnd(tag string) string  { return tag + "h" }
func innerEnd(tag string) string { return tag + "n" }

// makeNetwork makes the namespace and a link to the host. The control plane
// will listen on the inner address, and nodes report it as theirs.
func makeNetwork(ctx context.Context, c *controlplane.Cluster) error {
	tag := c.Folder.Tag()
	host, inner, err := freeLink(tag)
	if err != nil {
		return err
	}
	in := func(args ...string) []string { return append([]string{"-n", tag}, args...) }
	for _, args := range [][]string{
		{"netns", "add", tag},
		{"link", "add", hostEnd(tag), "type", "veth", "peer", "name", innerEnd(tag), "netns", tag},
		{"addr", "add", host + "/30", "dev", hostEnd(tag)},
		{"link", "set", hostEnd(tag), "up"},
		in("link", "set", "lo", "up"),
		in("addr", "add", inner+"/30", "dev", innerEnd(tag)),
		in("link", "set", innerEnd(tag), "up"),
		// The API server listens on every address in here. With its cluster address
		// among them pods find it as on any cluster, without a proxy.
		in("addr", "add", controlplane.APIServerClusterIP+"/32", "dev", "lo"),
		// Some programs look for the address that leads outside; nothing is forwarded.
		in("route", "add", "default", "via", host),
	} {
		if err := run(ctx, "ip", args...); err != nil {
			return errors.Join(fmt.Errorf("network namespace: %w", err), removeNetwork(tag))
		}
	}
	c.State.RealNode.Netns = netnsPath(tag)
	c.State.Address = inner
	return nil
}

// removeNetwork removes the namespace and the link, if there.
func removeNetwork(tag string) error {
	ctx := context.Background()
	if _, err := net.InterfaceByName(hostEnd(tag)); err == nil {
		if err := run(ctx, "ip", "link", "del", hostEnd(tag)); err != nil && !strings.Contains(err.Error(), "Cannot find") {
			return err
		}
	}
	if !exists(netnsPath(tag)) {
		return nil
	}
	return run(ctx, "ip", "netns", "del", tag)
}

// freeLink chooses the two addresses of a /30 that overlaps no address of this
// machine. The search starts at a place that the cluster's own tag chooses, so
// that two clusters that start at once do not choose the same.
func freeLink(tag string) (host, inner string, err error) {
	addresses, err := net.InterfaceAddrs()
	if err != nil {
		return "", "", err
	}
	_, all, err := net.ParseCIDR(linkNetwork)
	if err != nil {
		return "", "", err
	}
	base := binary.BigEndian.Uint32(all.IP.To4())
	seed, _ := hex.DecodeString(strings.TrimPrefix(tag, runfolder.TagPrefix))
	start := uint32(0)
	for _, b := range seed {
		start = start<<8 | uint32(b)
	}
	const links = 1 << 14 // /30s in a /16
	for i := range uint32(links) {
		first := base + (start+i)%links*4
		link := net.IPNet{IP: ip(first), Mask: net.CIDRMask(30, 32)}
		if !overlaps(link, addresses) {
			return ip(first + 1).String(), ip(first + 2).String(), nil
		}
	}
	return "", "", fmt.Errorf("no free network in %s", linkNetwork)
}

func overlaps(link net.IPNet, addresses []net.Addr) bool {
	for _, address := range addresses {
		other, ok := address.(*net.IPNet)
		if ok && (link.Contains(other.IP) || other.Contains(link.IP)) {
			return true
		}
	}
	return false
}

func ip(number uint32) net.IP {
	return binary.BigEndian.AppendUint32(nil, number)
}
