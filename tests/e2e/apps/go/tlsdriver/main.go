// SPDX-License-Identifier: Apache-2.0

// tlsdriver PORT FOLDER: tls_driver.py by crypto/tls.
package main

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"net"
	"os"
	"time"
)

type plan struct {
	Version, Name string
	Trust         bool
	Offers        []string
}

type result struct {
	Version, Cipher, Chosen, Error *string
	Resumed                        bool
	Ns                             int64
}

var versions = map[string]uint16{"1.2": tls.VersionTLS12, "1.3": tls.VersionTLS13}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

func try(p plan, roots *x509.CertPool) (r result) {
	c := &tls.Config{MinVersion: versions[p.Version], MaxVersion: versions[p.Version], ServerName: p.Name, NextProtos: p.Offers, RootCAs: x509.NewCertPool()}
	if p.Trust {
		c.RootCAs = roots
	}
	raw, err := net.Dial("tcp", "127.0.0.1:"+os.Args[1])
	must(err)
	defer raw.Close()
	conn := tls.Client(raw, c)
	begin := time.Now()
	err = conn.Handshake()
	r.Ns = time.Since(begin).Nanoseconds()
	if err != nil {
		text := err.Error()
		r.Error = &text
		return
	}
	_, err = conn.Write([]byte("hello\n"))
	must(err)
	_, err = conn.Read(make([]byte, 100))
	must(err)
	s := conn.ConnectionState()
	cipher := tls.CipherSuiteName(s.CipherSuite)
	r.Version, r.Cipher, r.Resumed = &p.Version, &cipher, s.DidResume
	if s.NegotiatedProtocol != "" {
		r.Chosen = &s.NegotiatedProtocol
	}
	conn.Close()
	return
}

func main() {
	var plans []plan
	in := bufio.NewScanner(os.Stdin)
	for in.Scan() && in.Text() != "go" {
		var p plan
		if in.Text() == "" {
			continue
		}
		must(json.Unmarshal(in.Bytes(), &p))
		plans = append(plans, p)
	}
	pem, err := os.ReadFile(os.Args[2] + "/cert.pem")
	must(err)
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	out := json.NewEncoder(os.Stdout)
	for _, p := range plans {
		r := try(p, roots)
		must(out.Encode(map[string]any{"version": r.Version, "cipher": r.Cipher, "chosen": r.Chosen, "error": r.Error, "resumed": r.Resumed, "ns": r.Ns}))
	}
}
