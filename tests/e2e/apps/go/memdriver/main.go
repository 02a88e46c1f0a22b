// SPDX-License-Identifier: Apache-2.0

// memdriver runs a fixed series of memcached commands through gomemcache: memdriver PORT < "go". Prints {"what","ns","error"} for each step.
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/bradfitz/gomemcache/memcache"
)

type step struct {
	What  string `json:"what"`
	Ns    int64  `json:"ns"`
	Error string `json:"error"`
}

var out = json.NewEncoder(os.Stdout)

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "memdriver:", err)
		os.Exit(1)
	}
}

// timed: a miss and a condition that is not met are what the step expects.
func timed(what string, expect error, run func() error) {
	start := time.Now()
	err := run()
	s := step{What: what, Ns: time.Since(start).Nanoseconds()}
	if err != nil && strings.Contains(err.Error(), "client error") {
		s.Error = "CLIENT_ERROR"
	} else if !errors.Is(err, expect) {
		check(fmt.Errorf("%s: %v", what, err))
	}
	check(out.Encode(s))
}

func main() {
	input := bufio.NewScanner(os.Stdin)
	if !input.Scan() || input.Text() != "go" {
		check(errors.New("no line \"go\""))
	}
	c := memcache.New("127.0.0.1:" + os.Args[1])
	c.Timeout = 10 * time.Second
	item := func(key string, value string) *memcache.Item { return &memcache.Item{Key: key, Value: []byte(value)} }
	for i := 0; i < 11; i++ {
		timed("set", nil, func() error { return c.Set(item("user:7", fmt.Sprintf("secret %d", i))) })
	}
	var got *memcache.Item
	for i := 0; i < 7; i++ {
		timed("get", nil, func() (err error) { got, err = c.Get("user:7"); return })
	}
	timed("get nothing", memcache.ErrCacheMiss, func() error { _, err := c.Get("user:none"); return err })
	timed("cas", nil, func() error { return c.CompareAndSwap(got) })
	timed("cas again", memcache.ErrCASConflict, func() error { return c.CompareAndSwap(got) })
	timed("add", memcache.ErrNotStored, func() error { return c.Add(item("user:7", "secret")) })
	for i := 0; i < 3; i++ {
		timed("not a number", nil, func() error { _, err := c.Increment("user:7", 7); return err })
	}
	timed("get many", nil, func() error { _, err := c.GetMulti([]string{"user:7", "user:8", "user:9"}); return err })
	timed("touch", nil, func() error { return c.Touch("user:7", 60) })
	timed("delete", nil, func() error { return c.Delete("user:7") })
	timed("last", memcache.ErrCacheMiss, func() error { return c.Delete("user:7") })
}
