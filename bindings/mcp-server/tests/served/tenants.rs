//! What does a caller find, and what does not exist for it?

use std::collections::BTreeSet;

use quorate::agents::Agent;
use quorate::runtime::RuntimeOptions;
use quorate::{Code, Sources};
use quorate_mcp_server::{Caller, Server, Tokens};
use serde_json::{Value, json};

use crate::client::{ACME, Client, FEW, GLOBEX, Served, kb, registry, shared};

/// The names of a list, page by page.
fn listed(client: &mut Client) -> Vec<String> {
    let mut names = Vec::new();
    let mut params = json!({});
    loop {
        let answer = client.ask("resources/list", params);
        let page = answer["result"]["resources"].as_array().unwrap().clone();
        assert!(page.len() <= 100);
        names.extend(page.iter().map(|one| one["name"].as_str().unwrap().to_owned()));
        match answer["result"]["nextCursor"].as_str() {
            Some(next) => params = json!({"cursor": next}),
            None => return names,
        }
    }
}

#[test]
fn documents_are_listed_in_pages_read_by_their_uris_and_completed() {
    let mut client = Client::new(shared(), ACME);
    let names = listed(&mut client);
    assert_eq!((names.len(), names.iter().collect::<BTreeSet<_>>().len()), (152, 152));
    let read = client.ask("resources/read", json!({"uri": "quorate://doc/a%2Fb%20c%3F%C3%A4"}));
    assert_eq!(read["result"]["contents"][0]["text"], "An id that needs care.");
    let templates = client.ask("resources/templates/list", json!({}));
    assert_eq!(templates["result"]["resourceTemplates"][0]["uriTemplate"], "quorate://doc/{id}");
    let mut complete = |written: &str| {
        let of = json!({"type": "ref/resource", "uri": "quorate://doc/{id}"});
        let params = json!({"ref": of, "argument": {"name": "id", "value": written}});
        client.ask("completion/complete", params)["result"]["completion"].clone()
    };
    let tens = complete("note-14");
    assert_eq!((tens["values"].as_array().unwrap().len(), &tens["hasMore"]), (10, &json!(false)));
    assert_eq!(complete("note-")["hasMore"], true);
    assert_eq!(complete("nothing")["values"], json!([]));
    assert_eq!(complete("sec")["values"], json!(["secret"]));
}

#[test]
fn what_others_have_looks_like_what_nobody_has() {
    let (mut acme, mut globex) = (Client::new(shared(), ACME), Client::new(shared(), GLOBEX));
    assert_eq!(listed(&mut globex), ["other"]);
    let told = |client: &mut Client, id: &str| -> Vec<String> {
        let read =
            client.ask("resources/read", json!({"uri": format!("quorate://doc/{id}")}))["error"].clone();
        let get = client.call("get", json!({"id": id}));
        [read, get].iter().map(|value| value.to_string().replace(id, "ID")).collect()
    };
    assert_eq!(told(&mut globex, "secret"), told(&mut globex, "never"));
    for foreign in ["other", "open"] {
        assert_eq!(told(&mut acme, foreign), told(&mut acme, "never"), "{foreign}");
    }
    for (tool, arguments) in [
        ("search", json!({"query": "codename BLUEBIRD", "k": 100})),
        ("search", json!({"query": "codename", "where": "id = 'secret' OR id != 'secret'", "k": 100})),
        ("context", json!({"question": "What is the codename of the compound?"})),
        ("ask", json!({"question": "What is the codename of the compound?", "agent": "pumps"})),
    ] {
        let result = globex.call(tool, arguments);
        assert!(!result.to_string().contains("BLUEBIRD"), "{tool}: {result}");
    }
    let prompt = globex.ask(
        "prompts/get",
        json!({"name": "answer_with_sources", "arguments": {"question": "the codename?"}}),
    );
    assert!(!prompt.to_string().contains("BLUEBIRD"), "{prompt}");
    let answer = acme
        .call("ask", json!({"question": "What is the codename of the acme compound?", "agent": "compounds"}));
    assert!(answer["structuredContent"]["text"].as_str().unwrap().contains("BLUEBIRD"), "{answer}");
}

#[test]
fn permissions_decide_which_experts_and_tools_exist() {
    let mut few = Client::new(shared(), FEW);
    let tools = few.ask("tools/list", json!({}));
    let names: Vec<&str> =
        tools["result"]["tools"].as_array().unwrap().iter().map(|t| t["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["match", "ask", "panel"]);
    let hidden = few.ask("tools/call", json!({"name": "search", "arguments": {"query": "a"}}));
    let absent = few.ask("tools/call", json!({"name": "nothing", "arguments": {"query": "a"}}));
    assert_eq!(hidden["error"]["code"], absent["error"]["code"]);
    assert_eq!(few.ask("resources/list", json!({}))["result"]["resources"], json!([]));
    assert_eq!(few.ask("resources/read", json!({"uri": "quorate://doc/secret"}))["error"]["code"], -32002);

    let question = "What do compounds do to blood pressure, and what is their codename?";
    let experts = |result: Value| -> Vec<String> {
        let matches = result["structuredContent"]["matches"].as_array().unwrap().clone();
        matches.iter().map(|one| one["agent"].as_str().unwrap().to_owned()).collect()
    };
    let mut acme = Client::new(shared(), ACME);
    assert_eq!(experts(acme.call("match", json!({"question": question, "k": 1}))), ["compounds"]);
    let found = experts(few.call("match", json!({"question": question, "k": 10})));
    assert!(!found.contains(&"compounds".to_owned()) && found.contains(&"notes".to_owned()), "{found:?}");
    assert_eq!(few.fails("ask", json!({"question": question, "agent": "compounds"})), "unknown_id");
    assert_eq!(
        few.fails("panel", json!({"question": question, "members": ["notes", "compounds"]})),
        "unknown_id"
    );
    let asked = few.call("ask", json!({"question": question}));
    assert_ne!(asked["structuredContent"]["agent"], "compounds", "{asked}");
    let panel = few.call("panel", json!({"question": question, "size": 3}));
    assert!(!panel["structuredContent"]["members"].to_string().contains("compounds"), "{panel}");
    let of = json!({"ref": {"type": "ref/prompt", "name": "ask_panel"}, "argument": {"name": "members", "value": "notes,"}});
    let completed = few.ask("completion/complete", of);
    assert_eq!(completed["result"]["completion"]["values"], json!(["notes,pumps"]), "{completed}");
}

#[test]
fn a_server_that_would_show_too_much_does_not_start() {
    let refused = |server: Server, address: &str| {
        let error = server.bind(address).err().expect("a refusal");
        assert_eq!(error.code(), Code::InvalidArgument, "{error}");
        error.message().to_owned()
    };
    let server = || Server::new(kb());
    assert!(refused(server(), "127.0.0.1:0").contains("tokens"));
    assert!(refused(server().without_tokens(), "0.0.0.0:0").contains("loopback"));
    assert!(refused(server().without_tokens().tenants(Tokens::new()), "127.0.0.1:0").contains("exclude"));
    let everybody = RuntimeOptions { sources: Some(Sources::of(kb())), ..RuntimeOptions::default() };
    assert!(refused(server().without_tokens().runtime(everybody), "127.0.0.1:0").contains("sources"));
    let misspelt = Caller::default().tools(["serch"]);
    assert!(refused(server().without_tokens().caller(misspelt), "127.0.0.1:0").contains("serch"));
    // A handle of one tenant serves that tenant alone.
    let own = kb().tenant("acme").unwrap();
    let other = Server::new(own).registry(registry()).without_tokens().caller(Caller::of("globex"));
    assert_eq!(other.bind("127.0.0.1:0").err().map(|error| error.code()), Some(Code::TenantViolation));
}

#[test]
fn experts_of_a_tenant_do_not_exist_for_who_has_none() {
    let registry = registry();
    let mut own = Agent::new("acme-own", "acme-own", "Knows the codenames of acme's compounds.");
    own.instructions = Some("SECRET of acme".to_owned());
    registry.tenant("acme").unwrap().add_all(vec![own]).unwrap();
    const NOBODY: &str = "token-of-nobody-0123456789";
    let tokens =
        Tokens::new().token(ACME, Caller::of("acme")).unwrap().token(NOBODY, Caller::default()).unwrap();
    let served = Served::start(Server::new(kb()).registry(registry).tenants(tokens));
    let look = |token: &str| {
        let mut client = Client::new(served.address, token);
        let of = json!({"type": "ref/prompt", "name": "ask_expert"});
        let params = json!({"ref": of, "argument": {"name": "agent", "value": "acme"}});
        let completed = client.ask("completion/complete", params)["result"]["completion"]["values"].clone();
        let asked = client.call("ask", json!({"question": "What is the codename?", "agent": "acme-own"}));
        let panel =
            client.call("panel", json!({"question": "What is it?", "members": ["acme-own", "pumps"]}));
        let known = |result: &Value| result["structuredContent"]["code"] != "unknown_id";
        (completed, known(&asked), known(&panel))
    };
    assert_eq!(look(ACME), (json!(["acme-own"]), true, true));
    assert_eq!(look(NOBODY), (json!([]), false, false));
}
