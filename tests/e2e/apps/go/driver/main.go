// SPDX-License-Identifier: Apache-2.0

// driver sends a plan of HTTP requests over a number of keep-alive connections and prints what it measured: driver PORT CONNECTIONS RATE [PID...] < plan
//
// RATE: requests a second on all connections together, 0 = one behind the other as fast as they go.
// The plan is JSON lines {"method","path","body"} (body: bytes to send), ended by an empty line; then it waits for a line "go". One line of JSON per request comes
// out: {"path","method","status","bytes","start_ns","ns","waited_ns"}: time from before the first byte is written until after the last is read, and for how
// much of it threads of this process and of PID... were ready to run but had no CPU (only known with one connection).
// DRIVER_TLS=FOLDER: over TLS, with the certificate there; DRIVER_TLS_VERSION=1.2 or 1.3.
package main

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"
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
		fmt.Fprintln(os.Stderr, "driver:", err)
		os.Exit(1)
	}
}

// Time that all threads of some processes have ever waited for a CPU (Documentation/scheduler/sched-stats.rst).
func waited(pids []string) int64 {
	var sum int64
	for _, pid := range pids {
		files, _ := filepath.Glob("/proc/" + pid + "/task/*/schedstat")
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				continue // the thread has ended
			}
			fields := strings.Fields(string(text))
			ns, err := strconv.ParseInt(fields[1], 10, 64)
			check(err)
			sum += ns
		}
	}
	return sum
}

func exchange(conn net.Conn, in *bufio.Reader, host string, q request) result {
	head := fmt.Sprintf("%s %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: driver\r\n", q.Method, q.Path, host)
	if q.Body > 0 {
		head += fmt.Sprintf("Content-Length: %d\r\n", q.Body)
	}
	raw := []byte(head + "\r\n" + strings.Repeat("u", q.Body))
	start := time.Now()
	_, err := conn.Write(raw)
	check(err)
	response, err := http.ReadResponse(in, &http.Request{Method: q.Method})
	check(err)
	n, err := io.Copy(io.Discard, response.Body)
	took := time.Since(start)
	check(err)
	if response.Close {
		check(fmt.Errorf("the server closes the connection after %s", q.Path))
	}
	return result{Method: q.Method, Path: q.Path, Status: response.StatusCode, Bytes: n, StartNs: start.UnixNano(), Ns: took.Nanoseconds()}
}

func dialer() func(host string) (net.Conn, error) {
	folder := os.Getenv("DRIVER_TLS")
	if folder == "" {
		return func(host string) (net.Conn, error) { return net.Dial("tcp", host) }
	}
	pem, err := os.ReadFile(folder + "/cert.pem")
	check(err)
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	version := map[string]uint16{"1.2": tls.VersionTLS12, "1.3": tls.VersionTLS13}[os.Getenv("DRIVER_TLS_VERSION")]
	config := &tls.Config{RootCAs: roots, ServerName: "localhost", MinVersion: version, MaxVersion: version}
	return func(host string) (net.Conn, error) { return tls.Dial("tcp", host, config) }
}

func main() {
	host := "127.0.0.1:" + os.Args[1]
	connections, err := strconv.Atoi(os.Args[2])
	check(err)
	rate, err := strconv.Atoi(os.Args[3])
	check(err)
	pids := append([]string{strconv.Itoa(os.Getpid())}, os.Args[4:]...)
	var plan []request
	input := bufio.NewScanner(os.Stdin)
	for input.Scan() && input.Text() != "" {
		var q request
		check(json.Unmarshal(input.Bytes(), &q))
		plan = append(plan, q)
	}
	if !input.Scan() || input.Text() != "go" {
		check(fmt.Errorf("no line \"go\""))
	}
	dial := dialer()
	results := make([]result, len(plan))
	begin := time.Now()
	var wait sync.WaitGroup
	for c := 0; c < connections; c++ {
		conn, err := dial(host)
		check(err)
		wait.Add(1)
		go func(c int) {
			defer wait.Done()
			defer conn.Close()
			in := bufio.NewReaderSize(conn, 64<<10)
			for i := c; i < len(plan); i += connections {
				if rate > 0 {
					time.Sleep(time.Until(begin.Add(time.Duration(i) * time.Second / time.Duration(rate))))
				}
				if connections > 1 {
					results[i] = exchange(conn, in, host, plan[i])
					continue
				}
				before := waited(pids)
				results[i] = exchange(conn, in, host, plan[i])
				results[i].Waited = waited(pids) - before
			}
		}(c)
	}
	wait.Wait()
	out := json.NewEncoder(os.Stdout)
	for _, r := range results {
		check(out.Encode(r))
	}
}
