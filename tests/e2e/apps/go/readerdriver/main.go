// SPDX-License-Identifier: Apache-2.0

// One connection of net/http, on which a goroutine always waits for the next answer: readerdriver PORT CERTIFICATE FIRST COUNT. A request, "ready", and when "go" is read COUNT more, one after the other: /items/N and /missing/N in turn.
package main

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
)

func main() {
	pem, err := os.ReadFile(os.Args[2])
	if err != nil {
		panic(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	client := http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, NextProtos: []string{"http/1.1"}}, MaxConnsPerHost: 1}}
	first, _ := strconv.Atoi(os.Args[3])
	count, _ := strconv.Atoi(os.Args[4])
	get := func(n int) {
		response, err := client.Get(fmt.Sprintf("https://localhost:%s/%s/%d", os.Args[1], [2]string{"items", "missing"}[n%2], n))
		if err != nil {
			panic(err)
		}
		io.Copy(io.Discard, response.Body)
		response.Body.Close()
		if response.StatusCode != [2]int{200, 404}[n%2] {
			panic(response.Status)
		}
	}
	get(2)
	fmt.Println("ready")
	bufio.NewReader(os.Stdin).ReadString('\n')
	for i := 0; i < count; i++ {
		get(first + i)
	}
}
