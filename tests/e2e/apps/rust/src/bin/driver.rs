// SPDX-License-Identifier: Apache-2.0

//! driver PORT FOLDER VERSION CONNECTIONS: requests over TLS VERSION (1.2 or 1.3) by rustls, with the authority of FOLDER (ca.pem), when "go" is read behind a plan of JSON lines; one connection after the other.
use rustls::pki_types::{pem::PemObject, CertificateDer};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use std::io::{BufRead, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Instant;

/// The value behind `"name": `, without its quotes.
fn field<'a>(line: &'a str, name: &str) -> &'a str {
    let (_, value) = line.split_once(&format!("\"{name}\": ")).unwrap();
    value.split([',', '}']).next().unwrap().trim_matches('"')
}

fn ask(stream: &mut StreamOwned<ClientConnection, TcpStream>, port: &str, method: &str, path: &str, body: usize) -> u16 {
    let (mut have, mut part) = (Vec::new(), [0; 16384]);
    stream.write_all(format!("{method} {path} HTTP/1.1\r\nHost: localhost:{port}\r\nContent-Length: {body}\r\n\r\n").as_bytes()).unwrap();
    stream.write_all(&vec![b'u'; body]).unwrap();
    stream.flush().unwrap();
    loop {
        let n = stream.read(&mut part).unwrap();
        assert!(n > 0, "the end within an answer");
        have.extend_from_slice(&part[..n]);
        let Some(at) = have.windows(4).position(|w| w == b"\r\n\r\n") else { continue };
        let head = String::from_utf8_lossy(&have[..at]).to_lowercase();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        let length: Option<usize> = head.lines().find_map(|l| l.strip_prefix("content-length: ").map(|v| v.parse().unwrap()));
        let whole = match length {
            _ if method == "HEAD" || status == 204 => true,
            Some(length) => have.len() >= at + 4 + length,
            None => have.ends_with(b"0\r\n\r\n"),
        };
        if whole {
            return status;
        }
    }
}

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let plan: Vec<String> = std::io::stdin().lock().lines().map(|l| l.unwrap()).take_while(|l| l != "go").collect();
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(format!("{}/ca.pem", args[2])).unwrap()).unwrap();
    let version = if args[3] == "1.2" { &rustls::version::TLS12 } else { &rustls::version::TLS13 };
    let config = Arc::new(ClientConfig::builder_with_protocol_versions(&[version]).with_root_certificates(roots).with_no_client_auth());
    let connections: usize = args[4].parse().unwrap();
    for first in 0..connections {
        let socket = TcpStream::connect(format!("127.0.0.1:{}", args[1])).unwrap();
        socket.set_nodelay(true).unwrap();
        let mut stream = StreamOwned::new(ClientConnection::new(config.clone(), "localhost".try_into().unwrap()).unwrap(), socket);
        for line in plan.iter().skip(first).step_by(connections) {
            let begin = Instant::now();
            let status = ask(&mut stream, &args[1], field(line, "method"), field(line, "path"), field(line, "body").parse().unwrap());
            println!("{{\"path\": \"{}\", \"status\": {status}, \"ns\": {}}}", field(line, "path"), begin.elapsed().as_nanos());
        }
        stream.conn.send_close_notify();
        stream.flush().unwrap();
    }
}
