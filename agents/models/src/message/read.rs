//! How is a message read from JSON, so that each error names its place?

use super::*;

pub(super) fn message(value: &Value) -> Result<Message> {
    let object = value
        .as_object()
        .ok_or_else(|| Error::invalid(format!("a message is {}, expected an object", kind(value))))?;
    let role = match text(object, "role")? {
        "system" | "developer" => Role::System,
        "user" => Role::User,
        "assistant" => Role::Assistant,
        "tool" => Role::Tool,
        other => {
            let expected = "expected system, user, assistant or tool";
            return Err(Error::invalid(format!("role is '{}', {expected}", short(other))));
        }
    };
    let mut parts = content(object.get("content").unwrap_or(&Value::Null))?;
    if let Some(id) = object.get("tool_call_id").filter(|id| !id.is_null()) {
        let id = id.as_str().ok_or_else(|| Error::invalid("tool_call_id is no text"))?;
        let mut result =
            ToolResult { tool_call_id: id.to_owned(), error: flag(object, "error")?, ..Default::default() };
        result.cache = cache(object)?;
        for part in &parts {
            let Part::Text(text) = part else {
                let what = part.to_json()["type"].as_str().unwrap_or_default().to_owned();
                return Err(Error::invalid(format!(
                    "the result of a tool holds a {what}, and services take text alone; put it into a message of the user"
                )));
            };
            result.content.push_str(&text.text);
            result.cache = result.cache.or(text.cache);
        }
        parts = vec![Part::ToolResult(result)];
    }
    if let Some(said) = optional(object, "refusal")? {
        parts.push(Part::Refusal(said));
    }
    // Some services give the call in both forms.
    let given = |name: &str| object.get(name).is_some_and(|value| !value.is_null());
    if given("function_call") && !given("tool_calls") {
        return Err(Error::invalid("function_call is a form that is no longer written; use tool_calls"));
    }
    match object.get("tool_calls") {
        None | Some(Value::Null) => {}
        Some(Value::Array(calls)) => {
            for (i, item) in calls.iter().enumerate() {
                let call = call(item).map_err(|e| e.context(format_args!("tool_calls[{i}]")))?;
                parts.push(Part::ToolCall(call));
            }
        }
        Some(other) => {
            return Err(Error::invalid(format!("tool_calls is {}, expected a list", kind(other))));
        }
    }
    let role = if parts.iter().any(|p| matches!(p, Part::ToolResult(_))) && role == Role::User {
        let only = parts.iter().all(|p| matches!(p, Part::ToolResult(_)));
        if !only {
            return Err(Error::invalid("a user's message mixes results of tools with other parts; split it"));
        }
        Role::Tool
    } else {
        role
    };
    // Services give messages with members of their own; one that stands in the place of the content is a slip.
    let known = [
        "role",
        "content",
        "tool_calls",
        "tool_call_id",
        "refusal",
        "function_call",
        "error",
        "cache",
        "name",
    ];
    if let Some(other) = object.keys().find(|key| !known.contains(&key.as_str()))
        && parts.is_empty()
        && !object.contains_key("content")
    {
        return Err(Error::invalid(format!("a message has no content, and '{}' is none", short(other))));
    }
    let message = Message { role, content: parts };
    message.validate()?;
    Ok(message)
}

fn content(value: &Value) -> Result<Vec<Part>> {
    match value {
        Value::Null => Ok(Vec::new()),
        Value::String(text) => Ok(vec![Part::text(text.as_str())]),
        Value::Array(items) => {
            let read = |(i, item)| part(item).map_err(|e: Error| e.context(format_args!("content[{i}]")));
            items.iter().enumerate().map(read).collect()
        }
        other => {
            Err(Error::invalid(format!("content is {}, expected a text or a list of parts", kind(other))))
        }
    }
}

fn part(value: &Value) -> Result<Part> {
    if let Value::String(text) = value {
        return Ok(Part::text(text.as_str()));
    }
    let object = value
        .as_object()
        .ok_or_else(|| Error::invalid(format!("a part is {}, expected an object", kind(value))))?;
    Ok(match text(object, "type")? {
        "text" => Part::Text(Text { text: text(object, "text")?.to_owned(), cache: cache(object)? }),
        "image" => {
            Part::Image(Image { url: image(text(object, "url")?)?, detail: optional(object, "detail")? })
        }
        "image_url" => {
            let inner = object.get("image_url").and_then(Value::as_object);
            let inner = inner.ok_or_else(|| Error::invalid("image_url is no object with a url"))?;
            Part::Image(Image { url: image(text(inner, "url")?)?, detail: optional(inner, "detail")? })
        }
        "tool_call" => Part::ToolCall(call(value)?),
        "tool_result" => Part::ToolResult(ToolResult {
            tool_call_id: text(object, "tool_call_id")?.to_owned(),
            content: text(object, "content")?.to_owned(),
            error: flag(object, "error")?,
            cache: cache(object)?,
        }),
        "reasoning" => Part::Reasoning(Reasoning {
            source: text(object, "source")?.to_owned(),
            text: text(object, "text")?.to_owned(),
            data: object.get("data").and_then(Value::as_object).cloned().unwrap_or_default(),
        }),
        "refusal" => Part::Refusal(match optional(object, "refusal")? {
            Some(said) => said,
            None => text(object, "text")?.to_owned(),
        }),
        "opaque" => Part::Opaque(Opaque {
            source: text(object, "source")?.to_owned(),
            data: object.get("data").cloned().unwrap_or_default(),
        }),
        other => {
            let known = "text, image, tool_call, tool_result, reasoning, refusal, opaque";
            return Err(Error::invalid(format!(
                "the type of a part is '{}', expected one of {known}",
                short(other)
            )));
        }
    })
}

fn call(value: &Value) -> Result<ToolCall> {
    let object = value
        .as_object()
        .ok_or_else(|| Error::invalid(format!("a tool call is {}, expected an object", kind(value))))?;
    let id = optional(object, "id")?.unwrap_or_default();
    let inner = object.get("function").and_then(Value::as_object).unwrap_or(object);
    let name = text(inner, "name")?;
    let mut call = match inner.get("arguments") {
        None | Some(Value::Null) => ToolCall::read(id, name, ""),
        Some(Value::String(written)) => ToolCall::read(id, name, written),
        Some(Value::Object(arguments)) => {
            ToolCall { arguments: arguments.clone(), ..ToolCall::read(id, name, "") }
        }
        Some(other) => {
            return Err(Error::invalid(format!("arguments are {}, expected an object", kind(other))));
        }
    };
    if let Some(broken) = optional(object, "broken")? {
        call.broken = Some(broken);
    }
    Ok(call)
}

fn image(url: &str) -> Result<String> {
    if ["https://", "http://", "data:image/"].iter().any(|start| url.starts_with(start)) {
        return Ok(url.to_owned());
    }
    let expected = "expected https://..., or data:image/TYPE;base64,...";
    Err(Error::invalid(format!("the url of an image is '{}', {expected}", short(url))))
}

fn cache(object: &Map<String, Value>) -> Result<Option<CacheFor>> {
    match object.get("cache") {
        None | Some(Value::Null) => Ok(None),
        Some(value) => serde_json::from_value(value.clone())
            .map(Some)
            .map_err(|_| Error::invalid("cache is neither '5m' nor '1h'")),
    }
}

fn flag(object: &Map<String, Value>, name: &str) -> Result<bool> {
    match object.get(name) {
        None | Some(Value::Null) => Ok(false),
        Some(value) => {
            value.as_bool().ok_or_else(|| Error::invalid(format!("{name} is neither true nor false")))
        }
    }
}

/// A text that may be missing.
fn optional(object: &Map<String, Value>, name: &str) -> Result<Option<String>> {
    match object.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(_) => text(object, name).map(|text| Some(text.to_owned())),
    }
}

fn text<'a>(object: &'a Map<String, Value>, name: &str) -> Result<&'a str> {
    match object.get(name) {
        Some(Value::String(text)) => Ok(text),
        Some(other) => Err(Error::invalid(format!("{name} is {}, expected a text", kind(other)))),
        None => Err(Error::invalid(format!("{name} is missing"))),
    }
}

fn short(text: &str) -> String {
    text.chars().take(60).collect()
}
