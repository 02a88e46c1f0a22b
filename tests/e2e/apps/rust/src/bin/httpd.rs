// SPDX-License-Identifier: Apache-2.0

//! httpd PORT FOLDER: serves the routes of the truth tests (the same as httpd.py) over TLS by rustls, with the certificate of FOLDER and a thread for each connection.
use rustls::pki_types::{pem::PemObject, CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use std::io::{IoSlice, Read, Result, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::time::Duration;

type Stream = StreamOwned<ServerConnection, TcpStream>;

/// Head and body in one call.
fn answer(stream: &mut Stream, method: &str, status: u16, body: &[u8]) -> Result<()> {
    let length = if status == 204 { String::new() } else { format!("Content-Length: {}\r\n", body.len()) };
    let head = format!("HTTP/1.1 {status} X\r\n{length}\r\n");
    let body = if method == "HEAD" || status == 204 { &b""[..] } else { body };
    let all = [head.as_bytes(), body].concat();
    let mut done = if body.is_empty() { 0 } else { stream.write_vectored(&[IoSlice::new(head.as_bytes()), IoSlice::new(body)])? };
    while done < all.len() {
        done += stream.write(&all[done..])?;
    }
    stream.flush()
}

fn serve_one(stream: &mut Stream, method: &str, path: &str) -> Result<()> {
    match path.split('/').nth(1).unwrap_or("") {
        "items" => answer(stream, method, if method == "DELETE" { 204 } else { 200 }, b"one item\n"),
        "upload" => answer(stream, method, 201, b"stored\n"),
        "big" => answer(stream, method, 200, &[b'b'; 200_003]),
        "chunks" => {
            stream.write_all(b"HTTP/1.1 200 X\r\nTransfer-Encoding: chunked\r\n\r\n")?;
            for _ in 0..5 {
                stream.write_all(&[&b"2bd\r\n"[..], &[b'c'; 701], b"\r\n"].concat())?;
            }
            stream.write_all(b"0\r\n\r\n")?;
            stream.flush()
        }
        "slow" => {
            std::thread::sleep(Duration::from_millis(53));
            answer(stream, method, 200, b"at last\n")
        }
        "fail" => answer(stream, method, 500, b"no\n"),
        "busy" => answer(stream, method, 503, b"later\n"),
        _ => answer(stream, method, 404, b"none\n"),
    }
}

fn serve(mut stream: Stream) -> Result<()> {
    let (mut have, mut part) = (Vec::new(), [0; 16384]);
    loop {
        let head = loop {
            if let Some(at) = have.windows(4).position(|w| w == b"\r\n\r\n") {
                break at + 4;
            }
            match stream.read(&mut part)? {
                0 => return Ok(()),
                n => have.extend_from_slice(&part[..n]),
            }
        };
        let text = String::from_utf8_lossy(&have[..head]).to_string();
        let length: usize = text.lines().find_map(|l| l.to_lowercase().strip_prefix("content-length:").map(|v| v.trim().parse().unwrap())).unwrap_or(0);
        while have.len() < head + length {
            let n = stream.read(&mut part)?;
            have.extend_from_slice(&part[..n]);
        }
        have.drain(..head + length);
        let mut words = text.split(' ');
        serve_one(&mut stream, words.next().unwrap(), words.next().unwrap())?;
    }
}

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let certificates = CertificateDer::pem_file_iter(format!("{}/cert.pem", args[2])).unwrap().map(|c| c.unwrap()).collect();
    let key = PrivateKeyDer::from_pem_file(format!("{}/key.pem", args[2])).unwrap();
    let config = Arc::new(ServerConfig::builder().with_no_client_auth().with_single_cert(certificates, key).unwrap());
    for socket in TcpListener::bind(format!("127.0.0.1:{}", args[1])).unwrap().incoming() {
        let (socket, config) = (socket.unwrap(), config.clone());
        std::thread::spawn(move || {
            socket.set_nodelay(true).unwrap();
            serve(StreamOwned::new(ServerConnection::new(config).unwrap(), socket))
        });
    }
}
