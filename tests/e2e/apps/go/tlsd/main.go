// SPDX-License-Identifier: Apache-2.0

// tlsd PORT FOLDER: tlsd.py by crypto/tls.
package main

import (
	"crypto/tls"
	"fmt"
	"io"
	"os"
)

func main() {
	pair, err := tls.LoadX509KeyPair(os.Args[2]+"/cert.pem", os.Args[2]+"/key.pem")
	if err != nil {
		panic(err)
	}
	listener, err := tls.Listen("tcp", "127.0.0.1:"+os.Args[1], &tls.Config{Certificates: []tls.Certificate{pair}, NextProtos: []string{"h2", "http/1.1"}})
	if err != nil {
		panic(err)
	}
	for {
		conn, err := listener.Accept()
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		go func() {
			defer conn.Close()
			_, _ = io.Copy(conn, conn)
		}()
	}
}
