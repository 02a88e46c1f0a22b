// SPDX-License-Identifier: Apache-2.0

//! driver PORT FOLDER VERSION CONNECTIONS: as apps/https_driver.py, by native-tls, a thread for each connection.
use native_tls::{Certificate, Protocol, TlsConnector};
use std::io::Write;
use std::net::TcpStream;
use std::{env, fs, io, thread, time::Instant};

/// A line of the plan as it is written by the tests: {"method": "GET", "path": "/items/1", "body": 0}
fn request(line: &str) -> (String, String, usize) {
	let words: Vec<&str> = line.split('"').collect();
	(words[3].into(), words[7].into(), words[10].trim_matches([':', ' ', '}', '\n']).parse().unwrap())
}

fn ask(port: &str, connector: TlsConnector, mine: Vec<(String, String, usize)>) {
	let socket = TcpStream::connect(format!("127.0.0.1:{port}")).unwrap();
	socket.set_nodelay(true).unwrap();
	let mut stream = connector.connect("localhost", socket).unwrap();
	let mut rest = Vec::new();
	for (method, path, body) in mine {
		let begin = Instant::now();
		let text = format!("{method} {path} HTTP/1.1\r\nHost: localhost:{port}\r\nContent-Length: {body}\r\n\r\n{}", "u".repeat(body));
		stream.write_all(text.as_bytes()).unwrap();
		let (head, _) = plumb_native_tls::read_message(&mut stream, &mut rest, |head| method == "HEAD" || head.starts_with("http/1.1 204")).unwrap().unwrap();
		println!("{{\"path\": \"{path}\", \"status\": {}, \"ns\": {}}}", &head[9..12], begin.elapsed().as_nanos());
	}
}

fn main() {
	let args: Vec<String> = env::args().collect();
	let version = if args[3] == "1.2" { Protocol::Tlsv12 } else { Protocol::Tlsv13 };
	let certificate = Certificate::from_pem(&fs::read(format!("{}/cert.pem", args[2])).unwrap()).unwrap();
	let connector = TlsConnector::builder().add_root_certificate(certificate).min_protocol_version(Some(version)).max_protocol_version(Some(version)).build().unwrap();
	let plan: Vec<_> = io::stdin().lines().map(Result::unwrap).take_while(|line| line != "go").map(|line| request(&line)).collect();
	let connections: usize = args[4].parse().unwrap();
	let threads: Vec<_> = (0..connections)
		.map(|c| {
			let (port, connector, mine) = (args[1].clone(), connector.clone(), plan.iter().skip(c).step_by(connections).cloned().collect());
			thread::spawn(move || ask(&port, connector, mine))
		})
		.collect();
	threads.into_iter().for_each(|t| t.join().unwrap());
}
