// SPDX-License-Identifier: Apache-2.0
//
// JSON-RPC, GraphQL and server-sent events of appd.py by Go's net/http on several connections: appdriver PORT
package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"
)

var base string

func must(ok bool, what string) {
	if !ok {
		fmt.Fprintln(os.Stderr, "appdriver:", what)
		os.Exit(1)
	}
}

type answer struct {
	Result any `json:"result"`
	Data   any `json:"data"`
	Errors any `json:"errors"`
	Error  *struct {
		Code int `json:"code"`
	} `json:"error"`
}

func post(path string, request any) answer {
	body, _ := json.Marshal(request)
	resp, err := http.Post(base+path, "application/json", bytes.NewReader(body))
	must(err == nil, path)
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	must(err == nil, path)
	var a answer
	if len(got) > 0 {
		must(json.Unmarshal(got, &a) == nil, string(got))
	}
	return a
}

func call(method string, id any, params ...any) answer {
	return post("/rpc", map[string]any{"jsonrpc": "2.0", "method": method, "params": params, "id": id})
}

func events(n, wait, size int) {
	start := time.Now()
	resp, err := http.Get(fmt.Sprintf("%s/events?n=%d&wait=%d&size=%d", base, n, wait, size))
	must(err == nil, "events")
	defer resp.Body.Close()
	var first time.Duration
	got := 0
	lines := bufio.NewReader(resp.Body)
	for {
		line, err := lines.ReadString('\n')
		if err == io.EOF {
			break
		}
		must(err == nil, "events")
		if strings.HasPrefix(line, "data:") {
			got++
		}
		if line == "\n" && got > 0 && first == 0 {
			first = time.Since(start)
		}
	}
	must(got == n, "number of events")
	fmt.Printf("{\"what\":\"events\",\"n\":%d,\"first_ns\":%d,\"ns\":%d}\n", n, first.Nanoseconds(), time.Since(start).Nanoseconds())
}

func main() {
	base = "http://127.0.0.1:" + os.Args[1]
	bufio.NewReader(os.Stdin).ReadString('\n')
	var all sync.WaitGroup
	for worker := 0; worker < 4; worker++ {
		all.Add(1)
		go func(worker int) {
			defer all.Done()
			for i := 0; i < 29; i++ {
				must(call("add", worker*100+i, worker, i).Result == float64(worker+i), "add")
			}
			must(call("fail", "f").Error.Code == -32000, "fail")
			must(call("nobody", 1).Error.Code == -32601, "nobody")
			hero := "query Hero($id: Int) { hero(id: $id) }"
			for i := 0; i < 7; i++ {
				must(post("/graphql", map[string]any{"query": hero, "variables": map[string]any{"id": i}}).Data != nil, "hero")
			}
			must(post("/graphql", map[string]any{"query": "query Broken { broken }"}).Errors != nil, "broken")
		}(worker)
	}
	all.Wait()
	for _, e := range [][3]int{{7, 101, 10}, {101, 0, 500}, {3, 53, 9001}} {
		events(e[0], e[1], e[2])
	}
}
