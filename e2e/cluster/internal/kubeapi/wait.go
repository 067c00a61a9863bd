// Waiting for the API server, or for something that it reports.

package kubeapi

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Final wraps an error that no waiting can mend.
type Final struct{ Err error }

func (f Final) Error() string { return f.Err.Error() }

// Until asks again and again until ask succeeds. When the time is over it
// returns the last answer, which says what was still wrong; a Final one it
// returns at once.
func Until(ctx context.Context, what string, limit time.Duration, ask func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	var last error
	for {
		if err := ask(ctx); err == nil {
			return nil
		} else if ctx.Err() == nil || last == nil {
			last = err
		}
		var final Final
		if errors.As(last, &final) {
			return fmt.Errorf("%s: %w", what, last)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s: not after %v: %w", what, limit, last)
		case <-time.After(100 * time.Millisecond):
		}
	}
}
