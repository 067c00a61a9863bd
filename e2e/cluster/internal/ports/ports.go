// Package ports finds TCP ports that nobody listens on, so that several
// clusters run side by side.
package ports

import (
	"fmt"
	"net"
)

// Free returns n different ports that are free on host right now. All are held
// open until the last is found, so that none is given out twice.
func Free(host string, n int) ([]int, error) {
	found := make([]int, 0, n)
	for range n {
		listener, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
		if err != nil {
			return nil, fmt.Errorf("find a free port: %w", err)
		}
		defer listener.Close()
		found = append(found, listener.Addr().(*net.TCPAddr).Port)
	}
	return found, nil
}
