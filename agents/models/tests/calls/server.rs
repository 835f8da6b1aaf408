//! A loopback server that answers as a test says, counts what it is asked, and sees when a connection goes.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::Value;

/// One answer.
#[derive(Clone, Default)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(&'static str, String)>,
    pub body: Vec<u8>,
    /// Sent in pieces with this pause between.
    pub pieces: Option<(usize, Duration)>,
    /// Wait before the first byte of the body.
    pub wait: Duration,
    /// Send so many bytes and break the connection.
    pub cut: Option<usize>,
    /// After the body, keep the connection open and send nothing for so long.
    pub hang: Duration,
}

/// One request as it came.
#[derive(Clone, Debug)]
pub struct Asked {
    pub path: String,
    pub headers: String,
    pub body: Value,
}

pub struct Server {
    pub url: String,
    pub asked: Arc<Mutex<Vec<Asked>>>,
    /// When a connection was seen to go while an answer was under way.
    pub gone: Arc<Mutex<Option<Instant>>>,
    count: Arc<AtomicUsize>,
}

impl Server {
    /// `answer` gets the number of the request, from 0, and the request.
    pub fn start(answer: impl Fn(usize, &Asked) -> Answer + Send + Sync + 'static) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/v1", listener.local_addr().unwrap());
        let server =
            Server { url, asked: Default::default(), gone: Default::default(), count: Default::default() };
        let (asked, gone, count) = (server.asked.clone(), server.gone.clone(), server.count.clone());
        let answer = Arc::new(answer);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (asked, gone, count, answer) =
                    (asked.clone(), gone.clone(), count.clone(), answer.clone());
                std::thread::spawn(move || serve(stream, &asked, &gone, &count, &*answer));
            }
        });
        server
    }

    pub fn count(&self) -> usize {
        self.count.load(Ordering::SeqCst)
    }

    pub fn asked(&self, n: usize) -> Asked {
        self.asked.lock().unwrap()[n].clone()
    }
}

fn serve(
    stream: TcpStream,
    asked: &Mutex<Vec<Asked>>,
    gone: &Mutex<Option<Instant>>,
    count: &AtomicUsize,
    answer: &dyn Fn(usize, &Asked) -> Answer,
) {
    stream.set_nodelay(true).unwrap();
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut out = stream;
    loop {
        let mut head = String::new();
        loop {
            let before = head.len();
            match reader.read_line(&mut head) {
                Ok(0) | Err(_) => return,
                Ok(_) if head[before..].trim().is_empty() => break,
                Ok(_) => {}
            }
        }
        let length = head
            .lines()
            .find_map(|line| {
                line.to_lowercase().strip_prefix("content-length:").map(|n| n.trim().parse().unwrap())
            })
            .unwrap_or(0usize);
        let mut body = vec![0; length];
        if reader.read_exact(&mut body).is_err() {
            return;
        }
        let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
        let request = Asked { path, headers: head, body: serde_json::from_slice(&body).unwrap_or_default() };
        let n = count.fetch_add(1, Ordering::SeqCst);
        if n < 300 {
            asked.lock().unwrap().push(request.clone());
        }
        let answer = answer(n, &request);
        let mut reply = format!("HTTP/1.1 {} X\r\n", answer.status);
        for (name, value) in &answer.headers {
            reply.push_str(&format!("{name}: {value}\r\n"));
        }
        reply.push_str("transfer-encoding: chunked\r\n\r\n");
        if out.write_all(reply.as_bytes()).is_err() {
            return;
        }
        std::thread::sleep(answer.wait);
        let body = &answer.body[..answer.cut.unwrap_or(answer.body.len())];
        let (size, pause) = answer.pieces.unwrap_or((body.len().max(1), Duration::ZERO));
        for piece in body.chunks(size) {
            let framed = [format!("{:x}\r\n", piece.len()).as_bytes(), piece, b"\r\n"].concat();
            if out.write_all(&framed).is_err() {
                *gone.lock().unwrap() = Some(Instant::now());
                return;
            }
            std::thread::sleep(pause);
        }
        if answer.cut.is_some() {
            return;
        }
        if !answer.hang.is_zero() {
            // Nothing more is sent; a read that ends tells that the other side has gone.
            out.set_read_timeout(Some(answer.hang)).unwrap();
            let mut byte = [0];
            if matches!(reader.get_mut().read(&mut byte), Ok(0)) {
                *gone.lock().unwrap() = Some(Instant::now());
            }
            return;
        }
        if out.write_all(b"0\r\n\r\n").is_err() {
            return;
        }
    }
}

/// A refusal.
pub fn refuse(status: u16, body: &str) -> Answer {
    let headers = vec![("content-type", "application/json".to_owned())];
    Answer { status, headers, body: body.into(), ..Answer::default() }
}

/// A whole answer of the chat-completions interface.
pub fn whole(text: &str) -> Answer {
    whole_with(text, "stop")
}

pub fn whole_with(text: &str, finish: &str) -> Answer {
    let body = serde_json::json!({
        "model": "m-1",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": finish}],
        "usage": {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15},
    });
    refuse(200, &body.to_string())
}

/// A streamed answer of the same, a word an event.
pub fn streamed(text: &str) -> Answer {
    let mut body = String::new();
    let mut event = |value: Value| body.push_str(&format!("data: {value}\n\n"));
    for word in text.split_inclusive(' ') {
        event(serde_json::json!({"model": "m-1", "choices": [{"index": 0, "delta": {"content": word}}]}));
    }
    event(serde_json::json!({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}));
    event(
        serde_json::json!({"choices": [], "usage": {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}}),
    );
    body.push_str("data: [DONE]\n\n");
    let headers = vec![("content-type", "text/event-stream".to_owned())];
    Answer { status: 200, headers, body: body.into(), ..Answer::default() }
}

/// A streamed answer of these events, and the closing word.
pub fn events(events: &[Value]) -> Answer {
    let mut body: String = events.iter().map(|event| format!("data: {event}\n\n")).collect();
    body.push_str("data: [DONE]\n\n");
    let headers = vec![("content-type", "text/event-stream".to_owned())];
    Answer { status: 200, headers, body: body.into(), ..Answer::default() }
}

/// The event of more of an answer.
pub fn delta(delta: Value) -> Value {
    serde_json::json!({"model": "m-1", "choices": [{"index": 0, "delta": delta}]})
}

/// The event that says why an answer ended.
pub fn finish(reason: &str) -> Value {
    serde_json::json!({"choices": [{"index": 0, "delta": {}, "finish_reason": reason}]})
}

/// The event with the count of tokens.
pub fn usage(input: u64, output: u64) -> Value {
    serde_json::json!({"choices": [], "usage": {"prompt_tokens": input, "completion_tokens": output}})
}

/// A streamed answer of which some comes, and no more.
pub fn hangs() -> Answer {
    let mut answer = streamed("Take five milligrams once a day and drink water.");
    answer.body.truncate(300);
    Answer { hang: Duration::from_secs(10), ..answer }
}
