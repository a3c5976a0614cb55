//! What becomes of answers that are no success, or no answer at all.

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};

use super::*;

const PAGE: &str = "<!doctype html><title>Sign in</title>";

#[tokio::test]
async fn each_status_has_its_exit_code_and_says_what_the_server_said() {
    let own = |text: &str, hint: &str| match hint {
        "" => json!({"error": {"message": text}}).to_string(),
        hint => json!({"error": {"message": text, "hint": hint}}).to_string(),
    };
    let held =
        json!({"message": "locked", "deployments": [{"id": "d1"}, {"id": "d2"}]}).to_string();
    let ended = "the cluster does not know this login: it has ended, or there is none";
    let cases: &[(u16, String, u8, &str)] = &[
        (400, own("no such field", ""), 2, "error: no such field\n"),
        (
            422,
            json!({"message": "Object is not valid"}).to_string(),
            2,
            "error: Object is not valid\n",
        ),
        (401, PAGE.to_owned(), 4, &format!("error: {ended}\nhint: sign in with: tepui login\n")),
        (
            401,
            own("Wrong token.", "x"),
            4,
            "error: Wrong token.\nhint: sign in with: tepui login\n",
        ),
        (403, own("only the superuser may", ""), 4, "error: only the superuser may\n"),
        (404, json!({"title": "unknown"}).to_string(), 3, "error: unknown\n"),
        (
            409,
            own("it was changed", "GET /tepui/v1/apps lists"),
            5,
            "error: it was changed\nhint: tepui app list lists\n",
        ),
        (
            409,
            held,
            5,
            "error: a deployment that is under way holds the app\n  held by deployment d1\n  \
            held by deployment d2\nhint: wait for it, or repeat with --force to put it aside\n",
        ),
        (
            409,
            json!({"error": {"code": "locked", "message": "locked", "hint": "send `force`"}})
                .to_string(),
            5,
            "error: a deployment that is under way holds the app\nhint: wait for it, or repeat \
            with --force to put it aside\n",
        ),
        (408, String::new(), 6, "error: the server answered 408\n"),
        (504, "too slow".to_owned(), 6, "error: the server answered 504 too slow\n"),
        (502, PAGE.to_owned(), 7, "error: the server answered 502\n"),
        (503, own("no master leads", ""), 7, "error: no master leads\n"),
        (500, own("disk", "GET /tepui/v1/openapi.yaml tells"), 1, "error: disk\n"),
        (
            418,
            "x".repeat(5_000),
            1,
            &format!("error: the server answered 418 {}\n", "x".repeat(300)),
        ),
    ];
    for (status, body, code, said) in cases {
        let site = Site::new();
        site.says("GET /tepui/v1/status", *status, body);
        let done = site.run("status").await;
        assert_eq!(done.said(), (*code, *said), "{status}");
        assert_eq!(done.out, "", "{status}: nothing is data");
        let done = site.run("status --json").await;
        let told: Value = serde_json::from_str(&done.err).expect("one object");
        assert_eq!(
            (told["error"]["exit"].as_u64(), done.out.as_str()),
            (Some(u64::from(*code)), "")
        );
    }
}

#[tokio::test]
async fn an_address_that_is_no_cluster_is_told_with_a_way_on() {
    let site = Site::new();
    site.says("GET /tepui/v1/status", 200, "welcome to my home page");
    let done = site.run("status").await;
    assert_eq!(done.code, 1);
    assert!(
        done.err.ends_with("\nhint: is this the address of a tepui cluster?\n"),
        "{}",
        done.err
    );

    let site = Site::new();
    site.says("GET /tepui/v1/status", 308, "https://other:8443/tepui/v1/status");
    assert_eq!(
        site.run("status").await.said(),
        (
            7,
            "error: URL sends elsewhere: https://other:8443/tepui/v1/status\n\
             hint: use that address: tepui login https://other:8443\n"
        )
    );
    assert_eq!(site.lines().len(), 1, "a token follows no redirection");
}

/// A server that says this much and no more.
async fn broken_off(said: &str) -> Done {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let site = Site::new();
    let mut env = site.env();
    env.insert("TEPUI_URL".into(), format!("http://{}", listener.local_addr().expect("bound")));
    let serve = async {
        let (mut peer, _) = listener.accept().await.expect("a caller");
        let n_read = peer.read(&mut [0; 4096]).await.expect("a request");
        assert!(n_read > 0, "a request");
        peer.write_all(said.as_bytes()).await.expect("written");
    };
    tokio::join!(site.run_in(&["app", "list"], "", env), serve).0
}

#[tokio::test]
async fn half_an_answer_is_no_answer() {
    for (said, what) in [
        ("", "cannot reach"),
        ("HTTP/1.1 200 OK\r\nContent-Le", "cannot reach"),
        ("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"apps\": []}", "the answer broke off"),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nc\r\n{\"apps\": []}",
            "the answer broke off",
        ),
        ("\u{1}\u{2}\u{3} not http at all\r\n\r\n", "cannot reach"),
    ] {
        let done = broken_off(said).await;
        assert_eq!((done.code, done.out.as_str()), (7, ""), "{said:?}: {}", done.err);
        assert!(done.err.starts_with(&format!("error: {what}")), "{said:?}: {}", done.err);
    }
}

/// Scripts cut tables by lines and columns; what an app is called or runs must not move them.
#[tokio::test]
async fn a_table_has_a_line_a_row_whatever_the_cells_hold() {
    let site = Site::new();
    let app = |id: &str, cmd: &str| {
        json!({"id": id, "condition": "running", "cmd": cmd, "cpus": 1, "mem_mb": 64,
               "instances": {"running": 1, "wanted": 1}})
    };
    let apps = [app("/a", "set -e\necho one\r\n\techo two"), app("/b", "\u{1b}[2Jgone\u{7}")];
    site.says("GET /tepui/v1/apps", 200, json!({ "apps": apps }));
    let done = site.run("app list").await;
    let lines: Vec<&str> = done.out.lines().collect();
    assert_eq!((done.code, lines.len()), (0, 3), "{}", done.out);
    assert!(
        lines[1].starts_with("/a ") && lines[1].ends_with("set -e echo one echo two"),
        "{lines:?}"
    );
    assert!(lines[2].starts_with("/b "), "{lines:?}");
    assert!(!done.out.contains(['\u{1b}', '\u{7}', '\t']), "nothing moves the terminal: {lines:?}");
}

#[tokio::test]
async fn data_goes_to_standard_output_and_nothing_else_does() {
    let site = Site::new();
    let verdict = json!({"state": "waiting", "tone": "attention", "sentence": "no room"});
    let app = json!({"id": "/a", "condition": "waiting", "verdict": verdict});
    site.says("GET /tepui/v1/apps", 200, json!({"apps": [app]}));
    let plain = site.run("app list").await;
    assert_eq!(plain.err, "/a: no room\n");
    let quiet = site.run("app list --quiet").await;
    assert_eq!((quiet.out.as_str(), quiet.err.as_str()), (plain.out.as_str(), ""));
    let json = site.run("app list --json").await;
    let told: Value = serde_json::from_str(&json.out).expect("json");
    assert_eq!((told[0]["id"].as_str(), json.err.as_str()), (Some("/a"), ""));
}

#[tokio::test]
async fn colour_is_for_terminals_and_for_nobody_who_declines() {
    for (terminal, name, value, is_coloured) in [
        (false, "X", "", false),
        (true, "X", "", true),
        (true, "NO_COLOR", "1", false),
        (true, "NO_COLOR", "", true),
        (true, "TERM", "dumb", false),
        (false, "CLICOLOR_FORCE", "1", true),
        (false, "CLICOLOR_FORCE", "0", false),
    ] {
        let mut site = Site::new();
        site.terminal = [terminal; 3];
        let app = json!({"id": "/a", "condition": "running"});
        site.says("GET /tepui/v1/apps", 200, json!({"apps": [app]}));
        let mut env = site.env();
        env.insert(name.into(), value.into());
        let done = site.run_in(&["app", "list"], "", env).await;
        let coloured = done.out.contains("\u{1b}[32mrunning\u{1b}[0m");
        assert_eq!(coloured, is_coloured, "{terminal} {name}={value}");
    }
}

struct Gone;

impl Write for Gone {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(io::ErrorKind::BrokenPipe.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn a_reader_that_has_seen_enough_is_no_failure() {
    let site = Site::new();
    site.says("GET /tepui/v1/apps", 200, json!({"apps": []}));
    let err = Shared::default();
    let io = Io { stdout: Box::new(Gone), ..site.io("", site.env(), [&err, &err]) };
    let code = crate::cli::run(["tepui", "app", "list"].map(Into::into), io).await;
    assert_eq!((code, err.text().as_str()), (0, ""));
}

#[tokio::test]
async fn a_stream_that_breaks_goes_on_where_it_was() {
    let site = Site::new();
    let task = json!({"id": "a.instance-1", "task_id": "a.instance-1._app.1", "app_id": "/a",
                      "condition": "running", "host": "h"});
    site.says("GET /tepui/v1/tasks/a.instance-1._app.1", 200, &task);
    let event = |text: &str, next: u64| {
        format!("event: data\ndata: {}\n\n", json!({"data": text, "next_offset": next}))
    };
    site.says(
        "GET /tepui/v1/tasks/a.instance-1._app.1/log",
        200,
        json!({"data": "one\n", "offset": 0, "next_offset": 4}),
    );
    // The first connection ends without a word, in the middle of an event.
    let cut = format!("{}event: data\ndata: {{\"da", event("two\n", 8));
    site.says("GET /tepui/v1/tasks/a.instance-1._app.1/log", 200, cut);
    let rest = format!("{}event: end\ndata: \n\n", event("three\n", 14));
    site.says("GET /tepui/v1/tasks/a.instance-1._app.1/log", 200, rest);
    let done = site.run("log a.instance-1._app.1 --follow").await;
    assert_eq!((done.code, done.out.as_str()), (0, "one\ntwo\nthree\n"), "{}", done.err);
    let offsets: Vec<String> = site
        .lines()
        .iter()
        .filter(|line| line.contains("follow=true"))
        .map(|line| line.rsplit('=').next().unwrap_or("").to_owned())
        .collect();
    assert_eq!(offsets, ["4", "8"], "nothing twice, nothing lost");
}
