// SPDX-License-Identifier: Apache-2.0

//! tokio_driver PORT FOLDER VERSION CONNECTIONS HTTP: as driver, by hyper over TLS by tokio-rustls, all connections at once; HTTP: 1.1, or 2, where as many requests as there are connections share one.
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::{http1, http2};
use hyper::{Method, Request, Uri};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::{pem::PemObject, CertificateDer};
use rustls::{ClientConfig, RootCertStore};
use std::io::BufRead;
use std::sync::Arc;
use std::time::Instant;
use tokio::net::TcpStream;
use tokio_rustls::{client::TlsStream, TlsConnector};

type Body = Full<Bytes>;
enum Sender {
    One(http1::SendRequest<Body>),
    Two(http2::SendRequest<Body>),
}

/// The value behind `"name": `, without its quotes.
fn field<'a>(line: &'a str, name: &str) -> &'a str {
    let (_, value) = line.split_once(&format!("\"{name}\": ")).unwrap();
    value.split([',', '}']).next().unwrap().trim_matches('"')
}

async fn ask(sender: &mut Sender, port: &str, line: &str) {
    let (path, body) = (field(line, "path"), field(line, "body").parse().unwrap());
    let two = matches!(sender, Sender::Two(_));
    let target: Uri = if two { format!("https://localhost:{port}{path}") } else { path.to_string() }.parse().unwrap();
    let mut request = Request::builder().method(Method::from_bytes(field(line, "method").as_bytes()).unwrap()).uri(target);
    if !two {
        request = request.header("host", format!("localhost:{port}"));
    }
    let request = request.body(Full::new(Bytes::from(vec![b'u'; body]))).unwrap();
    let begin = Instant::now();
    let response = match sender {
        Sender::One(s) => {
            s.ready().await.unwrap();
            s.send_request(request).await.unwrap()
        }
        Sender::Two(s) => s.send_request(request).await.unwrap(),
    };
    let status = response.status().as_u16();
    response.into_body().collect().await.unwrap();
    println!("{{\"path\": \"{path}\", \"status\": {status}, \"ns\": {}}}", begin.elapsed().as_nanos());
}

async fn connect(port: &str, config: &Arc<ClientConfig>) -> TokioIo<TlsStream<TcpStream>> {
    let socket = TcpStream::connect(format!("127.0.0.1:{port}")).await.unwrap();
    socket.set_nodelay(true).unwrap();
    TokioIo::new(TlsConnector::from(config.clone()).connect("localhost".try_into().unwrap(), socket).await.unwrap())
}

#[tokio::main(worker_threads = 2)]
async fn main() {
    let args: Vec<String> = std::env::args().collect();
    let plan: Arc<Vec<String>> = Arc::new(std::io::stdin().lock().lines().map(|l| l.unwrap()).take_while(|l| l != "go").collect());
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(format!("{}/ca.pem", args[2])).unwrap()).unwrap();
    let version = if args[3] == "1.2" { &rustls::version::TLS12 } else { &rustls::version::TLS13 };
    let mut config = ClientConfig::builder_with_protocol_versions(&[version]).with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![if args[5] == "2" { b"h2".to_vec() } else { b"http/1.1".to_vec() }];
    let (config, connections): (_, usize) = (Arc::new(config), args[4].parse().unwrap());
    let mut shared = None;
    if args[5] == "2" {
        let (sender, connection) = http2::handshake(TokioExecutor::new(), connect(&args[1], &config).await).await.unwrap();
        tokio::spawn(connection);
        shared = Some(sender);
    }
    let mut tasks = Vec::new();
    for first in 0..connections {
        let (plan, config, port, shared) = (plan.clone(), config.clone(), args[1].clone(), shared.clone());
        tasks.push(tokio::spawn(async move {
            let mut sender = match shared {
                Some(sender) => Sender::Two(sender),
                None => {
                    let (sender, connection) = http1::handshake(connect(&port, &config).await).await.unwrap();
                    tokio::spawn(connection);
                    Sender::One(sender)
                }
            };
            for line in plan.iter().skip(first).step_by(connections) {
                ask(&mut sender, &port, line).await;
            }
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
}
