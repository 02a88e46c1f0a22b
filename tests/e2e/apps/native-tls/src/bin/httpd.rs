// SPDX-License-Identifier: Apache-2.0

//! Serves the routes of the truth tests (the same as apps/httpd.py) over TLS, by native-tls, a thread for each connection: httpd PORT FOLDER, with the certificate there.
use native_tls::{Identity, TlsAcceptor, TlsStream};
use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::{env, fs, thread, time::Duration};

fn reply(method: &str, path: &str) -> Vec<u8> {
	let kind = path.split('/').nth(1).unwrap_or("");
	let item = format!("one item: {path}\n");
	let big = "b".repeat(200_003);
	let (status, body) = match kind {
		"items" if method == "delete" => return b"HTTP/1.1 204 No Content\r\n\r\n".to_vec(),
		"items" => ("200 OK", item.as_str()),
		"upload" => ("201 Created", "stored\n"),
		"big" => ("200 OK", big.as_str()),
		"chunks" => return ["HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", &format!("2bd\r\n{}\r\n", "c".repeat(701)).repeat(5), "0\r\n\r\n"].concat().into_bytes(),
		"slow" => {
			thread::sleep(Duration::from_millis(53));
			("200 OK", "at last\n")
		}
		"fail" => ("500 Internal Server Error", "no\n"),
		"busy" => ("503 Service Unavailable", "later\n"),
		_ => ("404 Not Found", "none\n"),
	};
	let body = (if method == "head" { "" } else { body }, body.len());
	format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n{}", body.1, body.0).into_bytes()
}

fn serve(mut stream: TlsStream<TcpStream>) -> Result<(), std::io::Error> {
	let mut rest = Vec::new();
	while let Some((head, _)) = plumb_native_tls::read_message(&mut stream, &mut rest, |_| false)? {
		let mut words = head.split(' ');
		stream.write_all(&reply(words.next().unwrap(), words.next().unwrap()))?;
	}
	Ok(())
}

fn main() {
	let args: Vec<String> = env::args().collect();
	let read = |name| fs::read(format!("{}/{name}", args[2])).unwrap();
	let acceptor = TlsAcceptor::new(Identity::from_pkcs8(&read("cert.pem"), &read("key.pem")).unwrap()).unwrap(); // with OpenSSL it has TLS 1.2 and no later one
	for stream in TcpListener::bind(format!("127.0.0.1:{}", args[1])).unwrap().incoming() {
		let (acceptor, stream) = (acceptor.clone(), stream.unwrap());
		stream.set_nodelay(true).unwrap();
		thread::spawn(move || acceptor.accept(stream).map(serve));
	}
}
