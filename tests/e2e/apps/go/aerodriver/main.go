// SPDX-License-Identifier: Apache-2.0

// aerodriver runs a fixed series of requests through Aerospike's own Go library: aerodriver PORT < "go". Prints {"what","ns","error"} for each step.
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	as "github.com/aerospike/aerospike-client-go/v6"
)

type step struct {
	What  string `json:"what"`
	Ns    int64  `json:"ns"`
	Error string `json:"error"`
}

var out = json.NewEncoder(os.Stdout)

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "aerodriver:", err)
		os.Exit(1)
	}
}

func timed(what string, run func() as.Error) {
	start := time.Now()
	err := run()
	s := step{What: what, Ns: time.Since(start).Nanoseconds()}
	var failed as.Error
	if errors.As(err, &failed) {
		ae, _ := failed.(*as.AerospikeError)
		s.Error = strconv.Itoa(int(ae.ResultCode))
	}
	check(out.Encode(s))
}

func key(number int, set string) *as.Key {
	k, err := as.NewKey("test", set, "secret-key-"+strconv.Itoa(number))
	check2(err)
	return k
}

func check2(err as.Error) {
	if err != nil {
		check(err)
	}
}

func records(c *as.Client, write *as.WritePolicy, read *as.BasePolicy) {
	one := key(1, "users")
	for i := 0; i < 7; i++ {
		timed("put", func() as.Error { return c.Put(write, one, as.BinMap{"n": i, "name": "secret"}) })
	}
	for i := 0; i < 5; i++ {
		timed("get", func() as.Error { _, err := c.Get(read, one); return err })
	}
	for i := 0; i < 3; i++ {
		timed("none", func() as.Error { _, err := c.Get(read, key(0, "users")); return err })
	}
	timed("exists", func() as.Error { _, err := c.Exists(read, one); return err })
	timed("does not exist", func() as.Error { _, err := c.Exists(read, key(0, "users")); return err })
	timed("header", func() as.Error { _, err := c.GetHeader(read, one); return err })
	again := *write
	again.RecordExistsAction = as.CREATE_ONLY
	timed("put again", func() as.Error { return c.Put(&again, one, as.BinMap{"n": 1}) })
	other := *write
	other.GenerationPolicy, other.Generation = as.EXPECT_GEN_EQUAL, 77
	timed("other generation", func() as.Error { return c.Put(&other, one, as.BinMap{"n": 1}) })
	timed("add", func() as.Error { return c.Add(write, one, as.BinMap{"n": 3}) })
	timed("append", func() as.Error { return c.Append(write, one, as.BinMap{"name": "secret"}) })
	timed("prepend", func() as.Error { return c.Prepend(write, one, as.BinMap{"name": "secret"}) })
	for i := 0; i < 3; i++ {
		timed("not a number", func() as.Error { return c.Add(write, one, as.BinMap{"name": 3}) })
	}
	timed("touch", func() as.Error { return c.Touch(write, one) })
	timed("operate", func() as.Error { _, err := c.Operate(write, one, as.AddOp(as.NewBin("n", 1)), as.GetBinOp("n")); return err })
	timed("function", func() as.Error { _, err := c.Execute(write, one, "notes", "add", as.NewValue("secret")); return err })
	timed("function that fails", func() as.Error { _, err := c.Execute(write, one, "notes", "fail", as.NewValue("secret")); return err })
	timed("slow put", func() as.Error { return c.Put(write, key(1, "slow"), as.BinMap{"n": 1}) })
	timed("big put", func() as.Error { return c.Put(write, key(2, "users"), as.BinMap{"big": strings.Repeat("secret", 30011)}) })
	timed("big get", func() as.Error { _, err := c.Get(read, key(2, "users"), "big"); return err })
	timed("delete", func() as.Error { _, err := c.Delete(write, key(2, "users")); return err })
	timed("delete none", func() as.Error { _, err := c.Delete(write, key(0, "users")); return err })
}

func drain(set *as.Recordset, err as.Error) as.Error {
	if err != nil {
		return err
	}
	for result := range set.Results() {
		if result.Err != nil {
			err = result.Err
		}
	}
	return err
}

func many(c *as.Client, write *as.WritePolicy) {
	for i := 2; i < 13; i++ {
		timed("fill", func() as.Error { return c.Put(write, key(i, "users"), as.BinMap{"n": i}) })
	}
	batch := as.NewBatchPolicy()
	batch.TotalTimeout, batch.SocketTimeout, batch.MaxRetries = write.TotalTimeout, write.SocketTimeout, 0
	var keys []*as.Key
	for i := 1; i < 18; i++ {
		keys = append(keys, key(i, "users"))
	}
	timed("batch", func() as.Error { _, err := c.BatchGet(batch, keys); return err })
	timed("batch of two sets", func() as.Error { _, err := c.BatchGet(batch, []*as.Key{key(1, "users"), key(1, "slow")}); return err })
	timed("batch that only asks", func() as.Error { _, err := c.BatchExists(batch, keys); return err })
	scan := as.NewScanPolicy()
	scan.TotalTimeout, scan.SocketTimeout, scan.MaxRetries = write.TotalTimeout, write.SocketTimeout, 0
	timed("scan", func() as.Error { return drain(c.ScanAll(scan, "test", "users")) })
	timed("busy", func() as.Error { return drain(c.ScanAll(scan, "test", "busy")) })
	query := as.NewQueryPolicy()
	query.TotalTimeout, query.SocketTimeout, query.MaxRetries = write.TotalTimeout, write.SocketTimeout, 0
	statement := as.NewStatement("test", "users", "n")
	check2(statement.SetFilter(as.NewRangeFilter("n", 1, 1000)))
	timed("query", func() as.Error { return drain(c.Query(query, statement)) })
}

func main() {
	input := bufio.NewScanner(os.Stdin)
	if !input.Scan() || input.Text() != "go" {
		check(errors.New("no line \"go\""))
	}
	port, err := strconv.Atoi(os.Args[1])
	check(err)
	c, failed := as.NewClient("127.0.0.1", port)
	check2(failed)
	write, read := as.NewWritePolicy(0, 0), as.NewPolicy()
	write.TotalTimeout, write.SocketTimeout, write.MaxRetries = time.Minute, time.Minute, 0
	read.TotalTimeout, read.SocketTimeout, read.MaxRetries = time.Minute, time.Minute, 0
	records(c, write, read)
	many(c, write)
	c.Close()
}
