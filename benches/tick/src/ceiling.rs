//! What the fake can do by itself: it must not be what is measured.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use crate::Error;
use crate::aws::{Delays, queue_url};
use crate::functions::Place;

/// Connections that ask at the same time.
const CONNECTIONS: usize = 64;

/// What was seen of the fake.
#[derive(Clone, Copy, Debug)]
pub struct Ceiling {
    /// Answers a second, without a delay, over HTTP; the client takes a CPU of its own.
    pub per_second: f64,
    /// The time of one call whose answer is delayed by 10 ms.
    pub delayed: Duration,
}

/// Asks for queue depths for a second, and one after the other a hundred times.
///
/// # Errors
/// When there is no connection.
pub fn measure(place: &Place) -> Result<Ceiling, Error> {
    let address = place.fake.plain.trim_start_matches("http://").to_owned();
    let body = format!("{{\"QueueUrl\":\"{}\"}}", queue_url(&place.fake.plain, 0));
    let request = format!(
        "POST / HTTP/1.1\r\nhost: {address}\r\nx-amz-target: AmazonSQS.GetQueueAttributes\r\n\
         content-type: application/x-amz-json-1.0\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let quick = Delays { call: Duration::ZERO, run: Duration::ZERO };
    place.fake.aws().begin(0, quick);
    let streams: Result<Vec<_>, _> =
        (0..CONNECTIONS).map(|_| TcpStream::connect(&address)).collect();
    let mut streams = streams?;
    let (began, mut answers) = (Instant::now(), 0.0);
    while began.elapsed() < Duration::from_secs(1) {
        for stream in &mut streams {
            stream.write_all(request.as_bytes())?;
        }
        for stream in &mut streams {
            read_answer(stream)?;
            answers += 1.0;
        }
    }
    let per_second = answers / began.elapsed().as_secs_f64();
    place.fake.aws().begin(0, crate::aws::USUAL);
    let stream = streams.first_mut().ok_or("no connection")?;
    let began = Instant::now();
    for _ in 0..100 {
        stream.write_all(request.as_bytes())?;
        read_answer(stream)?;
    }
    Ok(Ceiling { per_second, delayed: began.elapsed() / 100 })
}

/// An answer of the fake is short and ends with the object's last brace.
fn read_answer(stream: &mut TcpStream) -> Result<(), Error> {
    let (mut buffer, mut length) = ([0; 4096], 0);
    loop {
        length += stream.read(&mut buffer[length..])?;
        if buffer[..length].ends_with(b"}}") {
            return Ok(());
        }
        if length == buffer.len() {
            return Err("the fake's answer has no end".into());
        }
    }
}
