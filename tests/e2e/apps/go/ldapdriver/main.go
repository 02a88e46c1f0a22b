// SPDX-License-Identifier: Apache-2.0

// ldapdriver runs a fixed series of requests through go-ldap: ldapdriver PORT < "go". Prints {"what","ns","error"} for each step.
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/go-ldap/ldap/v3"
)

type step struct {
	What  string `json:"what"`
	Ns    int64  `json:"ns"`
	Error string `json:"error"`
}

const root, units = "dc=plumb,dc=test", "ou=units,dc=plumb,dc=test"

var out = json.NewEncoder(os.Stdout)

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "ldapdriver:", err)
		os.Exit(1)
	}
}

// timed: expect is the result's code.
func timed(what string, expect uint16, run func() error) {
	start := time.Now()
	err := run()
	s := step{What: what, Ns: time.Since(start).Nanoseconds()}
	if expect == ldap.LDAPResultSuccess {
		check(err)
	} else if !ldap.IsErrorWithCode(err, expect) {
		check(fmt.Errorf("%s: %v", what, err))
	} else {
		s.Error = ldap.LDAPResultCodeMap[expect]
	}
	check(out.Encode(s))
}

func main() {
	input := bufio.NewScanner(os.Stdin)
	if !input.Scan() || input.Text() != "go" {
		check(errors.New("no line \"go\""))
	}
	c, err := ldap.DialURL("ldap://127.0.0.1:" + os.Args[1])
	check(err)
	search := func(base string, scope int, filter string, found int) error {
		r, err := c.Search(ldap.NewSearchRequest(base, scope, ldap.NeverDerefAliases, 0, 0, false, filter, []string{"cn"}, nil))
		if err == nil && len(r.Entries) != found {
			check(fmt.Errorf("%s: %d entries", filter, len(r.Entries)))
		}
		return err
	}
	add := func(dn string, class string, more ...string) error {
		r := ldap.NewAddRequest(dn, nil)
		r.Attribute("objectClass", []string{class})
		for i := 0; i+1 < len(more); i += 2 {
			r.Attribute(more[i], []string{more[i+1]})
		}
		return c.Add(r)
	}
	timed("bind", 0, func() error { return c.Bind("cn=admin,"+root, "sesame") })
	timed("add", 0, func() error { return add(root, "domain", "dc", "plumb") })
	timed("add", 0, func() error { return add(units, "organizationalUnit", "ou", "units") })
	for i := 0; i < 13; i++ {
		timed("add person", 0, func() error {
			return add(fmt.Sprintf("cn=secret %d,%s", i, units), "person", "cn", fmt.Sprintf("secret %d", i), "sn", "secret", "userPassword", "secret")
		})
	}
	timed("duplicate", ldap.LDAPResultEntryAlreadyExists, func() error { return add(units, "organizationalUnit", "ou", "units") })
	timed("search", 0, func() error { return search(units, ldap.ScopeWholeSubtree, "(&(objectClass=person)(cn=secret*))", 13) })
	timed("no entry", ldap.LDAPResultNoSuchObject, func() error { return search("ou=secret,"+root, ldap.ScopeBaseObject, "(objectClass=*)", 0) })
	timed("compare", 0, func() error { _, err := c.Compare("cn=secret 1,"+units, "sn", "secret"); return err })
	timed("modify", 0, func() error {
		r := ldap.NewModifyRequest("cn=secret 1,"+units, nil)
		r.Replace("sn", []string{"secret 2"})
		return c.Modify(r)
	})
	timed("password", 0, func() error {
		_, err := c.PasswordModify(ldap.NewPasswordModifyRequest("cn=secret 1,"+units, "secret", "secret 7"))
		return err
	})
	timed("who am I", 0, func() error { _, err := c.WhoAmI(nil); return err })
	timed("rename", 0, func() error {
		return c.ModifyDN(ldap.NewModifyDNRequest("cn=secret 2,"+units, "cn=secret 99", true, ""))
	})
	timed("delete", 0, func() error { return c.Del(ldap.NewDelRequest("cn=secret 99,"+units, nil)) })
	timed("pages", 0, func() error {
		r, err := c.SearchWithPaging(ldap.NewSearchRequest(units, ldap.ScopeSingleLevel, ldap.NeverDerefAliases, 0, 0, false, "(cn=*)", nil, nil), 5)
		if err == nil && len(r.Entries) != 12 {
			check(errors.New("not 12 entries in pages"))
		}
		return err
	})
	timed("no object class", ldap.LDAPResultObjectClassViolation, func() error { return add("cn=secret,"+units, "person", "cn", "secret") })
	// All under way at once.
	var all sync.WaitGroup
	for i := 0; i < 211; i++ {
		all.Add(1)
		go func(i int) {
			defer all.Done()
			if i%7 == 0 {
				if !ldap.IsErrorWithCode(search("ou=secret,"+root, ldap.ScopeBaseObject, "(cn=secret)", 0), ldap.LDAPResultNoSuchObject) {
					check(errors.New("an entry that is none"))
				}
			} else {
				check(search(units, ldap.ScopeSingleLevel, "(cn=secret*)", 12))
			}
		}(i)
	}
	all.Wait()
	timed("last", 0, func() error { return search(root, ldap.ScopeBaseObject, "(objectClass=*)", 1) })
	c.Close()
}
