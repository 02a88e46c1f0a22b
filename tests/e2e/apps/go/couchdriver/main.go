// SPDX-License-Identifier: Apache-2.0

// couchdriver runs a fixed series of requests through gocb: couchdriver PORT < "go". Prints {"what","ns","error"} for each step.
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/couchbase/gocb/v2"
)

type step struct {
	What  string `json:"what"`
	Ns    int64  `json:"ns"`
	Error string `json:"error"`
}

type document struct {
	Secret int `json:"secret"`
}

var out = json.NewEncoder(os.Stdout)

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "couchdriver:", err)
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
		s.Error = expect.Error()
	}
	check(out.Encode(s))
}

func series(c, small *gocb.Collection) {
	upsert := func(c *gocb.Collection, id string, secret int) func() error {
		return func() error { _, err := c.Upsert(id, document{secret}, nil); return err }
	}
	get := func(c *gocb.Collection, id string) func() error {
		return func() error { _, err := c.Get(id, nil); return err }
	}
	for i := 0; i < 7; i++ {
		timed("upsert", nil, upsert(c, "user:7", i))
	}
	for i := 0; i < 5; i++ {
		timed("get", nil, get(c, "user:7"))
	}
	for i := 0; i < 3; i++ {
		timed("none", gocb.ErrDocumentNotFound, get(c, "user:none"))
	}
	timed("insert again", gocb.ErrDocumentExists, func() error { _, err := c.Insert("user:7", document{1}, nil); return err })
	timed("replace", nil, func() error { _, err := c.Replace("user:7", document{1}, nil); return err })
	timed("other cas", gocb.ErrCasMismatch, func() error { _, err := c.Replace("user:7", document{1}, &gocb.ReplaceOptions{Cas: 7}); return err })
	timed("look up", nil, func() error {
		_, err := c.LookupIn("user:7", []gocb.LookupInSpec{gocb.GetSpec("secret", nil), gocb.GetSpec("none", nil)}, nil)
		return err
	})
	timed("mutate", nil, func() error {
		_, err := c.MutateIn("user:7", []gocb.MutateInSpec{gocb.UpsertSpec("secret", 2, nil)}, nil)
		return err
	})
	timed("touch", nil, func() error { _, err := c.Touch("user:7", time.Minute, nil); return err })
	for i := 0; i < 3; i++ {
		timed("mutate what is not there", gocb.ErrPathNotFound, func() error {
			_, err := c.MutateIn("user:7", []gocb.MutateInSpec{gocb.ReplaceSpec("none", 2, nil)}, nil)
			return err
		})
	}
	timed("increment", nil, func() error {
		_, err := c.Binary().Increment("n", &gocb.IncrementOptions{Initial: 3, Delta: 1})
		return err
	})
	timed("decrement", nil, func() error { _, err := c.Binary().Decrement("n", &gocb.DecrementOptions{Delta: 1}); return err })
	timed("durable", nil, func() error {
		_, err := c.Upsert("user:8", document{3}, &gocb.UpsertOptions{DurabilityLevel: gocb.DurabilityLevelMajority})
		return err
	})
	timed("remove", nil, func() error { _, err := c.Remove("n", nil); return err })
	timed("in a collection", nil, upsert(small, "box", 1))
	timed("out of it", nil, get(small, "box"))
}

// What is behind the first is answered before it.
func atOnce(c *gocb.Collection) {
	ops := []gocb.BulkOp{&gocb.GetOp{ID: "slow:1"}}
	for i := 0; i < 101; i++ {
		id := "user:none"
		if i%2 == 0 {
			id = "user:7"
		}
		ops = append(ops, &gocb.GetOp{ID: id})
	}
	timed("at once", nil, func() error { return c.Do(ops, nil) })
	timed("last", nil, func() error { _, err := c.Get("user:8", nil); return err })
}

func main() {
	input := bufio.NewScanner(os.Stdin)
	if !input.Scan() || input.Text() != "go" {
		check(errors.New("no line \"go\""))
	}
	cluster, err := gocb.Connect("couchbase://127.0.0.1:"+os.Args[1], gocb.ClusterOptions{
		Authenticator: gocb.PasswordAuthenticator{Username: "plumb", Password: "sesame"}, CircuitBreakerConfig: gocb.CircuitBreakerConfig{Disabled: true},
	})
	check(err)
	bucket := cluster.Bucket("shop")
	check(bucket.WaitUntilReady(time.Minute, &gocb.WaitUntilReadyOptions{ServiceTypes: []gocb.ServiceType{gocb.ServiceTypeKeyValue}}))
	c := bucket.DefaultCollection()
	series(c, bucket.Scope("parcels").Collection("small"))
	atOnce(c)
	check(cluster.Close(nil))
}
