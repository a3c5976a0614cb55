//! Sessions that nobody reads cost their own command its time, and nobody else.

use std::{
    process::{Child, Command, Stdio},
    time::Duration,
};

use serde_json::json;

use super::system::{PATIENCE, System, TEPUI, wait};

#[test]
fn sessions_that_read_nothing_hold_up_nobody() {
    let system = System::start();
    let app = |id: &str| json!({"id": id, "cmd": "sleep 1000", "cpus": 0.05, "mem": 32});
    system.marathon("POST", "/v2/apps", Some(&app("/talks")));
    system.wait_running("/talks", 1);
    // Each fills its pipe and is then read no more.
    let mut deaf: Vec<Child> = (0..10)
        .map(|_| {
            Command::new(TEPUI)
                .args(["exec", "/talks", "--", "sh", "-c", "while :; do echo yes; done"])
                .env("TEPUI_URL", format!("http://{}", system.router))
                .env("TEPUI_TOKEN", &system.token)
                .stdin(Stdio::null())
                .stdout(Stdio::piped())
                .stderr(Stdio::null())
                .spawn()
                .expect("the program runs")
        })
        .collect();
    std::thread::sleep(Duration::from_secs(3));
    system.marathon("POST", "/v2/apps", Some(&app("/quick")));
    let took = wait("another app runs", PATIENCE, || system.app("/quick")["tasksRunning"] == 1);
    let out = system.cli(&["exec", "/talks", "--", "echo", "heard"]);
    let open = deaf.iter_mut().map(|c| c.try_wait()).filter(|s| matches!(s, Ok(None))).count();
    for mut child in deaf {
        let _ = child.kill();
        let _ = child.wait();
    }
    println!("an app ran {took:?} after it was asked for, beside {open} sessions read by nobody");
    assert_eq!(open, 10, "each still waits for its reader");
    assert_eq!(String::from_utf8_lossy(&out.stdout), "heard\n");
    assert!(took < Duration::from_secs(4), "{took:?}");
}

/// What ends on this side ends on the other: a command that reads to the end of its input comes to it.
#[test]
fn the_end_of_the_input_reaches_the_command() {
    use std::io::Write as _;
    let system = System::start();
    let app = json!({"id": "/reads", "cmd": "sleep 1000", "cpus": 0.05, "mem": 32});
    system.marathon("POST", "/v2/apps", Some(&app));
    system.wait_running("/reads", 1);
    let mut child = Command::new(TEPUI)
        .args(["exec", "-i", "/reads", "--", "cat"])
        .env("TEPUI_URL", format!("http://{}", system.router))
        .env("TEPUI_TOKEN", &system.token)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .expect("the program runs");
    child.stdin.take().expect("a pipe").write_all(b"hi\n").expect("written");
    wait("cat ends with its input", Duration::from_secs(10), || {
        child.try_wait().expect("asked").is_some()
    });
    let out = child.wait_with_output().expect("output");
    assert_eq!((out.status.code(), &out.stdout[..]), (Some(0), &b"hi\n"[..]));
}
