// Ports that are given out must be free and different.

package ports

import (
	"fmt"
	"net"
	"testing"
)

func TestFreePortsDifferAndCanBeTaken(t *testing.T) {
	found, err := Free("127.0.0.1", 20)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[int]bool{}
	for _, port := range found {
		if seen[port] {
			t.Errorf("port %d was given out twice", port)
		}
		seen[port] = true
		listener, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			t.Errorf("port %d is not free: %v", port, err)
			continue
		}
		listener.Close()
	}
	if len(seen) != 20 {
		t.Errorf("asked for 20 ports, got %d", len(seen))
	}
}
