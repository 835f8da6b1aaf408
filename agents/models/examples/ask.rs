//! Asks a model and prints what comes: `ask MODEL BASE_URL complete|stream QUESTION`.

use quorate_core::Cancel;
use quorate_models::{Event, Message, Model, ModelOptions, Request};

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [name, base, how, question] = arguments.as_slice() else {
        eprintln!("ask MODEL BASE_URL complete|stream QUESTION");
        return;
    };
    let options = ModelOptions { base_url: Some(base.clone()), ..ModelOptions::default() };
    let request = Request::new(vec![Message::user(question.as_str())]);
    let ended = Model::open(name, options).and_then(|model| match how.as_str() {
        "stream" => {
            let mut ended = None;
            for event in model.stream(&request, &Cancel::new())? {
                match event {
                    Event::End(reply) => ended = Some(Ok(*reply)),
                    Event::Error { error, .. } => ended = Some(Err(error)),
                    other => println!("{}", other.kind()),
                }
            }
            ended.unwrap_or_else(|| model.complete(&request, &Cancel::new()))
        }
        _ => model.complete(&request, &Cancel::new()),
    });
    match ended {
        Ok(reply) => println!("attempts {} finish {:?}\n{}", reply.attempts, reply.finish, reply.text()),
        Err(error) => println!("{error}"),
    }
}
