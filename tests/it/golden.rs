//! Golden wire files: `tests/golden/<dialect>/NNN-name.http`, played by one player for all dialects.
//!
//! A file is a story in a world of its own: requests and the exact answers to them, and directives
//! that let the world move in between. What no two runs share (ids, times, tokens) is written as the
//! dialect's stage masks it: `<uuid>`, `<time>`, `<token>`. `TEPUI_GOLDEN=write` rewrites the answers
//! from what is answered now; the diff is then to be read against docs/compat.
//!
//! ```text
//! # a comment
//! => POST /v2/apps?force=true
//! content-type: application/json        headers, if any
//!                                       (blank line)
//! {"id":"/a","cmd":"sleep 9"}           body, if any
//! <= 201
//! location: /a                          headers that tell something
//!                                       (blank line)
//! {"id":"/a",…}
//! !! settle                             a directive, in the stage's words
//! ```
//!
//! Several requests in a row are spellings of one: they are all asked, and all have the one answer.
//! `application/json` is not shown where there is a body; a body without any type shows `none`.

use std::{fmt::Write as _, fs, path::Path};

use http_body_util::BodyExt as _;
use tepui::http::{Body, Request, Response};

/// One request of a story.
pub struct Asked {
    pub method: String,
    pub target: String,
    pub headers: Vec<(String, String)>,
    pub body: String,
}

impl Asked {
    /// The request as handlers take it.
    pub fn request(self) -> Request {
        let mut builder = http::Request::builder().method(&*self.method).uri(self.target);
        for (name, value) in self.headers {
            builder = builder.header(name, value);
        }
        builder.body(Body::from(self.body)).unwrap()
    }
}

/// One answer, whole.
pub struct Answer {
    pub status: u16,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: String,
}

impl Answer {
    pub async fn read(response: Response) -> Self {
        let (head, body) = response.into_parts();
        let text = |value: &http::HeaderValue| value.to_str().unwrap().to_owned();
        let headers = head.headers.iter().map(|(name, v)| (name.to_string(), text(v))).collect();
        let bytes = body.collect().await.unwrap().to_bytes();
        let body = String::from_utf8_lossy(&bytes).into_owned();
        Self { status: head.status.as_u16(), headers, body }
    }
}

/// A dialect over a world that stories are played on.
pub trait Stage {
    /// Headers shown where an answer has them.
    const SHOWN: &[&str];

    async fn ask(&self, asked: Asked) -> Answer;

    /// Lets the world move.
    fn direct(&self, directive: &str) {
        panic!("unknown directive {directive}");
    }

    /// A target or a body with its variables as they are now.
    fn filled(&self, text: &str) -> String {
        text.to_owned()
    }

    /// An answer without what no two runs share.
    fn masked(&self, text: &str) -> String {
        text.to_owned()
    }
}

/// Plays every story of a dialect, each on a stage of its own.
pub async fn play_all<S: Stage>(dialect: &str, open: impl AsyncFn() -> S) {
    let folder = format!("{}/tests/golden/{dialect}", env!("CARGO_MANIFEST_DIR"));
    #[allow(clippy::disallowed_methods)] // set by whoever runs the tests
    let writes = std::env::var("TEPUI_GOLDEN").as_deref() == Ok("write");
    let files = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = files.filter(|f| f.extension().is_some_and(|e| e == "http")).collect();
    files.sort();
    assert!(!files.is_empty(), "no golden files in {folder}");
    let mut failed = Vec::new();
    for file in files {
        let wanted = fs::read_to_string(&file).unwrap();
        let got = play(&open().await, &wanted).await;
        if got != wanted {
            if writes {
                fs::write(&file, &got).unwrap();
            } else {
                failed.push(difference(&file, &wanted, &got));
            }
        }
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

/// The first line that differs.
fn difference(file: &Path, wanted: &str, got: &str) -> String {
    let mut lines = wanted.lines().zip(got.lines()).enumerate();
    match lines.find(|(_, (wanted, got))| wanted != got) {
        Some((n, (wanted, got))) => {
            format!("{}:{}\n  wanted {wanted}\n  got    {got}", file.display(), n + 1)
        }
        None => format!("{}: one is longer", file.display()),
    }
}

/// Plays a story and writes it down with the answers given now.
async fn play<S: Stage>(stage: &S, story: &str) -> String {
    let mut out = String::new();
    let mut lines = story.lines().peekable();
    while let Some(line) = lines.next() {
        writeln!(out, "{line}").unwrap();
        if let Some(directive) = line.strip_prefix("!! ") {
            stage.direct(directive);
        }
        let Some(first) = line.strip_prefix("=> ") else { continue };
        let mut spellings = vec![first];
        let mut block = Vec::new();
        while let Some(line) = lines.next_if(|line| !line.starts_with("<= ")) {
            writeln!(out, "{line}").unwrap();
            match line.strip_prefix("=> ") {
                Some(spelling) => spellings.push(spelling),
                None => block.push(line),
            }
        }
        lines.next();
        while lines.next_if(|line| !starts_item(line)).is_some() {}
        let mut answers = Vec::new();
        for spelling in &spellings {
            let answer = stage.ask(asked(stage, spelling, &block)).await;
            answers.push(written(stage, &answer));
        }
        for (spelling, answer) in spellings.iter().zip(&answers) {
            assert_eq!(*answer, answers[0], "{spelling} does not answer as {first}");
        }
        out.push_str(&answers[0]);
    }
    out
}

fn starts_item(line: &str) -> bool {
    ["=> ", "!! ", "# "].iter().any(|start| line.starts_with(start))
}

fn asked<S: Stage>(stage: &S, request: &str, block: &[&str]) -> Asked {
    let (method, target) = request.split_once(' ').expect("method and target");
    let mut lines = block.iter();
    let header = |line: &&str| {
        let (name, value) = line.split_once(": ").expect("a header");
        (name.to_owned(), stage.filled(value))
    };
    let headers = lines.by_ref().take_while(|line| !line.is_empty()).map(header).collect();
    let body: Vec<&str> = lines.copied().collect();
    let (target, body) = (stage.filled(target), stage.filled(&body.join("\n")));
    Asked { method: method.to_owned(), target, headers, body }
}

fn written<S: Stage>(stage: &S, answer: &Answer) -> String {
    let mut head = format!("<= {}\n", answer.status);
    let body = stage.masked(answer.body.trim_end_matches('\n'));
    let typed = answer.headers.iter().any(|(name, _)| name == "content-type");
    if !body.is_empty() && !typed {
        head.push_str("content-type: none\n");
    }
    for shown in S::SHOWN {
        for (name, value) in answer.headers.iter().filter(|(name, _)| name == shown) {
            let is_usual = (&**name, &**value) == ("content-type", "application/json");
            if !is_usual || body.is_empty() {
                writeln!(head, "{name}: {value}").unwrap();
            }
        }
    }
    let head = stage.masked(&head);
    if body.is_empty() { format!("{head}\n") } else { format!("{head}\n{body}\n\n") }
}
