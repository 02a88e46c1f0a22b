package main

import _ "github.com/go-ldap/ldap/v3"

func main() {}
