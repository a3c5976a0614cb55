//! `tepui app deploy FILE`: definitions from a file to running apps.

use std::io::Read as _;

use http::Method;
use serde_json::{Map, Value};

use super::{
    apps::MARATHON,
    args::Change,
    client::{Ask, app_path},
    definition::{Definition, Source},
    editor,
    error::{CliError, Outcome},
    keys,
    run::Context,
    text::{count, field, list},
    wait,
};

/// Largest file read: the server takes no larger body.
const FILE_BYTES_MAX: u64 = crate::base::limit::BODY_BYTES_MAX as u64;

pub async fn run(cx: &mut Context, file: &str, allow_unknown: bool, change: &Change) -> Outcome {
    let text = read(cx, file)?;
    let name = if file == "-" { "standard input" } else { file };
    let (source, definitions) = Source::parse(name, &text)?;
    if !allow_unknown {
        source.expect_known_keys(&definitions, ("an app", keys::of_app))?;
    }
    let result = cx.client.json(request(&definitions, change.force)?).await;
    let result = result.map_err(|error| error.located(&source, &definitions))?;
    let ids: Vec<&str> = definitions.iter().map(|d| field(&d.app, "id")).collect();
    let what = match ids.as_slice() {
        [one] => (*one).to_owned(),
        many => count(many.len(), "app"),
    };
    wait::for_change(cx, &result, change, &ids, &format!("{what} from {name}")).await
}

/// One app goes to its own path, so that the server's paths are the file's; several go as a list
/// and become one deployment.
fn request(definitions: &[Definition], force: bool) -> Outcome<Ask> {
    let query = format!("force={force}&partialUpdate=false");
    let (path, body) = match definitions {
        [one] => {
            let path = app_path(field(&one.app, "id"))?;
            (format!("{MARATHON}/apps{path}?{query}"), definition_of(&one.app))
        }
        many => {
            let apps = many.iter().map(|d| definition_of(&d.app)).collect();
            (format!("{MARATHON}/apps?{query}"), Value::Array(apps))
        }
    };
    Ok(Ask::new(Method::PUT, path).json(&body))
}

/// The definition proper of an app as the server shows it; what it only adds would be refused or
/// pin an old version.
pub fn definition_of(shown: &Value) -> Value {
    let Value::Object(fields) = shown else { return shown.clone() };
    let was_shown = fields.contains_key("versionInfo") || fields.contains_key("tasksRunning");
    let kept =
        fields.iter().filter(|(name, _)| !(was_shown && keys::ADDED.contains(&name.as_str())));
    Value::Object(kept.map(|(k, v)| (k.clone(), v.clone())).collect::<Map<_, _>>())
}

/// A file's text.
pub fn read(cx: &mut Context, file: &str) -> Outcome<String> {
    let mut bytes = Vec::new();
    let unreadable = |error: std::io::Error| {
        let error = CliError::usage(format!("{file}: {error}"));
        error.hint("name a file of Marathon JSON or YAML, or - for standard input")
    };
    let mut from: Box<dyn std::io::Read> = match file {
        "-" => Box::new(&mut cx.io.stdin),
        file => Box::new(std::fs::File::open(cx.io.cwd.join(file)).map_err(unreadable)?),
    };
    from.by_ref().take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        let mib = FILE_BYTES_MAX >> 20;
        return Err(CliError::usage(format!("{file} is larger than {mib} MiB")));
    }
    editor::decode(bytes).ok_or_else(|| {
        CliError::usage(format!("{file} is no text")).hint("save it as UTF-8, as JSON or YAML")
    })
}

impl CliError {
    /// Turns Marathon's findings (`details`) into lines that name the place in the file.
    pub fn located(mut self, source: &Source, definitions: &[Definition]) -> Self {
        let Some(body) = self.body.take() else { return self };
        if self.status == Some(422) {
            // The dialect says "Invalid JSON" also of YAML; the findings below say what it means.
            "the definition is refused".clone_into(&mut self.message);
        }
        for detail in list(&body, "details") {
            let path = field(detail, "path");
            let (definition, path) = match definitions {
                [one] => (Some(one), path.to_owned()),
                many => split_index(many, path),
            };
            let place = definition.map_or_else(
                || source.name.clone(),
                |definition| source.place_text(definition, &path),
            );
            for error in list(detail, "errors").filter_map(Value::as_str) {
                let field = if path == "/" { String::new() } else { format!("{path}: ") };
                self.details.push(format!("{place}  {field}{}", explained(error)));
            }
        }
        if let Some(text) = body["details"].as_str() {
            self.details.push(text.to_owned());
        }
        self
    }
}

/// `(1)/cpus` and `/1/cpus` are the field of the second definition.
fn split_index<'a>(all: &'a [Definition], path: &str) -> (Option<&'a Definition>, String) {
    let trimmed = path.trim_start_matches(['/', '(']);
    let digits: String = trimmed.chars().take_while(char::is_ascii_digit).collect();
    match digits.parse::<usize>().ok().and_then(|at| all.get(at)) {
        Some(definition) => {
            let rest = trimmed[digits.len()..].trim_start_matches(')');
            (Some(definition), rest.to_owned())
        }
        None => (None, path.to_owned()),
    }
}

/// The short codes of the dialect in words.
fn explained(error: &str) -> String {
    if let Some(feature) =
        error.strip_prefix("Feature ").and_then(|e| e.split_once(" is not enabled"))
    {
        let feature = feature.0.replace('_', " ");
        return format!("{feature} are not part of tepui yet; leave them out of the definition");
    }
    let text = match error {
        "error.expected.jsnumber" => "must be a number",
        "error.expected.jsstring" => "must be a text",
        "error.expected.jsboolean" => "must be true or false",
        "error.expected.jsarray" => "must be a list",
        "error.expected.jsobject" => "must be an object",
        "error.expected.int" => "must be a whole number",
        "error.path.missing" => "is missing",
        "error.min" => "is too small",
        "error.max" => "is too large",
        "error.pattern" => "has characters that are not allowed",
        "error.minLength" => "is too short",
        "error.maxLength" => "is too long",
        "error.expected.date.isoformat" => "must be a time, as 2026-11-28T08:00:00.000Z",
        "error.unknown.enum.literal" => "is none of the words that are allowed here",
        "error.url.invalid" => "is no URL",
        other => other,
    };
    text.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shown_app_becomes_a_definition_again() {
        let shown = serde_json::json!({"id": "/a", "version": "x", "versionInfo": {}, "cpus": 1});
        assert_eq!(definition_of(&shown), serde_json::json!({"id": "/a", "cpus": 1}));
        let own = serde_json::json!({"id": "/a", "ports": [80]});
        assert_eq!(definition_of(&own), own);
    }
}
