// SPDX-License-Identifier: Apache-2.0

// fcgid serves the routes of apps/fpm.php over FastCGI with Go's library: fcgid PORT. Requests of one connection are answered as they are done.
package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/fcgi"
	"os"
	"strings"
	"time"
)

func main() {
	listener, err := net.Listen("tcp", "127.0.0.1:"+os.Args[1])
	if err != nil {
		panic(err)
	}
	status := map[string]int{"fail": 500, "missing": 404, "busy": 503, "upload": 201}
	panic(fcgi.Serve(listener, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		kind := strings.Split(r.URL.Path, "/")[1]
		n, _ := io.Copy(io.Discard, r.Body)
		w.Header().Set("X-Secret", "secret")
		switch kind {
		case "slow":
			time.Sleep(97 * time.Millisecond)
		case "big":
			w.Write([]byte(strings.Repeat("b", 200_003)))
			return
		}
		if s, ok := status[kind]; ok {
			w.WriteHeader(s)
		}
		fmt.Fprintf(w, "secret %d\n", n)
	})))
}
