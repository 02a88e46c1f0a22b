// SPDX-License-Identifier: Apache-2.0

// h2driver sends a plan of requests over one HTTP/2 connection without TLS, several at once: h2driver PORT STREAMS < plan
//
// The plan is JSON lines {"method","path","body"} (body: bytes to send; "hang" in the path: given up after 31 ms), ended by an empty line; then a
// line with a number: so many are sent at once, and one line of JSON comes out; then one "go" for the rest. A line of JSON a request comes
// out at the end: {"path","method","status","bytes","start_ns","ns","waited_ns"}; status 0: no answer.
package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/net/http2"
)

type request struct {
	Method string `json:"method"`
	Path   string `json:"path"`
	Body   int    `json:"body"`
}

type result struct {
	Method  string `json:"method"`
	Path    string `json:"path"`
	Status  int    `json:"status"`
	Bytes   int64  `json:"bytes"`
	StartNs int64  `json:"start_ns"`
	Ns      int64  `json:"ns"`
	Waited  int64  `json:"waited_ns"`
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "h2driver:", err)
		os.Exit(1)
	}
}

func exchange(client http.RoundTripper, host string, q request) result {
	ctx := context.Background()
	if strings.Contains(q.Path, "hang") {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, 31*time.Millisecond)
		defer cancel()
	}
	var body io.Reader
	if q.Body > 0 {
		body = strings.NewReader(strings.Repeat("u", q.Body))
	}
	r, err := http.NewRequestWithContext(ctx, q.Method, "http://"+host+q.Path, body)
	check(err)
	r.Header.Set("User-Agent", "h2driver")
	start := time.Now()
	response, err := client.RoundTrip(r)
	out := result{Method: q.Method, Path: q.Path, StartNs: start.UnixNano()}
	if err == nil {
		out.Status = response.StatusCode
		out.Bytes, err = io.Copy(io.Discard, response.Body)
		response.Body.Close()
		check(err)
	}
	out.Ns = time.Since(start).Nanoseconds()
	return out
}

// All of plan, `streams` at once.
func send(client http.RoundTripper, host string, plan []request, streams int) []result {
	results := make([]result, len(plan))
	var wait sync.WaitGroup
	for s := 0; s < streams; s++ {
		wait.Add(1)
		go func(s int) {
			defer wait.Done()
			for i := s; i < len(plan); i += streams {
				results[i] = exchange(client, host, plan[i])
			}
		}(s)
	}
	wait.Wait()
	return results
}

func main() {
	host := "127.0.0.1:" + os.Args[1]
	streams, err := strconv.Atoi(os.Args[2])
	check(err)
	var plan []request
	input := bufio.NewScanner(os.Stdin)
	for input.Scan() && input.Text() != "" {
		var q request
		check(json.Unmarshal(input.Bytes(), &q))
		plan = append(plan, q)
	}
	transport := &http2.Transport{AllowHTTP: true, StrictMaxConcurrentStreams: true,
		DialTLSContext: func(_ context.Context, network, address string, _ *tls.Config) (net.Conn, error) { return net.Dial(network, address) }}
	out := json.NewEncoder(os.Stdout)
	for input.Scan() && input.Text() != "go" {
		n, err := strconv.Atoi(input.Text())
		check(err)
		send(transport, host, plan[:n], streams)
		plan = plan[n:]
		check(out.Encode(map[string]int{"sent": n}))
	}
	for _, r := range send(transport, host, plan, streams) {
		check(out.Encode(r))
	}
}
