//! Command lines against a cluster that answers what it is told to: refusals, broken answers, waits,
//! and whom a credential is shown to.

use std::{
    collections::{BTreeMap, VecDeque},
    io::{self, Cursor, Write},
    sync::Arc,
};

use http::StatusCode;
use parking_lot::Mutex;
use serde_json::{Value, json};

use super::Io;
use crate::{
    base::{
        clock::{ManualClock, Timestamp},
        task::Tasks,
    },
    http::{
        Request, Response,
        body::read,
        reply,
        serve::{Listener, Server},
    },
};

mod answers;
mod arguments;
mod changes;
mod login;
mod logs;
mod places;

/// 2026-01-01T00:00:00Z.
const NOW: Timestamp = Timestamp::from_ms(1_767_225_600_000);

/// A cluster of answers, and the files of one user.
struct Site {
    script: Arc<Script>,
    server: Server,
    home: tempfile::TempDir,
    terminal: [bool; 3],
    _tasks: Tasks,
}

#[derive(Default)]
struct Script {
    /// By method and path; the last one of each is given again and again.
    answers: Mutex<BTreeMap<String, VecDeque<(u16, String)>>>,
    asked: Mutex<Vec<Asked>>,
}

/// One request, as it came.
#[derive(Clone, Debug)]
struct Asked {
    /// Method, path and query.
    line: String,
    token: Option<String>,
    body: Value,
}

/// What a command line wrote, and how it ended.
struct Done {
    out: String,
    err: String,
    code: u8,
}

#[derive(Clone, Default)]
struct Shared(Arc<Mutex<Vec<u8>>>);

impl Shared {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().clone()).expect("text")
    }
}

impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Script {
    async fn answer(&self, request: Request) -> Response {
        let (head, body) = request.into_parts();
        let token = head.headers.get("authorization").and_then(|t| t.to_str().ok());
        let token = token.map(|t| t.trim_start_matches("token=").to_owned());
        let body = read(body, 1 << 20).await.map(|bytes| serde_json::from_slice(&bytes));
        let body = body.ok().and_then(Result::ok).unwrap_or(Value::Null);
        let line = format!("{} {}", head.method, head.uri);
        self.asked.lock().push(Asked { line, token, body });
        let mut answers = self.answers.lock();
        let (status, text) = match answers.get_mut(&format!("{} {}", head.method, head.uri.path()))
        {
            Some(row) if row.len() > 1 => row.pop_front().expect("more than one"),
            Some(row) => row[0].clone(),
            None => (404, json!({"error": {"message": "it does not exist"}}).to_string()),
        };
        let kind = match text.get(..1) {
            Some("{" | "[") => "application/json",
            Some("<") => "text/html",
            Some("e") => "text/event-stream",
            _ => "text/plain",
        };
        let status = StatusCode::from_u16(status).expect("a status");
        let answer = reply::content(status, kind, text.clone());
        match status.is_redirection() {
            true => reply::with_header(answer, http::header::LOCATION, &text),
            false => answer,
        }
    }
}

impl Site {
    fn new() -> Self {
        let (tasks, script) = (Tasks::new("test"), Arc::<Script>::default());
        let listener = Listener::bind(([127, 0, 0, 1], 0).into()).expect("a free port");
        let of = script.clone();
        let handler = move |request: Request| {
            let script = of.clone();
            async move { script.answer(request).await }
        };
        let server = listener.serve(Arc::new(handler), &tasks);
        let home = tempfile::tempdir().expect("a directory");
        Self { script, server, home, terminal: [false; 3], _tasks: tasks }
    }

    fn url(&self) -> String {
        format!("http://{}", self.server.local_addr())
    }

    /// From now on this is answered, after what was said before.
    fn says(&self, line: &str, status: u16, body: impl ToString) -> &Self {
        let mut answers = self.script.answers.lock();
        answers.entry(line.to_owned()).or_default().push_back((status, body.to_string()));
        self
    }

    fn asked(&self) -> Vec<Asked> {
        self.script.asked.lock().clone()
    }

    fn lines(&self) -> Vec<String> {
        self.asked().into_iter().map(|asked| asked.line).collect()
    }

    fn env(&self) -> BTreeMap<String, String> {
        let home = self.home.path().display().to_string();
        [("TEPUI_URL".into(), self.url()), ("HOME".into(), home)].into()
    }

    fn io(&self, stdin: &str, env: BTreeMap<String, String>, to: [&Shared; 2]) -> Io {
        Io {
            stdin: Box::new(Cursor::new(stdin.to_owned().into_bytes())),
            stdout: Box::new(to[0].clone()),
            stderr: Box::new(to[1].clone()),
            terminal: self.terminal,
            env,
            cwd: self.home.path().to_owned(),
            system_files: false,
            clock: ManualClock::new(NOW),
        }
    }

    async fn run_in(&self, args: &[&str], stdin: &str, env: BTreeMap<String, String>) -> Done {
        let (out, err) = (Shared::default(), Shared::default());
        let io = self.io(stdin, env, [&out, &err]);
        let args = std::iter::once("tepui").chain(args.iter().copied());
        let code = super::run(args.map(Into::into), io).await;
        let text = |shared: &Shared| shared.text().replace(&self.url(), "URL");
        Done { out: text(&out), err: text(&err), code }
    }

    async fn run(&self, line: &str) -> Done {
        self.run_in(&line.split_whitespace().collect::<Vec<_>>(), "", self.env()).await
    }
}

impl Done {
    /// Exit code and what was said to people.
    fn said(&self) -> (u8, &str) {
        (self.code, &self.err)
    }
}
