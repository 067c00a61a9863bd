// kubeconfig: the administrator's, or one for any user.

package cli

import (
	"context"
	"fmt"
	"strings"
)

// words is a flag that may be given several times.
type words []string

func (w *words) String() string { return strings.Join(*w, ",") }

func (w *words) Set(word string) error {
	*w = append(*w, word)
	return nil
}

func kubeconfig(_ context.Context, args []string) error {
	o := newOptions("kubeconfig")
	user := o.String("user", "", "")
	var groups words
	o.Var(&groups, "group", "")
	plain, err := o.parse(args, 1, 1)
	if err != nil {
		return err
	}
	cluster, err := o.open(plain[0])
	if err != nil {
		return err
	}
	if *user == "" {
		if len(groups) > 0 {
			return errUsage
		}
		fmt.Println(cluster.Folder.Kubeconfig("admin"))
		return nil
	}
	if *user == "admin" {
		return fmt.Errorf("admin is the cluster's own administrator: leave --user out, or choose another name")
	}
	path, err := cluster.IssueUser(*user, groups)
	if err != nil {
		return err
	}
	fmt.Println(path)
	return nil
}
