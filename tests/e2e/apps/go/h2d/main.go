// SPDX-License-Identifier: Apache-2.0

// h2d serves the routes of the truth tests over HTTP/2 without TLS, to clients that know that it does: h2d PORT; "h2d PORT upgrade" also to those that ask in HTTP/1.1
package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/h2c"
)

func answer(w http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	switch strings.SplitN(strings.TrimPrefix(r.URL.Path, "/"), "/", 2)[0] {
	case "items":
		if r.Method == "DELETE" {
			w.WriteHeader(http.StatusNoContent)
			return
		}
		fmt.Fprintf(w, "one item: %s\n", r.URL.Path)
	case "upload":
		w.WriteHeader(http.StatusCreated)
		io.WriteString(w, "stored\n")
	case "big":
		w.Header().Set("Content-Length", "200003")
		io.WriteString(w, strings.Repeat("b", 200003))
	case "chunks": // no length given, trailers behind them
		w.Header().Set("Trailer", "X-Parts")
		for i := 0; i < 5; i++ {
			io.WriteString(w, strings.Repeat("c", 701))
			w.(http.Flusher).Flush()
		}
		w.Header().Set("X-Parts", "5")
	case "slow":
		time.Sleep(53 * time.Millisecond)
		io.WriteString(w, "at last\n")
	case "hang": // until the client gives up
		<-r.Context().Done()
	case "fail":
		w.WriteHeader(http.StatusInternalServerError)
		io.WriteString(w, "no\n")
	case "busy":
		w.WriteHeader(http.StatusServiceUnavailable)
		io.WriteString(w, "later\n")
	case "break": // the stream alone
		panic(http.ErrAbortHandler)
	default:
		w.WriteHeader(http.StatusNotFound)
		io.WriteString(w, "none\n")
	}
}

func main() {
	listener, err := net.Listen("tcp", "127.0.0.1:"+os.Args[1])
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	server := &http2.Server{MaxConcurrentStreams: 250}
	if len(os.Args) > 2 {
		fmt.Fprintln(os.Stderr, http.Serve(listener, h2c.NewHandler(http.HandlerFunc(answer), server)))
		os.Exit(1)
	}
	for {
		conn, err := listener.Accept()
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		go server.ServeConn(conn, &http2.ServeConnOpts{Handler: http.HandlerFunc(answer), BaseConfig: &http.Server{}})
	}
}
