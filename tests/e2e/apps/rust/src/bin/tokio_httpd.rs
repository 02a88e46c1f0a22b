// SPDX-License-Identifier: Apache-2.0

//! tokio_httpd PORT FOLDER: serves the routes of the truth tests (the same as httpd.py) by hyper, HTTP/1.1 and HTTP/2, over TLS by tokio-rustls, with the certificate of FOLDER.
use bytes::Bytes;
use http_body_util::{combinators::BoxBody, BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::{service::service_fn, Method, Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use rustls::pki_types::{pem::PemObject, CertificateDer, PrivateKeyDer};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

type Body = BoxBody<Bytes, Infallible>;

fn answer(status: u16, body: impl Into<Bytes>) -> Response<Body> {
    Response::builder().status(status).body(Full::new(body.into()).boxed()).unwrap()
}

/// Five pieces, of which the length is not given.
fn chunks() -> Response<Body> {
    let pieces = (0..5).map(|_| Ok(Frame::data(Bytes::from_static(&[b'c'; 701]))));
    Response::new(BodyExt::boxed(StreamBody::new(futures_util::stream::iter(pieces))))
}

async fn serve(request: Request<Incoming>) -> Result<Response<Body>, hyper::Error> {
    let (head, body) = request.into_parts();
    body.collect().await?;
    if head.method == Method::HEAD {
        return Ok(Response::builder().header("content-length", 9).body(Full::default().boxed()).unwrap());
    }
    Ok(match head.uri.path().split('/').nth(1).unwrap_or("") {
        "items" if head.method == Method::DELETE => answer(204, ""),
        "items" => answer(200, "one item\n"),
        "upload" => answer(201, "stored\n"),
        "big" => answer(200, vec![b'b'; 200_003]),
        "chunks" => chunks(),
        "slow" => {
            tokio::time::sleep(Duration::from_millis(53)).await;
            answer(200, "at last\n")
        }
        "fail" => answer(500, "no\n"),
        "busy" => answer(503, "later\n"),
        _ => answer(404, "none\n"),
    })
}

#[tokio::main(worker_threads = 2)]
async fn main() {
    let args: Vec<String> = std::env::args().collect();
    let certificates = CertificateDer::pem_file_iter(format!("{}/cert.pem", args[2])).unwrap().map(|c| c.unwrap()).collect();
    let key = PrivateKeyDer::from_pem_file(format!("{}/key.pem", args[2])).unwrap();
    let mut config = rustls::ServerConfig::builder().with_no_client_auth().with_single_cert(certificates, key).unwrap();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind(format!("127.0.0.1:{}", args[1])).await.unwrap();
    loop {
        let (socket, _) = listener.accept().await.unwrap();
        let acceptor = acceptor.clone();
        tokio::spawn(async move {
            socket.set_nodelay(true).unwrap();
            if let Ok(stream) = acceptor.accept(socket).await {
                let _ = Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service_fn(serve)).await;
            }
        });
    }
}
