# SPDX-License-Identifier: Apache-2.0
"""PHP-FPM, and nginx in front of it."""
import os
import subprocess

import pytest

from .process import APPS, Process, accepts, descendants, find_program, free_port, wait_until
from .servers import listen_tls, listening, need

PHP_FPM_CONFIG = """
[global]
error_log = /dev/stderr
daemonize = no
[www]
user = nobody
group = nogroup
listen = {listen}
listen.mode = 0666
pm = static
pm.max_children = {workers}
catch_workers_output = no
php_admin_value[opcache.enable] = 0
"""
FASTCGI_NGINX_CONFIG = """
daemon off;
worker_processes 2;
pid {folder}/nginx.pid;
error_log stderr warn;
events {{ worker_connections 1024; }}
http {{
	access_log off;
	keepalive_requests 1000000;
	client_body_temp_path {folder}/body;
	proxy_temp_path {folder}/proxy;
	fastcgi_temp_path {folder}/fastcgi;
	uwsgi_temp_path {folder}/uwsgi;
	scgi_temp_path {folder}/scgi;
	upstream php {{
		server {fpm};
		keepalive {keepalive};
	}}
	server {{
		listen 127.0.0.1:{port} backlog=4096{tls};
		location / {{
			include /etc/nginx/fastcgi_params;
			fastcgi_param SCRIPT_FILENAME {script};
			{params}
			fastcgi_keep_conn {keep};
			fastcgi_pass php;
		}}
	}}
}}
"""


def start_php_fpm(folder, unix=False, workers=4, extensions=()):
    """listen: where, as nginx has it."""
    program, port = find_program("php-fpm8.2") or need("php-fpm", "php-fpm"), free_port()
    load = [word for name in extensions for word in ("-d", f"extension={name}")]
    have = subprocess.run([program, "-n", *load, "-m"], capture_output=True, text=True).stdout.split()
    for name in extensions:
        if name not in have:
            pytest.skip(f"PHP's {name} is not installed (package php-{name})")
    config, path = folder / "fpm.conf", folder / "fpm.sock"
    listen = str(path) if unix else f"127.0.0.1:{port}"
    config.write_text(PHP_FPM_CONFIG.format(listen=listen, workers=workers))
    folder.chmod(0o755)
    for parent in (APPS, *APPS.parents):  # its workers, who are nobody, must read the script
        if not parent.stat().st_mode & 0o001:
            pytest.skip(f"nobody may enter {parent}, so PHP-FPM cannot read {APPS / 'fpm.php'}")
    process = Process("php-fpm", [program, "-n", *load, "-F", "-y", config], folder)
    process.listen = f"unix:{path}" if unix else listen
    wait_until(path.exists if unix else lambda: accepts(port), "listening php-fpm", alive=process)
    wait_until(lambda: len(descendants(process.pid)) == workers + 1, "PHP-FPM's workers", alive=process)
    process.pids = descendants(process.pid)
    return process


def start_nginx_of_php(folder, fpm, keep, script="fpm.php", tls=None, params=None):
    """nginx in front of PHP-FPM; keep: its connections to there live on. tls: a folder with its certificate; params: what a script is told besides."""
    program, port = need("nginx", "nginx-light"), free_port()
    folder.chmod(0o755)
    config = folder / "nginx.conf"
    user = "user nobody nogroup;\n" if os.geteuid() == 0 else ""
    config.write_text(user + FASTCGI_NGINX_CONFIG.format(folder=folder, port=port, fpm=fpm, script=APPS / script, keep="on" if keep else "off", keepalive=4, tls=listen_tls(tls),
                                                            params=" ".join(f"fastcgi_param {name} {value};" for name, value in (params or {}).items())))
    process = listening(Process("nginx", [program, "-p", folder, "-c", config], folder), port)
    wait_until(lambda: len(descendants(process.pid)) == 3, "nginx' workers", alive=process)
    process.pids = descendants(process.pid)
    return process
