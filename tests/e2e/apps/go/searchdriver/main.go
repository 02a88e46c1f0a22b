// SPDX-License-Identifier: Apache-2.0
//
// Searches and documents by the client of Elasticsearch for Go: searchdriver PORT
package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/elastic/go-elasticsearch/v7"
	"github.com/elastic/go-elasticsearch/v7/esapi"
)

func must(r *esapi.Response, err error) *esapi.Response {
	if err != nil {
		fmt.Fprintln(os.Stderr, "searchdriver:", err)
		os.Exit(1)
	}
	io.Copy(io.Discard, r.Body)
	r.Body.Close()
	return r
}

func main() {
	client, err := elasticsearch.NewClient(elasticsearch.Config{Addresses: []string{"http://127.0.0.1:" + os.Args[1]}, DisableRetry: true})
	if err != nil {
		fmt.Fprintln(os.Stderr, "searchdriver:", err)
		os.Exit(1)
	}
	bufio.NewReader(os.Stdin).ReadString('\n')
	for i := 0; i < 23; i++ {
		must(client.Index("shop", strings.NewReader(`{"name":"secret"}`)))
		must(client.Search(client.Search.WithIndex("shop"), client.Search.WithBody(strings.NewReader(`{"query":{"match":{"name":"secret"}}}`))))
	}
	must(client.Bulk(strings.NewReader("{\"index\":{\"_index\":\"shop\"}}\n{\"a\":1}\n")))
	for i := 0; i < 5; i++ {
		if must(client.Search(client.Search.WithIndex("none"))).StatusCode != 404 {
			os.Exit(1)
		}
	}
}
