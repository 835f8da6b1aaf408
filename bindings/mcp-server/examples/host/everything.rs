//! What do the conformance tests of the protocol ask of a server?
//!
//! They call tools, resources and prompts of these names. They are served on quorate's own way over HTTP.

#![expect(deprecated)] // logging, which revisions with sessions have

use std::time::Duration;

use quorate::rag::{KnowledgeBase, OpenOptions};
use quorate_mcp_server::{Server, foreign};
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CompleteRequestParams, CompleteResult, GetPromptRequestParams,
    GetPromptResponse, Implementation, ListPromptsResult, ListResourceTemplatesResult, ListResourcesResult,
    ListToolsResult, PaginatedRequestParams, ProtocolVersion, ReadResourceRequestParams,
    ReadResourceResponse, ServerConfig, ServerNotification, ServerRequest, SetLevelRequestParams,
    SubscribeRequestParams, UnsubscribeRequestParams,
};
use rmcp::service::{RequestContext, RoleServer};
use rmcp::{ErrorData, ServerHandler};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::Failed;

/// The smallest image, and a sound without a sample.
const PNG: &str =
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8DwHwAFBQIAX8jx0gAAAABJRU5ErkJggg==";
const WAV: &str = "UklGRiQAAABXQVZFZm10IBAAAAABAAEAQB8AAEAfAAABAAgAZGF0YQAAAAA=";

pub fn serve(address: &str) -> Result<(), Failed> {
    let kb = KnowledgeBase::in_memory(OpenOptions::default())?;
    let server = foreign::bind(Server::new(kb).without_tokens(), address, Everything)?;
    use std::io::Write;
    writeln!(std::io::stdout(), "{}", server.address())?;
    let stop = server.stopper();
    std::thread::spawn(move || {
        let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
        stop.stop();
    });
    Ok(server.serve()?)
}

#[derive(Clone)]
struct Everything;

type Answer<T> = Result<T, ErrorData>;

/// A type of the protocol, of what it is written as.
fn of<T: DeserializeOwned>(value: Value) -> Answer<T> {
    serde_json::from_value(value).map_err(|error| ErrorData::internal_error(error.to_string(), None))
}

fn text(text: impl Into<String>) -> Value {
    json!({"content": [{"type": "text", "text": text.into()}]})
}

async fn pause() {
    tokio::time::sleep(Duration::from_millis(50)).await;
}

/// Asks the client something, and gives what it answers.
async fn asked(context: &RequestContext<RoleServer>, request: Value) -> Answer<Value> {
    let request: ServerRequest = of(request)?;
    let answer = context.peer.send_request(request).await;
    let answer = answer.map_err(|error| ErrorData::internal_error(error.to_string(), None))?;
    serde_json::to_value(answer).map_err(|error| ErrorData::internal_error(error.to_string(), None))
}

async fn told(context: &RequestContext<RoleServer>, notification: Value) -> Answer<()> {
    let notification: ServerNotification = of(notification)?;
    let sent = context.peer.send_notification(notification).await;
    sent.map_err(|error| ErrorData::internal_error(error.to_string(), None))
}

fn elicit(message: &str, schema: Value) -> Value {
    json!({"method": "elicitation/create", "params": {"mode": "form", "message": message, "requestedSchema": schema}})
}

impl Everything {
    async fn call(
        &self,
        request: CallToolRequestParams,
        context: &RequestContext<RoleServer>,
    ) -> Answer<Value> {
        let argument = |name: &str| {
            let given = request.arguments.as_ref().and_then(|given| given.get(name)).and_then(Value::as_str);
            given.unwrap_or_default().to_owned()
        };
        let image = json!({"type": "image", "data": PNG, "mimeType": "image/png"});
        Ok(match &*request.name {
            "test_simple_text" => text("This is a simple text response for testing."),
            "test_image_content" => json!({"content": [image]}),
            "test_audio_content" => {
                json!({"content": [{"type": "audio", "data": WAV, "mimeType": "audio/wav"}]})
            }
            "test_embedded_resource" => json!({"content": [{"type": "resource", "resource": {
                "uri": "test://embedded-resource", "mimeType": "text/plain", "text": "This is an embedded resource content."}}]}),
            "test_multiple_content_types" => json!({"content": [
                {"type": "text", "text": "Multiple content types test:"}, image,
                {"type": "resource", "resource": {"uri": "test://mixed-content-resource", "mimeType": "application/json",
                    "text": "{\"test\":\"data\",\"value\":123}"}}]}),
            "test_tool_with_logging" => {
                for line in ["Tool execution started", "Tool processing data", "Tool execution completed"] {
                    told(
                        context,
                        json!({"method": "notifications/message", "params": {"level": "info", "data": line}}),
                    )
                    .await?;
                    pause().await;
                }
                text("Three lines were logged.")
            }
            "test_tool_with_progress" => {
                for done in [0, 50, 100] {
                    if let Some(token) = context.meta.get_progress_token() {
                        let params = json!({"progressToken": token, "progress": done, "total": 100});
                        told(context, json!({"method": "notifications/progress", "params": params})).await?;
                    }
                    pause().await;
                }
                text("It is done.")
            }
            "test_error_handling" => {
                let mut failed = text("This tool intentionally returns an error for testing");
                failed["isError"] = json!(true);
                failed
            }
            "test_reconnection" => {
                pause().await;
                if let Some(response) = context.extensions.get::<foreign::Response>() {
                    response.hang_up();
                }
                pause().await;
                text("The response was read after a reconnection.")
            }
            "test_sampling" => {
                let said = json!({"type": "text", "text": argument("prompt")});
                let params = json!({"messages": [{"role": "user", "content": said}], "maxTokens": 100});
                let answer =
                    asked(context, json!({"method": "sampling/createMessage", "params": params})).await?;
                let content =
                    answer["content"]["text"].as_str().or_else(|| answer["content"][0]["text"].as_str());
                text(format!("LLM response: {}", content.unwrap_or_default()))
            }
            "test_elicitation" => {
                let field = |description: &str| json!({"type": "string", "description": description});
                let fields =
                    json!({"username": field("User's response"), "email": field("User's email address")});
                let schema =
                    json!({"type": "object", "properties": fields, "required": ["username", "email"]});
                let answer = asked(context, elicit(&argument("message"), schema)).await?;
                text(format!("User response: action={}, content={}", answer["action"], answer["content"]))
            }
            "test_elicitation_sep1034_defaults" => {
                let schema = json!({"type": "object", "properties": {
                    "name": {"type": "string", "default": "John Doe"}, "age": {"type": "integer", "default": 30},
                    "score": {"type": "number", "default": 95.5}, "verified": {"type": "boolean", "default": true},
                    "status": {"type": "string", "enum": ["active", "inactive", "pending"], "default": "active"}}});
                let answer = asked(context, elicit("Say what is not as usual", schema)).await?;
                text(format!(
                    "Elicitation completed: action={}, content={}",
                    answer["action"], answer["content"]
                ))
            }
            "test_elicitation_sep1330_enums" => {
                let titled = |values: [&str; 3], titles: [&str; 3]| -> Vec<Value> {
                    values
                        .iter()
                        .zip(titles)
                        .map(|(value, title)| json!({"const": value, "title": title}))
                        .collect()
                };
                let (values, options) = (["value1", "value2", "value3"], ["option1", "option2", "option3"]);
                let schema = json!({"type": "object", "properties": {
                    "untitledSingle": {"type": "string", "enum": options},
                    "titledSingle": {"type": "string", "oneOf": titled(values, ["First Option", "Second Option", "Third Option"])},
                    "legacyEnum": {"type": "string", "enum": ["opt1", "opt2", "opt3"], "enumNames": ["Option One", "Option Two", "Option Three"]},
                    "untitledMulti": {"type": "array", "items": {"type": "string", "enum": options}},
                    "titledMulti": {"type": "array", "items": {"anyOf": titled(values, ["First Choice", "Second Choice", "Third Choice"])}}}});
                let answer = asked(context, elicit("Choose", schema)).await?;
                text(format!(
                    "Elicitation completed: action={}, content={}",
                    answer["action"], answer["content"]
                ))
            }
            "json_schema_2020_12_tool" => text("The schema is what is tested."),
            name => return Err(ErrorData::invalid_params(format!("Unknown tool: {name}"), None)),
        })
    }
}

fn tools() -> Vec<Value> {
    let plain = [
        "test_simple_text",
        "test_image_content",
        "test_audio_content",
        "test_embedded_resource",
        "test_multiple_content_types",
        "test_tool_with_logging",
        "test_tool_with_progress",
        "test_error_handling",
        "test_reconnection",
        "test_elicitation_sep1034_defaults",
        "test_elicitation_sep1330_enums",
    ];
    let tool = |name: &str, schema: Value| json!({"name": name, "description": "For the conformance tests", "inputSchema": schema});
    let mut all: Vec<Value> =
        plain.iter().map(|name| tool(name, json!({"type": "object", "properties": {}}))).collect();
    for (name, argument) in [("test_sampling", "prompt"), ("test_elicitation", "message")] {
        let properties = json!({argument: {"type": "string", "description": "What is said"}});
        all.push(tool(name, json!({"type": "object", "properties": properties, "required": [argument]})));
    }
    let address =
        json!({"type": "object", "properties": {"street": {"type": "string"}, "city": {"type": "string"}}});
    all.push(tool("json_schema_2020_12_tool", json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema", "type": "object", "$defs": {"address": address},
        "properties": {"name": {"type": "string"}, "address": {"$ref": "#/$defs/address"}}, "additionalProperties": false})));
    all
}

impl ServerHandler for Everything {
    fn get_info(&self) -> ServerConfig {
        let capabilities = json!({"tools": {}, "resources": {"subscribe": true}, "prompts": {}, "completions": {}, "logging": {}});
        let capabilities = of(capabilities).unwrap_or_default();
        ServerConfig::new(capabilities).with_server_info(Implementation::new("everything", "1.0.0"))
    }

    fn supported_protocol_versions(&self) -> std::borrow::Cow<'static, [ProtocolVersion]> {
        std::borrow::Cow::Borrowed(ProtocolVersion::known_up_to(&ProtocolVersion::V_2025_11_25))
    }

    async fn list_tools(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Answer<ListToolsResult> {
        of(json!({"tools": tools()}))
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Answer<CallToolResponse> {
        let result: rmcp::model::CallToolResult = of(self.call(request, &context).await?)?;
        Ok(result.into())
    }

    async fn list_resources(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Answer<ListResourcesResult> {
        let one = |uri: &str, kind: &str| json!({"uri": uri, "name": uri, "description": "For the conformance tests", "mimeType": kind});
        of(
            json!({"resources": [one("test://static-text", "text/plain"), one("test://static-binary", "image/png"),
            one("test://watched-resource", "text/plain")]}),
        )
    }

    async fn list_resource_templates(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Answer<ListResourceTemplatesResult> {
        of(json!({"resourceTemplates": [{"uriTemplate": "test://template/{id}/data", "name": "data",
            "description": "For the conformance tests", "mimeType": "application/json"}]}))
    }

    async fn read_resource(
        &self,
        request: ReadResourceRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Answer<ReadResourceResponse> {
        let uri = request.uri.as_str();
        let templated = uri.strip_prefix("test://template/").and_then(|rest| rest.strip_suffix("/data"));
        let contents = match (uri, templated) {
            ("test://static-text", _) => {
                json!({"uri": uri, "mimeType": "text/plain", "text": "This is the content of the static text resource."})
            }
            ("test://static-binary", _) => json!({"uri": uri, "mimeType": "image/png", "blob": PNG}),
            ("test://watched-resource", _) => {
                json!({"uri": uri, "mimeType": "text/plain", "text": "It does not change."})
            }
            (_, Some(id)) => {
                let data = json!({"id": id, "templateTest": true, "data": format!("Data for ID: {id}")});
                json!({"uri": uri, "mimeType": "application/json", "text": data.to_string()})
            }
            _ => {
                return Err(ErrorData::resource_not_found(
                    "there is no such resource",
                    Some(json!({"uri": uri})),
                ));
            }
        };
        let result: rmcp::model::ReadResourceResult = of(json!({"contents": [contents]}))?;
        Ok(result.into())
    }

    async fn subscribe(&self, _: SubscribeRequestParams, _: RequestContext<RoleServer>) -> Answer<()> {
        Ok(())
    }

    async fn unsubscribe(&self, _: UnsubscribeRequestParams, _: RequestContext<RoleServer>) -> Answer<()> {
        Ok(())
    }

    async fn set_level(&self, _: SetLevelRequestParams, _: RequestContext<RoleServer>) -> Answer<()> {
        Ok(())
    }

    async fn list_prompts(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Answer<ListPromptsResult> {
        let argument =
            |name: &str| json!({"name": name, "description": "For the conformance tests", "required": true});
        let prompt = |name: &str, arguments: Value| json!({"name": name, "description": "For the conformance tests", "arguments": arguments});
        of(json!({"prompts": [
            prompt("test_simple_prompt", json!([])),
            prompt("test_prompt_with_arguments", json!([argument("arg1"), argument("arg2")])),
            prompt("test_prompt_with_embedded_resource", json!([argument("resourceUri")])),
            prompt("test_prompt_with_image", json!([]))]}))
    }

    async fn get_prompt(
        &self,
        request: GetPromptRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Answer<GetPromptResponse> {
        let argument = |name: &str| {
            let given = request.arguments.as_ref().and_then(|given| given.get(name)).and_then(Value::as_str);
            given.unwrap_or_default().to_owned()
        };
        let said = |text: &str| json!({"role": "user", "content": {"type": "text", "text": text}});
        let messages = match request.name.as_str() {
            "test_simple_prompt" => json!([said("This is a simple prompt for testing.")]),
            "test_prompt_with_arguments" => {
                json!([said(&format!(
                    "Prompt with arguments: arg1='{}', arg2='{}'",
                    argument("arg1"),
                    argument("arg2")
                ))])
            }
            "test_prompt_with_embedded_resource" => json!([
                {"role": "user", "content": {"type": "resource", "resource": {"uri": argument("resourceUri"),
                    "mimeType": "text/plain", "text": "Embedded resource content for testing."}}},
                said("Please process the embedded resource above.")]),
            "test_prompt_with_image" => json!([
                {"role": "user", "content": {"type": "image", "data": PNG, "mimeType": "image/png"}},
                said("Please analyze the image above.")]),
            name => return Err(ErrorData::invalid_params(format!("Unknown prompt: {name}"), None)),
        };
        let result: rmcp::model::GetPromptResult = of(json!({"messages": messages}))?;
        Ok(result.into())
    }

    async fn complete(
        &self,
        request: CompleteRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Answer<CompleteResult> {
        let written = request.argument.value;
        let fits = ["paris", "park", "party"].into_iter().filter(|word| word.starts_with(&written));
        of(json!({"completion": {"values": fits.collect::<Vec<_>>(), "hasMore": false}}))
    }
}
