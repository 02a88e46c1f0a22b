// SPDX-License-Identifier: Apache-2.0

// zkdriver runs a fixed series of requests through go-zookeeper: zkdriver PORT < "go". Prints {"what","ns","error"} for each step.
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/go-zookeeper/zk"
)

type step struct {
	What  string `json:"what"`
	Ns    int64  `json:"ns"`
	Error string `json:"error"`
}

var out = json.NewEncoder(os.Stdout)

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "zkdriver:", err)
		os.Exit(1)
	}
}

func timed(what string, expect error, run func() error) {
	start := time.Now()
	err := run()
	s := step{What: what, Ns: time.Since(start).Nanoseconds()}
	if !errors.Is(err, expect) {
		check(fmt.Errorf("%s: %v", what, err))
	}
	if err != nil {
		s.Error = err.Error()
	}
	check(out.Encode(s))
}

type silent struct{}

func (silent) Printf(string, ...interface{}) {}

func main() {
	input := bufio.NewScanner(os.Stdin)
	if !input.Scan() || input.Text() != "go" {
		check(errors.New("no line \"go\""))
	}
	c, events, err := zk.Connect([]string{"127.0.0.1:" + os.Args[1]}, 2*time.Minute, zk.WithLogger(silent{}))
	check(err)
	for e := range events {
		if e.State == zk.StateHasSession {
			break
		}
	}
	check(c.AddAuth("digest", []byte("plumb:sesame")))
	open, value := zk.WorldACL(zk.PermAll), []byte("secret")
	create := func(path string) error { _, err := c.Create(path, value, 0, open); return err }
	get := func(path string) error { _, _, err := c.Get(path); return err }
	timed("create", nil, func() error { return create("/parcels") })
	for i := 0; i < 7; i++ {
		timed("set", nil, func() error { _, err := c.Set("/parcels", value, int32(i)); return err })
	}
	for i := 0; i < 5; i++ {
		timed("get", nil, func() error { return get("/parcels") })
	}
	timed("no node", zk.ErrNoNode, func() error { return get("/none") })
	timed("exists", nil, func() error { _, _, err := c.Exists("/parcels"); return err })
	timed("exists not", nil, func() error { _, _, err := c.Exists("/none"); return err })
	timed("duplicate", zk.ErrNodeExists, func() error { return create("/parcels") })
	timed("bad version", zk.ErrBadVersion, func() error { _, err := c.Set("/parcels", value, 99); return err })
	timed("container", nil, func() error { _, err := c.CreateContainer("/parcels/box", value, zk.FlagContainer, open); return err })
	timed("ttl", nil, func() error {
		_, err := c.CreateTTL("/parcels/short", value, zk.FlagTTL, open, time.Hour)
		return err
	})
	timed("not empty", zk.ErrNotEmpty, func() error { return c.Delete("/parcels", -1) })
	timed("children", nil, func() error { _, _, err := c.Children("/parcels"); return err })
	timed("sync", nil, func() error { _, err := c.Sync("/parcels"); return err })
	timed("get acl", nil, func() error { _, _, err := c.GetACL("/parcels"); return err })
	timed("set acl", nil, func() error {
		_, err := c.SetACL("/parcels/box", zk.DigestACL(zk.PermAll, "other", "secret"), 0)
		return err
	})
	timed("not allowed", zk.ErrNoAuth, func() error { return get("/parcels/box") })
	timed("multi", nil, func() error {
		_, err := c.Multi(&zk.CreateRequest{Path: "/parcels/a", Data: value, Acl: open}, &zk.SetDataRequest{Path: "/parcels/a", Data: value, Version: 0}, &zk.CheckVersionRequest{Path: "/parcels/a", Version: 1},
			&zk.DeleteRequest{Path: "/parcels/a", Version: -1})
		return err
	})
	timed("multi fails", zk.ErrNodeExists, func() error {
		_, err := c.Multi(&zk.CreateRequest{Path: "/parcels/b", Data: value, Acl: open}, &zk.CreateRequest{Path: "/parcels", Data: value, Acl: open}, &zk.DeleteRequest{Path: "/parcels/b", Version: -1})
		return err
	})
	// All under way at once.
	var all sync.WaitGroup
	for i := 0; i < 211; i++ {
		all.Add(1)
		go func(i int) {
			defer all.Done()
			if i%7 == 0 {
				if get("/none") != zk.ErrNoNode {
					check(errors.New("a node that is none"))
				}
			} else {
				check(get("/parcels"))
			}
		}(i)
	}
	all.Wait()
	timed("last", nil, func() error { return c.Delete("/parcels/short", 0) })
	c.Close()
}
