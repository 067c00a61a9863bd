package charts

import (
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"helm.sh/helm/v4/pkg/chart/v2/loader"
	"helm.sh/helm/v4/pkg/chart/v2/util"

	"borealis.dev/charts/test/rendered"
)

func read(t *testing.T, path ...string) string {
	t.Helper()
	root, err := rendered.Repository()
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(append([]string{root}, path...)...))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// names lists the files of a folder of the repository.
func names(t *testing.T, folder ...string) []string {
	t.Helper()
	root, err := rendered.Repository()
	if err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(filepath.Join(append([]string{root}, folder...)...))
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, entry := range entries {
		out = append(out, entry.Name())
	}
	return out
}

// What is packed has left the repository, and its links with it: this is what a registry would serve.
func TestThePackedKindsAreThoseOfCrds(t *testing.T) {
	file, err := util.Save(load(t, "borealis-crds"), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	packed, err := loader.LoadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	texts, err := rendered.Chart(packed, map[string]any{}, rendered.Namespace)
	if err != nil {
		t.Fatal(err)
	}
	found := objects(t, rendered.Text(texts))
	files := names(t, "crds")
	if len(found) != len(files) || len(files) < 7 {
		t.Errorf("%d kinds are packed, of %d files in crds/", len(found), len(files))
	}
	for _, name := range files {
		want := objects(t, read(t, "crds", name))[0]
		got := find(t, found, "CustomResourceDefinition", at(t, want, "metadata", "name").(string))
		notes := at(t, got, "metadata", "annotations").(map[string]any)
		if notes["helm.sh/resource-policy"] != "keep" {
			t.Errorf("%s: an uninstall would take it away, and every object of it: %v", name, notes)
		}
		delete(notes, "helm.sh/resource-policy")
		if len(notes) == 0 {
			delete(got["metadata"].(map[string]any), "annotations")
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s: the packed one says something else", name)
		}
	}
}

func TestDeployIsWhatTheChartComesTo(t *testing.T) {
	root, err := rendered.Repository()
	if err != nil {
		t.Fatal(err)
	}
	files, err := rendered.Deploy()
	if err != nil {
		t.Fatal(err)
	}
	stale, err := rendered.Stale(filepath.Join(root, "deploy"), files)
	if err != nil {
		t.Fatal(err)
	}
	if len(stale) > 0 {
		t.Errorf("not what the chart comes to: %v; run `make generate`", stale)
	}
}

// The plain files differ from the chart's own values in three things, and in nothing else.
func TestDeployDiffersFromTheDefaultsInWhatItSays(t *testing.T) {
	plain, err := rendered.Deploy()
	if err != nil {
		t.Fatal(err)
	}
	values := parse(t, "{namespace: {create: true}, image: {tag: latest}, keepOnUninstall: false}")
	texts := render(t, values)
	for name, text := range plain {
		if !strings.HasSuffix(name, ".yaml") {
			continue
		}
		if want := objects(t, texts["templates/"+name]); !reflect.DeepEqual(objects(t, text), want) {
			t.Errorf("deploy/%s: it is not the chart with %v", name, values)
		}
	}
}

func TestTheChartsCarryTheVersionOfTheProgram(t *testing.T) {
	version := regexp.MustCompile(`(?m)^version = "(.*)"$`).FindStringSubmatch(read(t, "Cargo.toml"))[1]
	for _, name := range []string{"borealis", "borealis-crds"} {
		of := load(t, name)
		if of.Metadata.Version != version || of.Metadata.AppVersion != version {
			t.Errorf("%s: version %s, appVersion %s, and Cargo.toml has %s", name, of.Metadata.Version, of.Metadata.AppVersion, version)
		}
	}
}

// The account and the namespace stand in many places; none may be left as it is by default.
func TestTheAccountIsTheSameEverywhere(t *testing.T) {
	values := parse(t, "{serviceAccount: {name: operator}, lease: {name: other}}")
	texts, err := rendered.Chart(load(t, "borealis"), values, "elsewhere")
	if err != nil {
		t.Fatal(err)
	}
	text := rendered.Text(texts)
	if strings.Contains(text, rendered.Namespace) {
		t.Errorf("%s is named, though it is installed elsewhere", rendered.Namespace)
	}
	accounts := regexp.MustCompile(`system:serviceaccount:[a-z:-]+`).FindAllString(text, -1)
	policies := map[string]int{}
	for _, account := range accounts {
		policies[account]++
	}
	collector := "system:serviceaccount:kube-system:generic-garbage-collector"
	ours := "system:serviceaccount:elsewhere:operator"
	if got := slices.Sorted(maps.Keys(policies)); !slices.Equal(got, []string{ours, collector}) {
		t.Errorf("accounts: %v", got)
	}
	all := objects(t, text)
	for _, kind := range []string{"ClusterRoleBinding", "RoleBinding"} {
		subject := at(t, find(t, all, kind, "borealis"), "subjects", 0).(map[string]any)
		if subject["name"] != "operator" || subject["namespace"] != "elsewhere" {
			t.Errorf("%s: %v", kind, subject)
		}
	}
	flow := at(t, find(t, all, "FlowSchema", "borealis-leader-election"), "spec", "rules", 0)
	if at(t, flow, "subjects", 0, "serviceAccount", "name") != "operator" || at(t, flow, "resourceRules", 0, "namespaces", 0) != "elsewhere" {
		t.Errorf("FlowSchema: %v", flow)
	}
	lease := at(t, find(t, all, "ValidatingAdmissionPolicyBinding", "borealis-term"), "spec", "paramRef").(map[string]any)
	if lease["name"] != "other" || lease["namespace"] != "elsewhere" {
		t.Errorf("the fence goes by another Lease: %v", lease)
	}
	if got := at(t, find(t, all, "Role", "borealis"), "rules", 1, "resourceNames", 0); got != "other" {
		t.Errorf("the operator may renew the Lease %v", got)
	}
	if at(t, find(t, all, "Deployment", "borealis"), "spec", "template", "spec", "serviceAccountName") != "operator" {
		t.Error("the operator runs under another account")
	}
}

// People get rights on what is theirs, and nobody but administrators on who tenants are and how work ranks.
func TestRolesOfPeople(t *testing.T) {
	all := objects(t, render(t, map[string]any{})["templates/22-users.yaml"])
	type rule struct{ aggregated, resource, verb string }
	granted := map[rule]bool{}
	for _, role := range all {
		labels := at(t, role, "metadata", "labels").(map[string]any)
		for _, to := range []string{"view", "edit", "admin"} {
			if labels["rbac.authorization.k8s.io/aggregate-to-"+to] != "true" {
				continue
			}
			for _, each := range role["rules"].([]any) {
				for _, resource := range at(t, each, "resources").([]any) {
					for _, verb := range at(t, each, "verbs").([]any) {
						granted[rule{to, resource.(string), verb.(string)}] = true
					}
				}
			}
		}
	}
	for _, one := range []struct {
		rule rule
		is   bool
	}{
		{rule{"view", "auroraservices", "watch"}, true},
		{rule{"view", "tiers", "get"}, true},
		{rule{"view", "auroraservices", "patch"}, false},
		{rule{"view", "auroraservices/scale", "get"}, true},
		{rule{"view", "auroraservices/scale", "patch"}, false},
		{rule{"edit", "auroraservices", "create"}, true},
		{rule{"edit", "auroracrons", "delete"}, true},
		{rule{"edit", "aurorajobs/scale", "patch"}, true},
		{rule{"edit", "auroraupdates", "patch"}, true},
		{rule{"edit", "auroraupdates", "create"}, false},
		{rule{"edit", "auroraupdates", "delete"}, false},
		{rule{"admin", "auroraroles", "get"}, true},
	} {
		if granted[one.rule] != one.is {
			t.Errorf("%v: granted is %v", one.rule, granted[one.rule])
		}
	}
	for rule := range granted {
		reads := slices.Contains([]string{"get", "list", "watch"}, rule.verb)
		ofTenancy := slices.Contains([]string{"auroraroles", "tiers", "frameworks"}, strings.Split(rule.resource, "/")[0])
		if !reads && (ofTenancy || strings.HasSuffix(rule.resource, "/status")) {
			t.Errorf("%v: that is for others to write", rule)
		}
		if rule.aggregated == "admin" {
			rule.aggregated = "edit"
			if !granted[rule] {
				t.Errorf("admin may what edit may not: %v", rule)
			}
		}
	}
}
