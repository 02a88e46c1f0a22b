# SPDX-License-Identifier: Apache-2.0
"""Servers of what the Internet has had from its beginning: names, directories, mail, files. servers.py has all others, and these by name."""
import os
import pwd
import subprocess

import pytest

from .process import Process, find_program, free_port, let_enter, listening, need


def start_dnsmasq(folder):
    """Over datagrams and streams: shop.test has an address of each kind and a text, many.test 101 addresses, nothing else in .test is there; it may not answer for others."""
    program, port = need("dnsmasq", "dnsmasq-base"), free_port()
    records = [f"--host-record=many.test,192.0.2.{i}" for i in range(1, 102)]
    return listening(Process("dnsmasq", [program, "--keep-in-foreground", "--conf-file=/dev/null", "--pid-file", "--user=", "--log-facility=-", "--no-resolv", "--no-hosts", "--port", port,
                                         "--listen-address=127.0.0.1", "--bind-interfaces", "--local=/test/", "--host-record=shop.test,192.0.2.7,2001:db8::7",
                                         "--txt-record=shop.test,open", *records], folder), port)


SLAPD_CONFIG = """
include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/inetorgperson.schema
modulepath /usr/lib/ldap
moduleload back_mdb
moduleload retcode
{tls}database mdb
suffix "dc=plumb,dc=test"
rootdn "cn=admin,dc=plumb,dc=test"
rootpw sesame
maxsize 16777216
dbnosync
directory {folder}/data
overlay retcode
retcode-parent "ou=codes,dc=plumb,dc=test"
retcode-item "cn=busy" 0x33
retcode-item "cn=slow" 0x00 op=search sleeptime=1
"""


def start_slapd(folder, pair=None):
    """A directory dc=plumb,dc=test with nothing in it. Its administrator is cn=admin, password sesame. What is below ou=codes answers as it is called. pair: certificate and key, for StartTLS."""
    program, port = need("slapd", "slapd"), free_port()
    (folder / "data").mkdir()
    config = folder / "slapd.conf"
    tls = f"TLSCertificateFile {pair[0]}\nTLSCertificateKeyFile {pair[1]}\n" if pair else ""
    config.write_text(SLAPD_CONFIG.format(folder=folder, tls=tls))
    user = []
    if os.geteuid() == 0:
        names = {p.pw_name for p in pwd.getpwall()}
        name = "openldap" if "openldap" in names else "nobody"
        let_enter(folder)
        for path in (folder, folder / "data", config, *(pair or ())):
            os.chown(path, pwd.getpwnam(name).pw_uid, pwd.getpwnam(name).pw_gid)
        user = ["-u", name]
    return listening(Process("slapd", [program, "-h", f"ldap://127.0.0.1:{port}/", "-f", config, "-d", "0", *user], folder), port)


POSTFIX_MAIN = """
compatibility_level = 3.6
queue_directory = {folder}/queue
data_directory = {folder}/data
daemon_directory = {programs}
command_directory = /usr/sbin
mail_owner = postfix
setgid_group = postdrop
maillog_file = {folder}/queue/log
maillog_file_prefixes = {folder}
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
myhostname = mail.example
mydestination =
mynetworks = 127.0.0.0/8
default_transport = discard
local_transport = discard
relay_transport = discard
alias_maps =
alias_database =
biff = no
message_size_limit = 1000000
disable_vrfy_command = yes
smtpd_peername_lookup = no
smtpd_client_connection_count_limit = 0
smtpd_error_sleep_time = 0
smtpd_soft_error_limit = 100
smtpd_hard_error_limit = 200
smtpd_recipient_restrictions = check_recipient_access inline:{{ {{ refused.example = 550 5.1.1 no such user }}, {{ later.example = 450 4.2.0 later }} }}, permit_mynetworks, reject
"""
POSTFIX_MASTER = """
127.0.0.1:{port} inet n - n - - smtpd
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
proxymap unix - - n - - proxymap
anvil unix - - n - 1 anvil
discard unix - - n - - discard
error unix - - n - - error
retry unix - - n - - error
postlog unix-dgram n - n - 1 postlogd
"""


def start_postfix(folder):
    """Takes mail for anybody and throws it away; refuses refused.example for good and later.example for now. Its programs change to users of their own, so it needs root."""
    programs, program = "/usr/lib/postfix/sbin", find_program("postfix")
    if not program or not os.path.exists(f"{programs}/master"):
        pytest.skip("postfix is not installed (package postfix)")
    if os.geteuid() != 0:
        pytest.skip("postfix starts as root only")
    let_enter(folder)
    config, port = folder / "etc", free_port()
    for name in ("etc", "queue", "data"):
        (folder / name).mkdir()
    os.chown(folder / "data", pwd.getpwnam("postfix").pw_uid, -1)
    (config / "main.cf").write_text(POSTFIX_MAIN.format(folder=folder, programs=programs))
    (config / "master.cf").write_text(POSTFIX_MASTER.format(port=port))
    subprocess.run([program, "-c", config, "check"], check=True, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return listening(Process("postfix", [f"{programs}/master", "-c", config, "-d"], folder), port)


VSFTPD_CONFIG = """
listen=YES
listen_address=127.0.0.1
listen_port={port}
background=NO
local_enable=NO
anonymous_enable=YES
anon_root={folder}/root
anon_umask=022
write_enable=YES
anon_upload_enable=YES
anon_mkdir_write_enable=YES
anon_other_write_enable=YES
no_anon_password=NO
secure_chroot_dir={folder}/empty
nopriv_user=nobody
ftp_username=ftp
seccomp_sandbox=NO
pasv_enable=YES
pasv_addr_resolve=NO
{more}
"""


def start_vsftpd(folder, certificate=None, key=None):
    """Takes anybody as anonymous, who may write in /in. Its processes change to users of their own, so it needs root."""
    program, port = need("vsftpd", "vsftpd"), free_port()
    if os.geteuid() != 0:
        pytest.skip("vsftpd starts as root only")
    let_enter(folder)
    for name in ("root", "root/in", "empty"):
        (folder / name).mkdir()
        (folder / name).chmod(0o755)
    os.chown(folder / "root/in", pwd.getpwnam("ftp").pw_uid, -1)
    more = f"ssl_enable=YES\nallow_anon_ssl=YES\nrsa_cert_file={certificate}\nrsa_private_key_file={key}\n" if certificate else ""
    config = folder / "vsftpd.conf"
    config.write_text(VSFTPD_CONFIG.format(folder=folder, port=port, more=more))
    return listening(Process("vsftpd", [program, config], folder), port)
