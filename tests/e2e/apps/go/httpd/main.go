// SPDX-License-Identifier: Apache-2.0

// httpd serves the routes of the truth tests (the same as apps/httpd.py): httpd PORT [DELAY]
// HTTPD_TLS=FOLDER: over TLS, with the certificate there; HTTP/2, too.
package main

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"
)

func answer(w http.ResponseWriter, r *http.Request, delay time.Duration) {
	if r.Body != nil {
		_, _ = io.Copy(io.Discard, r.Body)
	}
	kind := strings.SplitN(strings.TrimPrefix(r.URL.Path, "/"), "/", 2)[0]
	switch kind {
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
	case "chunks": // no length given
		for i := 0; i < 5; i++ {
			io.WriteString(w, strings.Repeat("c", 701))
			w.(http.Flusher).Flush()
		}
	case "slow":
		time.Sleep(delay)
		io.WriteString(w, "at last\n")
	case "fail":
		w.WriteHeader(http.StatusInternalServerError)
		io.WriteString(w, "no\n")
	case "busy":
		w.WriteHeader(http.StatusServiceUnavailable)
		io.WriteString(w, "later\n")
	case "stock": // the last service of the joined trace
		time.Sleep(3 * time.Millisecond)
		io.WriteString(w, "7\n")
	default:
		w.WriteHeader(http.StatusNotFound)
		io.WriteString(w, "none\n")
	}
}

func main() {
	delay := 53 * time.Millisecond
	if len(os.Args) > 2 {
		var err error
		if delay, err = time.ParseDuration(os.Args[2]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(2)
		}
	}
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { answer(w, r, delay) })
	if folder := os.Getenv("HTTPD_TLS"); folder != "" {
		fmt.Fprintln(os.Stderr, http.ListenAndServeTLS("127.0.0.1:"+os.Args[1], folder+"/cert.pem", folder+"/key.pem", handler))
		os.Exit(1)
	}
	fmt.Fprintln(os.Stderr, http.ListenAndServe("127.0.0.1:"+os.Args[1], handler))
	os.Exit(1)
}
