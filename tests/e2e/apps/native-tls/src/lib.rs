// SPDX-License-Identifier: Apache-2.0

//! As much of HTTP/1.1 as a server and a client of the truth tests need.
use std::io::{Error, Read};

/// The head and the whole body of what comes next; None: the other side has closed the connection. `bodiless` says of a head that nothing follows it.
pub fn read_message(stream: &mut impl Read, rest: &mut Vec<u8>, bodiless: impl Fn(&str) -> bool) -> Result<Option<(String, usize)>, Error> {
	let mut fill = |rest: &mut Vec<u8>| -> Result<usize, Error> {
		let mut part = [0; 16384];
		let n = stream.read(&mut part)?;
		rest.extend_from_slice(&part[..n]);
		Ok(n)
	};
	let end = loop {
		if let Some(at) = rest.windows(4).position(|w| w == b"\r\n\r\n") {
			break at + 4;
		}
		if fill(rest)? == 0 {
			return Ok(None);
		}
	};
	let head = String::from_utf8_lossy(&rest[..end]).to_lowercase();
	rest.drain(..end);
	if bodiless(&head) {
		return Ok(Some((head, 0)));
	}
	if head.contains("transfer-encoding: chunked") {
		while !rest.ends_with(b"\r\n0\r\n\r\n") {
			fill(rest)?;
		}
		let n = rest.len();
		rest.clear();
		return Ok(Some((head, n)));
	}
	let length: usize = head.split("content-length: ").nth(1).map_or(0, |l| l.split("\r\n").next().unwrap().parse().unwrap());
	while rest.len() < length {
		fill(rest)?;
	}
	rest.drain(..length);
	Ok(Some((head, length)))
}
