//! What went wrong, what to type next, and the exit code.

use std::fmt;

use serde_json::Value;

use super::words;

/// Exit codes; scripts rely on them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    Failure = 1,
    Usage = 2,
    NotFound = 3,
    Login = 4,
    Conflict = 5,
    TimedOut = 6,
    Unreachable = 7,
    NotDeployed = 8,
}

/// A failed command.
#[derive(Debug)]
pub struct CliError {
    pub exit: Exit,
    pub message: String,
    /// Single findings, one line each.
    pub details: Vec<String>,
    /// What to type or look at next.
    pub hint: Option<String>,
    /// The reader of our output is gone: not a failure at all.
    pub broken_pipe: bool,
    /// HTTP status and JSON body of the answer, for callers that know more about it.
    pub status: Option<u16>,
    pub body: Option<Value>,
}

/// What every command returns.
pub type Outcome<T = ()> = Result<T, CliError>;

impl CliError {
    pub fn new(exit: Exit, message: impl Into<String>) -> Self {
        let message = crate::base::error::plain(&message.into());
        let details = Vec::new();
        let (hint, status, body) = (None, None, None);
        Self { exit, message, details, hint, broken_pipe: false, status, body }
    }

    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(Exit::Usage, message)
    }

    pub fn failure(message: impl Into<String>) -> Self {
        Self::new(Exit::Failure, message)
    }

    /// Adds the next thing to try.
    pub fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }

    /// An answer with an error status, in any of the server's shapes: our own API's
    /// (`error.message`), Marathon's (`message`, `details`), the router's (text).
    pub fn of_answer(status: u16, body: &[u8]) -> Self {
        let exit = match status {
            400 | 422 => Exit::Usage,
            401 | 403 => Exit::Login,
            404 => Exit::NotFound,
            409 => Exit::Conflict,
            408 | 504 => Exit::TimedOut,
            502 | 503 => Exit::Unreachable,
            _ => Exit::Failure,
        };
        let json: Value = serde_json::from_slice(body).unwrap_or(Value::Null);
        let own = &json["error"];
        let text = [&own["message"], &json["message"], &json["description"], &json["title"]];
        let message = text.into_iter().find_map(Value::as_str).map_or_else(
            || {
                let text = String::from_utf8_lossy(&body[..body.len().min(300)]);
                // A page for browsers says nothing here that the number does not.
                let text = if text.trim_start().starts_with('<') { "" } else { text.trim() };
                format!("the server answered {status} {text}").trim_end().to_owned()
            },
            str::to_owned,
        );
        let mut error = Self::new(exit, message);
        if let Some(field) = own["field"].as_str() {
            error.message = format!("{field}: {}", error.message);
        }
        error.hint = own["hint"].as_str().and_then(words::hint);
        error.status = Some(status);
        // The router answers browsers with a page.
        if status == 401 && json.is_null() {
            "the cluster does not know this login: it has ended, or there is none"
                .clone_into(&mut error.message);
        }
        match status {
            401 => error = error.hint("sign in with: tepui login"),
            409 if json["deployments"].is_array() || own["code"] == "locked" => {
                let held = json["deployments"].as_array().into_iter().flatten();
                let ids = held.filter_map(|d| d["id"].as_str());
                "a deployment that is under way holds the app".clone_into(&mut error.message);
                error.details = ids.map(|id| format!("held by deployment {id}")).collect();
                error = error.hint("wait for it, or repeat with --force to put it aside");
            }
            _ => {}
        }
        error.body = Some(json);
        error
    }

    /// As one JSON object, for `--json`.
    pub fn json(&self) -> Value {
        let mut error = serde_json::json!({"exit": self.exit as u8, "message": self.message});
        if !self.details.is_empty() {
            error["details"] = self.details.clone().into();
        }
        if let Some(hint) = &self.hint {
            error["hint"] = hint.clone().into();
        }
        serde_json::json!({ "error": error })
    }
}

impl fmt::Display for CliError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl From<std::io::Error> for CliError {
    fn from(error: std::io::Error) -> Self {
        let broken_pipe = error.kind() == std::io::ErrorKind::BrokenPipe;
        Self { broken_pipe, ..Self::failure(error.to_string()) }
    }
}
