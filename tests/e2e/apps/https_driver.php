<?php
// SPDX-License-Identifier: Apache-2.0
// php https_driver.php PORT FOLDER VERSION CONNECTIONS WAY: as https_driver.py, one request at a time. WAY: curl or curl2 (HTTP/2), on so many handles that keep their connections; streams, PHP's own, a
// connection for each request.
[, $port, $folder, $version, $connections, $way] = $argv;
$plan = [];
while (($line = fgets(STDIN)) !== "go\n")
	$plan[] = json_decode($line, true);

function with_curl(CurlHandle $handle, array $r, string $url): int
{
	curl_setopt_array($handle, [CURLOPT_URL => $url, CURLOPT_CUSTOMREQUEST => $r['method'], CURLOPT_NOBODY => $r['method'] === 'HEAD']);
	if ($r['body'])
		curl_setopt_array($handle, [CURLOPT_POST => true, CURLOPT_POSTFIELDS => str_repeat('u', $r['body'])]);
	else if ($r['method'] !== 'HEAD')
		curl_setopt($handle, CURLOPT_HTTPGET, true);
	curl_setopt($handle, CURLOPT_CUSTOMREQUEST, $r['method']);
	if (curl_exec($handle) === false)
		exit(curl_error($handle));
	return curl_getinfo($handle, CURLINFO_RESPONSE_CODE);
}

function with_streams(array $tls, array $r, string $url): int
{
	$http = ['method' => $r['method'], 'protocol_version' => 1.1, 'ignore_errors' => true, 'header' => "Connection: close\r\n"];
	if ($r['body'])
		$http = ['content' => str_repeat('u', $r['body']), 'header' => "Connection: close\r\nContent-Type: text/plain\r\n"] + $http;
	if (file_get_contents($url, false, stream_context_create(['http' => $http, 'ssl' => $tls])) === false)
		exit("$url failed");
	return (int)explode(' ', $http_response_header[0])[1];
}

$handles = [];
for ($i = 0; $i < $connections && $way !== 'streams'; $i++) {
	$handles[$i] = curl_init();
	$versions = $version === '1.2' ? CURL_SSLVERSION_TLSv1_2 | CURL_SSLVERSION_MAX_TLSv1_2 : CURL_SSLVERSION_TLSv1_3;
	curl_setopt_array($handles[$i], [CURLOPT_CAINFO => "$folder/cert.pem", CURLOPT_SSLVERSION => $versions, CURLOPT_RETURNTRANSFER => true,
		CURLOPT_HTTP_VERSION => $way === 'curl2' ? CURL_HTTP_VERSION_2TLS : CURL_HTTP_VERSION_1_1]);
}
$tls = ['cafile' => "$folder/cert.pem", 'crypto_method' => $version === '1.2' ? STREAM_CRYPTO_METHOD_TLSv1_2_CLIENT : STREAM_CRYPTO_METHOD_TLSv1_3_CLIENT];
foreach ($plan as $i => $r) {
	$begin_ns = hrtime(true);
	$url = "https://localhost:$port$r[path]";
	$status = $way === 'streams' ? with_streams($tls, $r, $url) : with_curl($handles[$i % $connections], $r, $url);
	echo json_encode(['path' => $r['path'], 'status' => $status, 'ns' => hrtime(true) - $begin_ns]), "\n";
}
