package main

import (
	"context"
	"encoding/json"
	"fmt"
	"runtime"
	"runtime/debug"
)

// version is the release; a build may set it with -ldflags "-X main.version=…".
var version = "0.1.0-dev"

func runVersion(_ context.Context, e env, args []string) error {
	fs := newFlags("version")
	asJSON := fs.Bool("json", false, "输出 JSON one JSON object")
	if operands, err := parse(fs, args); err != nil {
		return err
	} else if len(operands) > 0 {
		return usage(fmt.Errorf("不需要参数 takes no operand"))
	}
	v := struct {
		Version string `json:"version"`
		Go      string `json:"go"`
		OS      string `json:"os"`
		Arch    string `json:"arch"`
		GMSM    string `json:"gmsm"`
		OPA     string `json:"opa"`
	}{Version: version, Go: runtime.Version(), OS: runtime.GOOS, Arch: runtime.GOARCH}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, d := range info.Deps {
			switch d.Path {
			case "github.com/emmansun/gmsm":
				v.GMSM = d.Version
			case "github.com/open-policy-agent/opa":
				v.OPA = d.Version
			}
		}
	}
	if *asJSON {
		return json.NewEncoder(e.stdout).Encode(v)
	}
	_, err := fmt.Fprintf(e.stdout, "sealgate %s (%s %s/%s, gmsm %s, opa %s)\n", v.Version, v.Go, v.OS, v.Arch, v.GMSM, v.OPA)
	return err
}
