<?php
// SPDX-License-Identifier: Apache-2.0
// The same routes as in httpd.py, for PHP-FPM behind a web server.
$kind = explode('/', parse_url($_SERVER['REQUEST_URI'], PHP_URL_PATH))[1] ?? '';
header('Content-Type: text/plain');
header('X-Secret: secret');
switch ($kind) {
case 'items':
	if ($_SERVER['REQUEST_METHOD'] === 'DELETE')
		http_response_code(204);
	else
		echo "one item: secret\n";
	break;
case 'upload':
	$n = strlen(file_get_contents('php://input'));
	http_response_code(201);
	echo "stored $n\n";
	break;
case 'big': echo str_repeat('b', 200003); break;
case 'chunks':
	for ($i = 0; $i < 5; $i++) {
		echo "chunk $i\n";
		flush();
	}
	break;
case 'slow':
	usleep(97000);
	echo "slept\n";
	break;
case 'fail':
	error_log('secret failure');
	http_response_code(500);
	break;
case 'missing': http_response_code(404); break;
case 'busy': http_response_code(503); break;
}
