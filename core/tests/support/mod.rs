//! A server on the loopback interface that answers each request as a test says.

// Each test file uses a part of this.
#![allow(dead_code)]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What one request brought.
#[derive(Clone, Debug)]
pub struct Seen {
    pub path: String,
    pub headers: String,
    pub body: String,
}

/// What the server does with a request.
pub enum Answer {
    /// Status, extra headers, body.
    Full(u16, &'static str, Vec<u8>),
    /// Promises more bytes than it sends, then hangs up.
    CutOff(Vec<u8>),
    /// Says nothing for this long, then hangs up.
    Silent(Duration),
}

pub struct Server {
    pub base: String,
    pub seen: Arc<Mutex<Vec<Seen>>>,
}

/// Serves until the test process ends; `answer` gets the number of the request (from 0) and what it brought.
pub fn serve(answer: impl Fn(usize, &Seen) -> Answer + Send + Sync + 'static) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let seen = Arc::new(Mutex::new(Vec::new()));
    let (answer, log) = (Arc::new(answer), seen.clone());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (answer, log) = (answer.clone(), log.clone());
            std::thread::spawn(move || {
                let mut stream = stream.unwrap();
                let request = read(&mut stream);
                let number = {
                    let mut log = log.lock().unwrap();
                    log.push(request.clone());
                    log.len() - 1
                };
                // The client may have given up.
                let _ = reply(&mut stream, answer(number, &request));
            });
        }
    });
    Server { base, seen }
}

fn read(stream: &mut TcpStream) -> Seen {
    let mut reader = BufReader::new(stream);
    let mut first = String::new();
    reader.read_line(&mut first).unwrap();
    let mut headers = String::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        if line.trim().is_empty() {
            break;
        }
        headers.push_str(&line.to_ascii_lowercase());
    }
    let length = headers
        .lines()
        .find_map(|line| line.strip_prefix("content-length:"))
        .map_or(0, |n| n.trim().parse().unwrap());
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    let path = first.split(' ').nth(1).unwrap_or("").to_owned();
    Seen { path, headers, body: String::from_utf8(body).unwrap() }
}

fn reply(stream: &mut TcpStream, answer: Answer) -> std::io::Result<()> {
    match answer {
        Answer::Full(status, headers, body) => {
            let head = format!(
                "HTTP/1.1 {status} X\r\n{headers}content-length: {}\r\nconnection: close\r\n\r\n",
                body.len()
            );
            stream.write_all(head.as_bytes())?;
            stream.write_all(&body)
        }
        Answer::CutOff(body) => {
            let head = format!(
                "HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
                body.len() + 1000
            );
            stream.write_all(head.as_bytes())?;
            stream.write_all(&body)
        }
        Answer::Silent(time) => {
            std::thread::sleep(time);
            Ok(())
        }
    }
}
