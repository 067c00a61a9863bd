package charts

import (
	"context"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/promql/promqltest"

	"borealis.dev/charts/test/rendered"
	"sigs.k8s.io/yaml"
)

// alerts are those of the rendered chart, read as Prometheus reads its rules.
func alerts(t *testing.T) []rulefmt.Rule {
	t.Helper()
	texts := render(t, parse(t, "prometheusRule: {enabled: true}"))
	object := objects(t, texts["templates/52-alerts.yaml"])[0]
	text, err := yaml.Marshal(object["spec"])
	if err != nil {
		t.Fatal(err)
	}
	groups, errs := rulefmt.Parse(text, false, model.UTF8Validation, parser.NewParser(parser.Options{}), slog.New(slog.DiscardHandler))
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	var out []rulefmt.Rule
	for _, group := range groups.Groups {
		out = append(out, group.Rules...)
	}
	return out
}

// sources is all of the program's own code.
func sources(t *testing.T) string {
	t.Helper()
	root, err := rendered.Repository()
	if err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	for _, folder := range []string{"src", filepath.Join("core", "src")} {
		err := filepath.WalkDir(filepath.Join(root, folder), func(path string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() || filepath.Ext(path) != ".rs" {
				return err
			}
			text, err := os.ReadFile(path)
			all.Write(text)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return all.String()
}

func TestEachAlertHasARunbookAndARank(t *testing.T) {
	pages := names(t, "docs", "runbooks")
	var wanted []string
	for _, alert := range alerts(t) {
		page := alert.Alert + ".md"
		wanted = append(wanted, page)
		if alert.Annotations["runbook_url"] != "docs/runbooks/"+page {
			t.Errorf("%s: its runbook is %q", alert.Alert, alert.Annotations["runbook_url"])
		}
		if !slices.Contains(pages, page) {
			t.Errorf("%s: there is no docs/runbooks/%s", alert.Alert, page)
			continue
		}
		text := read(t, "docs", "runbooks", page)
		for _, part := range []string{"# " + alert.Alert + "\n", "\n## What it means\n", "\n## What to look at\n", "\n## What to do\n"} {
			if !strings.Contains(text, part) {
				t.Errorf("docs/runbooks/%s: there is no %q", page, strings.TrimSpace(part))
			}
		}
		if !slices.Contains([]string{"critical", "warning", "info"}, alert.Labels["severity"]) {
			t.Errorf("%s: severity %q", alert.Alert, alert.Labels["severity"])
		}
		if alert.Annotations["summary"] == "" || alert.Annotations["description"] == "" {
			t.Errorf("%s: it does not say what is the matter", alert.Alert)
		}
	}
	for _, page := range pages {
		if page != "README.md" && !slices.Contains(wanted, page) {
			t.Errorf("docs/runbooks/%s: there is no such alert", page)
		}
	}
}

// Series as Prometheus would scrape them each minute, under which an alert fires in the end, or never does.
var scraped = map[string]struct{ fires, never []string }{
	"BorealisDown": {
		fires: []string{`up{pod="a"} 0x60`, `borealis_is_leader{pod="a"} 1x20 stale`},
		// A new version is rolled out, and for a moment nobody is there.
		never: []string{`borealis_is_leader{pod="a"} 0x20 stale`, `borealis_is_leader{pod="b"} _x24 0x35`},
	},
	"BorealisNoLeader": {
		fires: []string{`borealis_is_leader{pod="a"} 0x60`, `borealis_is_leader{pod="b"} 1x50 0x9`},
		// The lease changes hands, and a scrape falls between.
		never: []string{`borealis_is_leader{pod="a"} 1x29 0x30`, `borealis_is_leader{pod="b"} 0x30 1x29`},
	},
	"BorealisTwoLeaders": {
		fires: []string{`borealis_is_leader{pod="a"} 1x60`, `borealis_is_leader{pod="b"} 0x30 1x29`},
		never: []string{`borealis_is_leader{pod="a"} 1x30 0x29`, `borealis_is_leader{pod="b"} 0x29 1x30`},
	},
	"BorealisDuplicateInstances": {
		fires: []string{`borealis_duplicate_instances_total{pod="a"} 0x55 1x4`},
		never: []string{`borealis_duplicate_instances_total{pod="a"} 0x60`},
	},
	"BorealisFencedWrites": {
		fires: []string{`borealis_fenced_writes_total{pod="a"} 0+1x60`},
		never: []string{`borealis_fenced_writes_total{pod="a"} 0x20 40x39`, `borealis_fenced_writes_total{pod="b"} 0x60`},
	},
	"BorealisTermRefusals": {
		fires: []string{`borealis_term_refusals_total{pod="a"} 0x30 0+120x29`},
		never: []string{`borealis_term_refusals_total{pod="a"} 0x20 40x39`, `borealis_term_refusals_total{pod="b"} 0x60`},
	},
	"BorealisUnsettledServices": {
		fires: []string{`borealis_unsettled_services{pod="a"} 3x60`, `borealis_is_leader{pod="a"} 1x60`},
		never: []string{`borealis_unsettled_services{pod="a"} 3x60`, `borealis_is_leader{pod="a"} 0x60`,
			`borealis_unsettled_services{pod="b"} 0x20 5x10 0x29`, `borealis_is_leader{pod="b"} 1x60`},
	},
	"BorealisReconcileSlow": {
		fires: []string{`borealis_reconcile_seconds_bucket{pod="a",le="6.5536"} 0+8x60`,
			`borealis_reconcile_seconds_bucket{pod="a",le="26.2144"} 0+10x60`, `borealis_reconcile_seconds_bucket{pod="a",le="+Inf"} 0+10x60`},
		// One in a hundred, and the few that fell into a short trouble.
		never: []string{`borealis_reconcile_seconds_bucket{pod="a",le="6.5536"} 0+99x30 3000x1 3099+99x27`,
			`borealis_reconcile_seconds_bucket{pod="a",le="26.2144"} 0+100x60`, `borealis_reconcile_seconds_bucket{pod="a",le="+Inf"} 0+100x60`},
	},
	"BorealisApiErrors": {
		fires: []string{`borealis_api_calls_total{verb="get",code="200"} 0+90x60`, `borealis_api_calls_total{verb="get",code="timeout"} 0+4x60`,
			`borealis_api_calls_total{verb="patch",code="503"} 0+4x60`},
		// What is not there and what has changed are answers like others.
		never: []string{`borealis_api_calls_total{verb="get",code="200"} 0+90x60`, `borealis_api_calls_total{verb="get",code="404"} 0+50x60`,
			`borealis_api_calls_total{verb="patch",code="409"} 0+50x60`, `borealis_api_calls_total{verb="patch",code="429"} 0+4x60`, `borealis_api_calls_total{verb="patch",code="500"} 0x30 300x29`},
	},
	"BorealisCronRunsMissed": {
		fires: []string{`borealis_cron_events_total{event="RunMissed"} _x55 1x4`},
		never: []string{`borealis_cron_events_total{event="RunStarted"} 0+1x60`, `borealis_cron_events_total{event="RunSkipped"} _x30 1x29`},
	},
	"BorealisUpdatesFailed": {
		fires: []string{`borealis_updates{state="FAILED"} 1x60`, `borealis_updates{state="ERROR"} 0x60`},
		never: []string{`borealis_updates{state="FAILED"} 0x20 1x5 0x33`, `borealis_updates{state="ERROR"} 0x60`, `borealis_updates{state="ROLLED_BACK"} 9x60`},
	},
	"BorealisUpdatesRolledBack": {
		fires: []string{`borealis_updates{pod="a",state="ROLLED_BACK"} 2x50 3x9`, `borealis_updates{pod="b",state="ROLLED_BACK"} 2x50 3x9`},
		never: []string{`borealis_updates{pod="a",state="ROLLED_BACK"} 3x30 2x29`},
	},
	"BorealisQuotaFull": {
		fires: []string{`borealis_quota_held_services{pod="a",role="web"} 2x60`},
		never: []string{`borealis_quota_held_services{pod="a",role="web"} 2x20 0x39`},
	},
	"BorealisEventsDropped": {
		fires: []string{`borealis_events_dropped_total{pod="a"} 0+5x60`},
		never: []string{`borealis_events_dropped_total{pod="a"} 0x20 900x39`},
	},
	"BorealisWatchRelists": {
		fires: []string{`borealis_watch_lists_total{pod="a"} 20+3x60`},
		never: []string{`borealis_watch_lists_total{pod="a"} 0 20x59`, `borealis_watch_lists_total{pod="b"} _x20 20x39`},
	},
	"BorealisUnreadableObjects": {
		fires: []string{`borealis_unreadable_objects_total{pod="a"} 0x55 1x4`},
		never: []string{`borealis_unreadable_objects_total{pod="a"} 0x60`},
	},
}

func TestAlertsFireWhenTheyShould(t *testing.T) {
	engine := promqltest.NewTestEngine(t, false, 5*time.Minute, 1_000_000)
	for _, alert := range alerts(t) {
		series, is := scraped[alert.Alert]
		if !is {
			t.Errorf("%s: no series to try it with", alert.Alert)
			continue
		}
		if firing := fired(t, engine, alert, series.fires); len(firing) == 0 || firing[len(firing)-1] != 59 {
			t.Errorf("%s: it does not fire in the end, but in minutes %v", alert.Alert, firing)
		}
		if firing := fired(t, engine, alert, series.never); len(firing) > 0 {
			t.Errorf("%s: it fires in minutes %v", alert.Alert, firing)
		}
	}
	if len(scraped) != len(alerts(t)) {
		t.Errorf("%d alerts, and series for %d", len(alerts(t)), len(scraped))
	}
}

// fired gives the minutes of an hour in which an alert has held as long as it has to.
func fired(t *testing.T, engine *promql.Engine, alert rulefmt.Rule, series []string) []int {
	t.Helper()
	storage := promqltest.LoadedStorage(t, "load 1m\n  "+strings.Join(series, "\n  ")+"\n")
	defer storage.Close()
	var out []int
	holds := map[string]int{}
	for minute := range 60 {
		at := time.Unix(0, 0).Add(time.Duration(minute) * time.Minute)
		query, err := engine.NewInstantQuery(context.Background(), storage, nil, alert.Expr, at)
		if err != nil {
			t.Fatalf("%s: %v", alert.Alert, err)
		}
		result := query.Exec(context.Background())
		if result.Err != nil {
			t.Fatalf("%s: %v", alert.Alert, result.Err)
		}
		vector, err := result.Vector()
		if err != nil {
			t.Fatalf("%s: %v", alert.Alert, err)
		}
		now := map[string]int{}
		for _, sample := range vector {
			labels := sample.Metric.String()
			now[labels] = holds[labels] + 1
			if time.Duration(now[labels]-1)*time.Minute >= time.Duration(alert.For) && !slices.Contains(out, minute) {
				out = append(out, minute)
			}
		}
		holds = now
		query.Close()
	}
	return out
}
