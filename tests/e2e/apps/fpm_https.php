<?php
// SPDX-License-Identifier: Apache-2.0
// Passes what it is asked for on over HTTPS, to the port BACKEND, whose certificate is in the folder CERTIFICATE, and answers as that does.
$handle = curl_init("https://localhost:$_SERVER[BACKEND]$_SERVER[REQUEST_URI]");
$method = $_SERVER['REQUEST_METHOD'];
curl_setopt_array($handle, [CURLOPT_CAINFO => "$_SERVER[CERTIFICATE]/cert.pem", CURLOPT_RETURNTRANSFER => true, CURLOPT_HTTP_VERSION => CURL_HTTP_VERSION_1_1,
	CURLOPT_NOBODY => $method === 'HEAD']);
if ($method === 'POST')
	curl_setopt_array($handle, [CURLOPT_POST => true, CURLOPT_POSTFIELDS => file_get_contents('php://input')]);
curl_setopt($handle, CURLOPT_CUSTOMREQUEST, $method);
$body = curl_exec($handle);
if ($body === false)
	error_log(curl_error($handle));
http_response_code($body === false ? 502 : curl_getinfo($handle, CURLINFO_RESPONSE_CODE));
if ($body)
	header('Content-Length: ' . strlen($body)); // else nginx cuts it into chunks, of which plumb does not see every head
echo $body;
