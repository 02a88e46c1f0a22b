// SPDX-License-Identifier: Apache-2.0

// Package overtls has drivers speak TLS: DRIVER_TLS=FOLDER, with the server's certificate there.
package overtls

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
)

// Config is nil where a driver speaks in clear.
func Config() *tls.Config {
	folder := os.Getenv("DRIVER_TLS")
	if folder == "" {
		return nil
	}
	pem, err := os.ReadFile(folder + "/cert.pem")
	roots := x509.NewCertPool()
	if err != nil || !roots.AppendCertsFromPEM(pem) {
		fmt.Fprintln(os.Stderr, "overtls: no certificate in", folder, err)
		os.Exit(1)
	}
	return &tls.Config{RootCAs: roots}
}

// Scheme of a URL.
func Scheme(clear, encrypted string) string {
	if os.Getenv("DRIVER_TLS") == "" {
		return clear
	}
	return encrypted
}
