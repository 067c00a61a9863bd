// Package argolua runs scripts as Argo CD runs those of its ConfigMap: in the same interpreter, with the same few
// libraries, on an object in the global obj, within a second. What a script returns is read as Argo CD reads it.
package argolua

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	lua "github.com/yuin/gopher-lua"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	luajson "layeh.com/gopher-json"
)

// Now is the time that scripts are told.
var Now = time.Now

// Health is what a health script says.
type Health struct {
	Status  string `json:"status"`
	Message string `json:"message,omitempty"`
}

// Action is what a discovery script says of an action.
type Action struct {
	Disabled    bool   `json:"disabled"`
	DisplayName string `json:"displayName,omitempty"`
}

// RunHealth runs a health script.
func RunHealth(script string, object *unstructured.Unstructured) (Health, error) {
	health := Health{}
	if err := run(script, object, &health); err != nil {
		return health, err
	}
	switch health.Status {
	case "Healthy", "Progressing", "Suspended", "Degraded", "Missing", "Unknown":
		return health, nil
	}
	return health, fmt.Errorf("%q is no health of Argo CD", health.Status)
}

// RunDiscovery runs a discovery script: the actions of an object by their names.
func RunDiscovery(script string, object *unstructured.Unstructured) (map[string]Action, error) {
	actions := map[string]Action{}
	return actions, run(script, object, &actions)
}

// RunAction runs an action: the object as it would be written.
func RunAction(script string, object *unstructured.Unstructured) (*unstructured.Unstructured, error) {
	text, err := runToJSON(script, object)
	if err != nil {
		return nil, err
	}
	changed := &unstructured.Unstructured{}
	if err := changed.UnmarshalJSON(text); err != nil {
		return nil, err
	}
	changed.Object, _ = mend(changed.Object, object.Object).(map[string]any)
	return changed, nil
}

func run(script string, object *unstructured.Unstructured, into any) error {
	text, err := runToJSON(script, object)
	if err != nil {
		return err
	}
	return json.Unmarshal(text, into)
}

func runToJSON(script string, object *unstructured.Unstructured) ([]byte, error) {
	state := lua.NewState(lua.Options{SkipOpenLibs: true})
	defer state.Close()
	for _, library := range []struct {
		name string
		open lua.LGFunction
	}{{lua.LoadLibName, lua.OpenPackage}, {lua.BaseLibName, lua.OpenBase}, {lua.TabLibName, lua.OpenTable}, {lua.OsLibName, openTime}} {
		if err := state.CallByParam(lua.P{Fn: state.NewFunction(library.open), Protect: true}, lua.LString(library.name)); err != nil {
			return nil, err
		}
	}
	limit, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	state.SetContext(limit)
	state.SetGlobal("obj", value(state, object.Object))
	if err := state.DoString(script); err != nil {
		return nil, err
	}
	table, ok := state.Get(-1).(*lua.LTable)
	if !ok {
		return nil, errors.New("the script returns no table")
	}
	return luajson.Encode(table)
}

// openTime is all of the library os that Argo CD lets scripts have: the time.
func openTime(state *lua.LState) int {
	state.Push(state.RegisterModule(lua.OsLibName, map[string]lua.LGFunction{
		"time": func(state *lua.LState) int {
			state.Push(lua.LNumber(Now().Unix()))
			return 1
		},
		"date": func(state *lua.LState) int {
			state.Push(lua.LString(date(state.CheckString(1))))
			return 1
		},
	}))
	return 1
}

// date knows the letters that scripts here use; another one stays as it is, and a test finds that.
func date(format string) string {
	now := Now()
	if rest, utc := strings.CutPrefix(format, "!"); utc {
		now, format = now.UTC(), rest
	}
	pairs := []string{"%Y", "2006", "%m", "01", "%d", "02", "%H", "15", "%M", "04", "%S", "05"}
	for i := 1; i < len(pairs); i += 2 {
		pairs[i] = now.Format(pairs[i])
	}
	return strings.NewReplacer(pairs...).Replace(format)
}

func value(state *lua.LState, of any) lua.LValue {
	switch of := of.(type) {
	case bool:
		return lua.LBool(of)
	case float64:
		return lua.LNumber(of)
	case int64:
		return lua.LNumber(of)
	case string:
		return lua.LString(of)
	case []any:
		table := state.CreateTable(len(of), 0)
		for _, item := range of {
			table.Append(value(state, item))
		}
		return table
	case map[string]any:
		table := state.CreateTable(0, len(of))
		for key, item := range of {
			table.RawSetString(key, value(state, item))
		}
		return table
	}
	return lua.LNil
}

// mend makes empty lists of the answer the empty objects that they were: Lua does not tell the two apart. What was not
// there before is not mended, as in Argo CD: an action must not write an empty object.
func mend(now, before any) any {
	switch now := now.(type) {
	case []any:
		if _, was := before.(map[string]any); was && len(now) == 0 {
			return map[string]any{}
		}
		if before, was := before.([]any); was {
			for i := range min(len(now), len(before)) {
				now[i] = mend(now[i], before[i])
			}
		}
		return now
	case map[string]any:
		if before, was := before.(map[string]any); was {
			for key := range before {
				if _, still := now[key]; still {
					now[key] = mend(now[key], before[key])
				}
			}
		}
		return now
	}
	return now
}
