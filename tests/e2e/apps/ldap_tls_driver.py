# SPDX-License-Identifier: Apache-2.0
"""StartTLS through ldap3: ldap_tls_driver.py PORT < "go"."""
import ssl
import sys

from ldap3 import NONE, Connection, Server, Tls

assert sys.stdin.readline() == "go\n"
c = Connection(Server("127.0.0.1", port=int(sys.argv[1]), get_info=NONE, tls=Tls(validate=ssl.CERT_NONE)), user="cn=admin,dc=plumb,dc=test", password="sesame")
c.open()
assert c.start_tls()
assert c.bind()
c.unbind()
