package charts

import (
	"encoding/json"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
)

// served is what the operator serves, by the names that Prometheus stores, with the kind of each.
func served(t *testing.T) map[string]string {
	t.Helper()
	field := regexp.MustCompile(`(?m)^    (\w+): (?:Family<\w+, )?(Counter|Gauge|Histogram)\b`)
	// The last word of a registration is the field, or a variable of its name.
	registered := regexp.MustCompile(`(?s)r\.register(_with_unit)?\(\s*"(\w+)",(.*?)(\w+)(?:\.clone\(\))?,?\s*\);`)
	out := map[string]string{}
	for _, file := range [][]string{
		{"metrics.rs"}, {"metrics", "calls.rs"}, {"metrics", "crons.rs"}, {"metrics", "levels.rs"},
		{"metrics", "preemption.rs"}, {"metrics", "quota.rs"}, {"metrics", "watches.rs"},
	} {
		text := read(t, append([]string{"src"}, file...)...)
		kinds := map[string]string{}
		for _, found := range field.FindAllStringSubmatch(text, -1) {
			kinds[found[1]] = found[2]
		}
		all := registered.FindAllStringSubmatch(text, -1)
		if calls := len(regexp.MustCompile(`\br\.register`).FindAllString(text, -1)); len(all) != calls {
			t.Fatalf("%v: %d of %d registrations could be read", file, len(all), calls)
		}
		for _, found := range all {
			name := "borealis_" + found[2]
			if found[1] != "" {
				if !strings.Contains(found[3], "Unit::Seconds") {
					t.Fatalf("%s: another unit than seconds", name)
				}
				name += "_seconds"
			}
			switch kinds[found[4]] {
			case "Counter":
				out[name+"_total"] = "counter"
			case "Gauge":
				out[name] = "gauge"
			case "Histogram":
				out[name+"_bucket"], out[name+"_sum"], out[name+"_count"] = "histogram", "histogram", "histogram"
			default:
				t.Fatalf("%s: what it is could not be read (%s)", name, found[4])
			}
		}
	}
	return out
}

// documented reads the table of docs/operations.md: kinds and labels by the names that are written there.
func documented(t *testing.T) map[string]struct {
	kind   string
	labels []string
} {
	t.Helper()
	line := regexp.MustCompile("(?m)^\\| `(borealis_\\w+)` \\| (\\w+) \\| ([^|]*)\\|")
	out := map[string]struct {
		kind   string
		labels []string
	}{}
	for _, found := range line.FindAllStringSubmatch(read(t, "docs", "operations.md"), -1) {
		one := out[found[1]]
		one.kind = found[2]
		for _, label := range regexp.MustCompile("`(\\w+)`").FindAllStringSubmatch(found[3], -1) {
			one.labels = append(one.labels, label[1])
		}
		out[found[1]] = one
	}
	return out
}

func TestWhatIsReadFromTheSourceIsWhatIsDocumented(t *testing.T) {
	served, documented := served(t), documented(t)
	if len(documented) < 20 {
		t.Fatalf("%d metrics could be read from docs/operations.md", len(documented))
	}
	for name, one := range documented {
		if one.kind == "histogram" {
			name += "_bucket"
		}
		if served[name] != one.kind {
			t.Errorf("%s: documented as a %s, and it is %q", name, one.kind, served[name])
		}
	}
}

// queries are the dashboard's, by the titles of their panels.
func queries(t *testing.T) map[string][]string {
	t.Helper()
	var dashboard struct {
		Panels []struct {
			Title   string
			Targets []struct{ Expr string }
		}
	}
	if err := json.Unmarshal([]byte(read(t, "charts", "borealis", "files", "dashboard.json")), &dashboard); err != nil {
		t.Fatal(err)
	}
	out := map[string][]string{}
	for _, panel := range dashboard.Panels {
		for _, target := range panel.Targets {
			// Grafana puts times in where Prometheus sees them.
			expr := strings.NewReplacer("$__rate_interval", "5m", "$__range", "3h").Replace(target.Expr)
			out[panel.Title] = append(out[panel.Title], expr)
		}
	}
	if len(out) < 15 {
		t.Fatalf("%d panels have queries", len(out))
	}
	return out
}

// selectors are the metrics that a query asks for, with what it asks of their labels.
func selectors(t *testing.T, expr string) []*parser.VectorSelector {
	t.Helper()
	tree, err := parser.NewParser(parser.Options{}).ParseExpr(expr)
	if err != nil {
		t.Fatalf("%s: %v", expr, err)
	}
	var out []*parser.VectorSelector
	parser.Inspect(tree, func(node parser.Node, _ []parser.Node) error {
		if selector, is := node.(*parser.VectorSelector); is {
			out = append(out, selector)
		}
		return nil
	})
	return out
}

// What is counted only counts up, so it is asked for by its growth; what is measured is not.
func TestQueriesAskForWhatIsServed(t *testing.T) {
	served, sources := served(t), sources(t)
	shown := map[string]bool{}
	check := func(where, expr string) {
		for _, selector := range selectors(t, expr) {
			kind, is := served[selector.Name]
			if !is {
				t.Errorf("%s: the operator serves no %s", where, selector.Name)
			}
			shown[selector.Name] = true
			grows := regexp.MustCompile(`(rate|increase)\(` + selector.Name)
			if kind == "gauge" && grows.MatchString(expr) || kind == "histogram" && !grows.MatchString(expr) {
				t.Errorf("%s: %s is a %s, which %s does not take for one", where, selector.Name, kind, expr)
			}
			for _, matcher := range selector.LabelMatchers {
				for value := range strings.SplitSeq(matcher.Value, "|") {
					if matcher.Name == labels.MetricName || matcher.Name == "code" || strings.ContainsAny(value, ".*+") {
						continue
					}
					is := strings.Contains(sources, `"`+value+`"`)
					if matcher.Name == "percentile" {
						// These are numbers there.
						is = regexp.MustCompile(`PERCENTILES: .*\b` + regexp.QuoteMeta(value) + `\b.*;`).MatchString(sources)
					}
					if !is {
						t.Errorf("%s: no %s of %s is ever %q", where, matcher.Name, selector.Name, value)
					}
				}
			}
		}
	}
	for title, exprs := range queries(t) {
		for _, expr := range exprs {
			check("panel "+title, expr)
		}
	}
	for name := range served {
		base := strings.NewReplacer("_sum", "_bucket", "_count", "_bucket").Replace(name)
		if served[name] == "histogram" && !shown[base] || served[name] != "histogram" && !shown[name] {
			t.Errorf("%s: no panel shows it", name)
		}
	}
	for _, alert := range alerts(t) {
		check("alert "+alert.Alert, alert.Expr)
	}
}

// Labels that alerts and panels go by are the metric's own, or those of the scrape.
func TestQueriesGroupByLabelsThatAreThere(t *testing.T) {
	known := []string{"cluster", "pod", "instance", "le", "role", "resource", "part", "reason", "event", "phase"}
	for _, one := range documented(t) {
		known = append(known, one.labels...)
	}
	by := regexp.MustCompile(`by \(([^)]*)\)`)
	check := func(where, expr string) {
		for _, found := range by.FindAllStringSubmatch(expr, -1) {
			for label := range strings.SplitSeq(found[1], ", ") {
				if !slices.Contains(known, label) {
					t.Errorf("%s: nothing has a label %s", where, label)
				}
			}
		}
	}
	for title, exprs := range queries(t) {
		check("panel "+title, strings.Join(exprs, "\n"))
	}
	for _, alert := range alerts(t) {
		check("alert "+alert.Alert, alert.Expr)
	}
}
